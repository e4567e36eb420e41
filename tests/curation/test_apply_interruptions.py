"""Kills at every step and at random moments: every photo exists once, and can be put back or decided on again."""

import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from deciding import decide
from folders import die_before_step, files_by_identity, photo, tree, write_folder

from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import restore

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="kills processes"), pytest.mark.slow]

RANDOM_KILLS = 12
DECISIONS = {
    "crossing/a.png": "move to empty",
    "crossing/b.png": "set aside",
    "empty/a.png": "move to crossing",
    "empty/c.png": "keep",
}
FOR_EVER = """
import sys
from roadclear.curation.apply import apply_decisions, undo

folder, decisions = sys.argv[1:]
print("ready", flush=True)
while True:
    apply_decisions(folder, decisions)
    undo(folder)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", {name: photo(seed) for seed, name in enumerate(DECISIONS)})


def photos(root: Path) -> set[str]:
    return {file for file in tree(root) if file.endswith(".png")}


def once(action: str, root: Path, table: Path) -> None:
    if action == "apply":
        apply_decisions(root, table)
    else:
        undo(root)


@pytest.mark.slow
@pytest.mark.parametrize("then", ["undo", "restore", "apply, then undo"])
@pytest.mark.parametrize("killed", ["apply", "undo"])
def test_a_kill_at_every_single_step(root: Path, killed: str, then: str) -> None:
    before, identities = tree(root), files_by_identity(root)
    table = decide(root, DECISIONS)
    apply_decisions(root, table)
    applied = photos(root)
    undo(root)
    for step in range(1, 1000):
        if killed == "undo":
            apply_decisions(root, table)
        if not die_before_step(step, partial(once, killed, root, table)):
            break
        assert files_by_identity(root) == identities
        if then == "apply, then undo":
            assert apply_decisions(root, table).left == ()
            assert photos(root) == applied
        assert (restore if then == "restore" else undo)(root).left == ()
        assert tree(root) == before
    assert step > 7  # three moves, and two journals


def test_a_kill_while_minds_are_changed(root: Path) -> None:
    before, identities = tree(root), files_by_identity(root)
    for step in range(1, 1000):
        apply_decisions(root, decide(root, DECISIONS))
        back = {"empty/a-2.png": "move to crossing", "crossing/a-2.png": "set aside"}
        if not die_before_step(step, partial(once, "apply", root, decide(root, back))):
            break
        assert files_by_identity(root) == identities
        assert undo(root).left == ()
        assert tree(root) == before
    assert step > 5  # two moves, and two journals


@pytest.mark.slow
def test_kills_at_random_moments(root: Path) -> None:
    before, identities = tree(root), files_by_identity(root)
    table = decide(root, DECISIONS)
    draw = random.Random(0)
    caught_in_the_act = 0
    for number in range(RANDOM_KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", FOR_EVER, str(root), str(table)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        assert process.communicate()[1] == b""
        assert files_by_identity(root) == identities
        caught_in_the_act += tree(root) != before
        if number % 2:
            assert apply_decisions(root, table).left == ()
            assert files_by_identity(root) == identities
        assert undo(root).left == ()
        assert tree(root) == before
    assert caught_in_the_act > 0
