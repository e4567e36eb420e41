"""Collects everything that a server has, in a process that tests may kill: FOLDER PORT."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from roadclear.collect.candidate import Candidate
from roadclear.collect.client import ClientPolicy, Limits, open_client
from roadclear.collect.collector import CollectRequest, collect, searches_of
from roadclear.collect.rate_limit import Clock

LABELS = ("crossing", "empty")
PROVIDERS = ("museum", "archive")
PHOTOS = 2_000


class Hurry(Clock):
    """Pauses a hundredth as long."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 100)


class Listing:
    """Finds an equal share of the photos for each label; every fiftieth twice."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._port = port

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        share = 2 * LABELS.index(query) + PROVIDERS.index(self.name)
        for rank, number in enumerate(range(share, PHOTOS, 4), start=1):
            found = Candidate(self.name, query, rank, f"http://127.0.0.1:{self._port}/{number}", licence="CC0 1.0")
            yield found
            if number % 50 == 0:
                yield found


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    searches = searches_of({label: [label] for label in LABELS}, [Listing(name, port) for name in PROVIDERS])
    policy = ClientPolicy(max_rate=1e9, allow_private=True)
    with open_client(policy, Limits(seconds=20), clock=Hurry()) as client:
        collect(folder, CollectRequest(LABELS, PHOTOS, searches), client)
