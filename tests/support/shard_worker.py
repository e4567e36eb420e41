"""Collects everything that a server has into tar shards, in a process that tests may kill: PLACE PORT PHOTOS."""

import sys

from soak_worker import LABELS, PROVIDERS, Hurry, Listing

from roadclear.collect.client import ClientPolicy, Limits, open_client
from roadclear.collect.collector import CollectRequest, collect, searches_of

A_SHARD = 20

if __name__ == "__main__":
    place, port, photos = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    searches = searches_of({label: [label] for label in LABELS}, [Listing(name, port) for name in PROVIDERS])
    policy = ClientPolicy(max_rate=1e9, allow_private=True)
    with open_client(policy, Limits(seconds=20), clock=Hurry()) as client:
        collect(place, CollectRequest(LABELS, photos // 2, searches, shard_photos=A_SHARD), client)
