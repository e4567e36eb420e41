"""Who is asked for the next photo, when it is enough, and what is told in the end."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from clients import quick_client
from misbehaving_server import MisbehavingServer, answer, html, misbehaving_server, picture, status

from roadclear.collect.candidate import Candidate, Provider
from roadclear.collect.collector import Collection, CollectRequest, collect, plan, searches_of
from roadclear.collect.records import read_rejections, read_sources
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import DatasetError, OptionError, ProviderError

LABELS = ("crossing", "empty")
QUERIES = {"crossing": ["people", "pedestrians"], "empty": ["no one"]}


class Shelf:
    """A provider that finds a list of paths for each query, and then may fail."""

    def __init__(self, name: str, server: MisbehavingServer, found: dict[str, list[str]], fails: str = "") -> None:
        self.name = name
        self.taken = 0
        self._server = server
        self._found = found
        self._fails = fails

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        for rank, path in enumerate(self._found.get(query, []), start=1):
            self.taken += 1
            url = path if "://" in path else self._server.url(path)
            yield Candidate(self.name, query, rank, url, licence="CC BY 4.0", author=f"author {rank}")
        if self._fails:
            raise ProviderError(f"{self.name}: {self._fails}")


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as running:
        running.fallback = lambda path, before: answer(picture(int(path.strip("/").split("?")[0])))
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with quick_client() as opened:
        yield opened


def paths(first: int, count: int) -> list[str]:
    return [f"/{number}" for number in range(first, first + count)]


def request(per_label: int, providers: Sequence[Provider], licences: str | None = None) -> CollectRequest:
    codes = None if licences is None else frozenset(licences.split(","))
    return CollectRequest(LABELS, per_label, searches_of(QUERIES, providers), codes)


def shares(folder: Path) -> dict[tuple[str, str], int]:
    return dict(Counter((source.label, source.provider) for source in read_sources(folder)))


def reasons(collection: Collection) -> Counter[RejectionReason]:
    return sum((tally.rejected for tally in collection.tallies.values()), Counter())


def test_both_labels_draw_equally_on_all_providers(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    one = Shelf("one", server, {"people": paths(0, 50), "pedestrians": paths(50, 50), "no one": paths(100, 99)})
    two = Shelf("two", server, {"people": paths(200, 50), "no one": paths(300, 50)})
    collection = collect(tmp_path, request(20, [one, two]), client)
    assert collection.photos == {"crossing": 20, "empty": 20}
    assert shares(tmp_path) == {(label, name): 10 for label in LABELS for name in ("one", "two")}
    queries = Counter(source.query for source in read_sources(tmp_path) if source.provider == "one")
    assert queries == {"people": 5, "pedestrians": 5, "no one": 10}
    assert len(server.requests) == 40, "no more is fetched than asked for"
    assert max(one.taken, two.taken) < 40, "no more is searched than needed"


def test_a_short_provider_is_made_up_for(server: MisbehavingServer, client: httpx.Client, tmp_path: Path) -> None:
    one = Shelf("one", server, {"people": paths(0, 3), "no one": paths(100, 50)})
    two = Shelf("two", server, {"people": paths(200, 50), "no one": paths(300, 50)})
    assert collect(tmp_path, request(10, [one, two]), client).photos == {"crossing": 10, "empty": 10}
    assert shares(tmp_path)["crossing", "one"] == 3
    assert shares(tmp_path)["crossing", "two"] == 7


def test_only_good_photos_count(server: MisbehavingServer, client: httpx.Client, tmp_path: Path) -> None:
    for number in range(0, 40, 2):
        server.put(f"/{number}", html())
    server.put("/1", status(404))
    one = Shelf("one", server, {"people": paths(0, 40), "no one": paths(100, 5)})
    collection = collect(tmp_path, request(12, [one]), client)
    assert collection.photos == {"crossing": 12, "empty": 5}
    assert collection.tallies["crossing", "one"].collected == 12
    told = Counter(rejection.reason for rejection in read_rejections(tmp_path))
    assert reasons(collection) == told
    assert told[RejectionReason.NOT_A_PHOTO] >= 12
    assert told[RejectionReason.NOT_THERE] == 1
    assert {r.source.image_url for r in read_rejections(tmp_path)}.isdisjoint(
        source.image_url for source in read_sources(tmp_path)
    )


def test_repetitions_are_rejected_across_labels_providers_and_queries(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.put("/77?copy", answer(picture(7)))
    one = Shelf("one", server, {"people": ["/7", "/7", "/8"], "pedestrians": ["/8"], "no one": ["/9", "/77?copy"]})
    two = Shelf("two", server, {"no one": ["/7"]})
    for _ in range(2):
        collection = collect(tmp_path, request(10, [one, two]), client)
        assert sum(collection.photos.values()) == 3
        told = Counter((r.reason, r.source.image_url) for r in read_rejections(tmp_path))
        addresses = {7: 2, 8: 1}
        assert told == {
            (RejectionReason.SAME_ADDRESS, server.url(f"/{n}")): count for n, count in addresses.items()
        } | {(RejectionReason.SAME_BYTES, next(url for reason, url in told if reason == RejectionReason.SAME_BYTES)): 1}
    assert len(server.requests) == 4, "the second time, nothing is fetched"
    assert reasons(collection).total() == 0
    assert sum(tally.known for tally in collection.tallies.values()) == 7


def test_a_later_run_tops_up(server: MisbehavingServer, client: httpx.Client, tmp_path: Path) -> None:
    one = Shelf("one", server, {"people": paths(0, 50), "no one": paths(100, 50)})
    collect(tmp_path, request(5, [one]), client)
    gone = next((tmp_path / "crossing").iterdir())
    gone.unlink()
    collection = collect(tmp_path, request(8, [one]), client)
    assert collection.photos == {"crossing": 8, "empty": 8}
    assert len(server.requests) == len(set(server.targets())) == 17
    assert not gone.exists(), "what was taken out stays out"


def test_what_was_out_of_reach_is_tried_again_another_time(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.put("/0", *[status(500)] * 4, answer(picture(0)))
    one = Shelf("one", server, {"people": ["/0", "/1"], "no one": ["/2"]})
    assert collect(tmp_path, request(5, [one]), client).photos["crossing"] == 1
    assert [r.reason for r in read_rejections(tmp_path)] == [RejectionReason.UNREACHABLE]
    assert collect(tmp_path, request(5, [one]), client).photos["crossing"] == 2
    assert read_rejections(tmp_path) == []


def test_a_provider_that_fails_is_told_once_and_the_others_go_on(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    limited = Shelf("limited", server, {"people": paths(0, 2)}, fails="expected results, found its rate limit (429)")
    steady = Shelf("steady", server, {"people": paths(50, 50), "no one": paths(100, 50)})
    collection = collect(tmp_path, request(10, [limited, steady]), client)
    assert collection.failures == ("limited: expected results, found its rate limit (429)",)
    assert collection.photos == {"crossing": 10, "empty": 10}
    assert shares(tmp_path)["crossing", "limited"] == 2, "what it found before stays valid"


@pytest.mark.parametrize(
    ("licences", "taken"),
    [(None, 6), ("by", 1), ("cc0,by-sa", 2), ("pdm", 1), ("by-nc-nd", 0)],
)
def test_licences(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path, licences: str | None, taken: int
) -> None:
    names = ["CC BY 4.0", "CC BY-SA 2.0", "CC0 1.0", "PDM 1.0", "unknown", "all rights reserved"]

    class Library(Shelf):
        def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
            for found, name in zip(super().search(query, client), names, strict=False):
                yield replace(found, licence=name)

    collection = collect(tmp_path, request(9, [Library("one", server, {"people": paths(0, 6)})], licences), client)
    assert collection.photos["crossing"] == taken
    assert reasons(collection) == Counter({RejectionReason.LICENCE: 6 - taken} if taken < 6 else {})
    assert collection.licences.total() == taken
    if taken:
        again = collect(tmp_path, request(9, [Library("one", server, {"people": paths(0, 6)})]), client)
        assert again.photos["crossing"] == 6, "without the filter they are taken"


def test_a_plan_writes_and_fetches_nothing(server: MisbehavingServer, client: httpx.Client, tmp_path: Path) -> None:
    one = Shelf("one", server, {"people": paths(0, 50), "no one": ["/0", "/100"]}, fails="broken")
    sources, failures = plan(tmp_path / "new", request(3, [one]), client)
    assert [source.image_url for source in sources if source.label == "crossing"] == [
        server.url(f"/{number}") for number in (0, 1, 2)
    ]
    assert len([source for source in sources if source.label == "empty"]) == 1
    assert failures == ("one: broken",)
    assert not (tmp_path / "new").exists()
    assert server.requests == []


def test_a_plan_leaves_out_what_is_there(server: MisbehavingServer, client: httpx.Client, tmp_path: Path) -> None:
    one = Shelf("one", server, {"people": paths(0, 9), "no one": paths(100, 9)})
    collect(tmp_path, request(3, [one]), client)
    sources, _ = plan(tmp_path, request(5, [one]), client)
    assert {source.image_url for source in sources} == {server.url(path) for path in ("/3", "/4", "/103", "/104")}


def test_ten_thousand_results_of_which_few_are_good(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    same = ["/1"] * 5_000 + ["http://127.0.0.1:1/x"] + [f"ftp://photos.example/{n}" for n in range(100)]
    one = Shelf("one", server, {"people": same + ["/1"] * 4_899, "no one": paths(10, 3)})
    collection = collect(tmp_path, request(3, [one]), client)
    assert collection.tallies["crossing", "one"].found == 10_000
    assert collection.photos == {"crossing": 1, "empty": 3}
    assert collection.tallies["crossing", "one"].rejected[RejectionReason.FORBIDDEN_ADDRESS] == 100
    assert len(read_rejections(tmp_path)) == 102, "a repeated address is listed once"


def test_progress_is_told_by_label_and_provider(
    server: MisbehavingServer, client: httpx.Client, tmp_path: Path
) -> None:
    told: list[str] = []
    one = Shelf("one", server, {"people": paths(0, 2), "no one": paths(10, 2)})
    collect(tmp_path, request(2, [one]), client, lambda *what: told.append(json.dumps(what)))
    assert {'["crossing from one", 2, 2]', '["empty from one", 2, 2]'} <= set(told)
    assert len(told) == 4


@pytest.mark.parametrize(
    "labels",
    [
        ("", "b"),
        ("a/b", "c"),
        ("..", "b"),
        (".a", "b"),
        ("a", "A"),
        ("a\n", "b"),
        ("train", "b"),
        ("a\\b", "c"),
        ("a ", "b"),
    ],
)
def test_labels_are_folder_names(labels: tuple[str, str]) -> None:
    with pytest.raises(OptionError, match="label"):
        CollectRequest(labels, 1, ())


def test_at_least_one_photo() -> None:
    with pytest.raises(OptionError, match="per-label"):
        CollectRequest(LABELS, 0, ())


def test_a_folder_of_other_labels(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(DatasetError, match="cats"):
        collect(tmp_path, request(1, []), client)
