"""Asks a server as `roadclear collect` does, in a process that tests start: TURNS ADDRESS REQUESTS RATE."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roadclear.collect.client import ClientPolicy, open_client

if __name__ == "__main__":
    turns, address, requests, rate = sys.argv[1:]
    policy = ClientPolicy(max_rate=float(rate), allow_private=True, turns=Path(turns))
    with open_client(policy) as client, ThreadPoolExecutor(2) as pool:
        print("ready", flush=True)
        sys.stdin.readline()
        list(pool.map(client.get, [address] * int(requests)))
