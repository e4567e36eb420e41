"""Whatever comes and goes between cleanings, every file exists once, and restoring puts everything back."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from folders import LABELS, files_by_identity, photo, tree, write_folder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roadclear.curation.clean import clean, restore
from roadclear.curation.rules import CleanRules
from roadclear.features.cache import open_cache

CONTENTS = [b"", photo(1), photo(2), photo(1, "BMP"), photo(3)[:300], photo(4, width=20), b"text"]
FOLDERS = st.sampled_from([*LABELS, "empty/nested", "crossing/a.d"])
NAMES = st.sampled_from(["a", "a.jpg", "-b.png", 'c\n".jpg', os.fsdecode(b"\xff")])


class History(RuleBasedStateMachine):
    """Files that are made, deleted, cleaned away and restored, and where each should be."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp())
        self.root = write_folder(self.top / "photos", {})
        self.homes: dict[int, str] = {}

    @rule(folder=FOLDERS, name=NAMES, content=st.sampled_from(CONTENTS))
    def make(self, folder: str, name: str, content: bytes) -> None:
        path = self.root / folder / name
        path.parent.mkdir(exist_ok=True)
        if not os.path.lexists(path):
            path.write_bytes(content)
            self.homes[path.lstat().st_ino] = f"{folder}/{name}"

    @rule(folder=FOLDERS, name=NAMES)
    def delete(self, folder: str, name: str) -> None:
        path = self.root / folder / name
        if os.path.lexists(path):
            del self.homes[path.lstat().st_ino]
            path.unlink()

    @rule()
    def clean(self) -> None:
        with open_cache(self.top / "cache.sqlite") as cache:
            assert clean(self.root, CleanRules(look_alikes=False), cache).left == ()
            assert clean(self.root, CleanRules(look_alikes=False), cache).findings == ()

    @rule()
    def restore(self) -> None:
        restoring = restore(self.root)
        at_home = {
            facts[1]: file for file, facts in tree(self.root).items() if facts[1] in self.homes and file[0] != "."
        }
        assert at_home.items() <= self.homes.items()
        assert len(at_home) == len(self.homes) - len(restoring.left)
        assert os.path.lexists(self.root / "cleaning.csv") == bool(restoring.left)

    @invariant()
    def every_file_exists_once(self) -> None:
        assert files_by_identity(self.root) == sorted(self.homes)

    def teardown(self) -> None:
        shutil.rmtree(self.top)


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
class TestHistory(History.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
