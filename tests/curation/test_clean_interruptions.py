"""Kills at every step and at random moments: every file exists once, and everything can be put back."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import die_before_step, files_by_identity, small_mess, tree

from roadclear.curation.clean import clean, restore
from roadclear.curation.rules import CleanRules
from roadclear.errors import OutputError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.utils.locks import LOCK

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="kills processes, and makes pipes"), pytest.mark.slow]

RULES = CleanRules(look_alikes=False)
RANDOM_KILLS = 20
FOR_EVER = """
import sys
from pathlib import Path
from roadclear.features.cache import open_cache
from roadclear.curation.rules import CleanRules; from roadclear.curation.clean import clean, restore

folder, cache_file = map(Path, sys.argv[1:])
with open_cache(cache_file) as cache:
    print("ready", flush=True)
    while True:
        clean(folder, CleanRules(look_alikes=False), cache)
        restore(folder)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_mess(tmp_path / "photos")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "cache.sqlite") as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("then", ["restore", "clean, then restore"])
@pytest.mark.parametrize("killed", ["clean", "restore"])
def test_a_kill_at_every_single_step(root: Path, cache: FeatureCache, killed: str, then: str) -> None:
    before, identities = tree(root), files_by_identity(root)
    clean(root, RULES, cache)
    cleaned = {file for file in tree(root) if file.startswith(".quarantine")}
    restore(root)

    def clean_again() -> None:
        with open_cache(cache.path) as own:
            clean(root, RULES, own)

    for step in range(1, 1000):
        if killed == "restore":
            clean(root, RULES, cache)
        if not die_before_step(step, clean_again if killed == "clean" else lambda: (restore(root), None)[1]):
            break
        assert files_by_identity(root) == identities
        if then != "restore":
            clean(root, RULES, cache)
            assert {file for file in tree(root) if file.startswith(".quarantine")} == cleaned
        restore(root)
        assert tree(root) == before
    assert step > 8  # four moves, and two journals


@pytest.mark.slow
def test_kills_at_random_moments(root: Path, cache: FeatureCache) -> None:
    before, identities = tree(root), files_by_identity(root)
    draw = random.Random(0)
    caught_in_the_act = 0
    for number in range(RANDOM_KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", FOR_EVER, str(root), str(cache.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        assert process.communicate()[1] == b""
        assert files_by_identity(root) == identities
        caught_in_the_act += tree(root) != before
        if number % 2:
            assert clean(root, RULES, cache).left == ()
            assert files_by_identity(root) == identities
        assert restore(root).left == ()
        assert tree(root) == before
    assert caught_in_the_act > 0


@pytest.mark.parametrize("second", ["clean", "restore"])
def test_a_second_process_is_refused_until_the_first_ends(root: Path, cache: FeatureCache, second: str) -> None:
    """The lock dies with its process, even where the file of the lock outlives it."""
    holder = (
        "import sys, time; from pathlib import Path; from roadclear.utils.locks import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])): print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    before = tree(root)

    def run() -> object:
        return clean(root, RULES, cache) if second == "clean" else restore(root)

    with pytest.raises(OutputError, match=r"another roadclear command is at work in .*: wait until it is done"):
        run()
    assert tree(root) == before
    process.kill()
    process.communicate()
    assert (root / LOCK).exists()
    run()
    assert not (root / LOCK).exists()
