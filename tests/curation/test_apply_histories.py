"""Whatever is decided, cleaned and taken back in any order, every photo exists once, and comes home."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from deciding import decide
from folders import LABELS, files_by_identity, photo, tree, write_folder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import clean, restore
from roadclear.curation.rules import CleanRules
from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache

NAMES = st.sampled_from(["a.png", "a-2.png", "nested/a.png", os.fsdecode(b"\xff.png")])


class History(RuleBasedStateMachine):
    """Photos that are made, deleted, relabelled, set aside, cleaned away and restored, and where each should be."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp())
        self.root = write_folder(self.top / "photos", {})
        self.homes: dict[int, str] = {}
        self.made = 0

    @rule(label=st.sampled_from(LABELS), name=NAMES, broken=st.booleans())
    def make(self, label: str, name: str, broken: bool) -> None:
        path = self.root / label / name
        path.parent.mkdir(exist_ok=True)
        if not os.path.lexists(path):
            self.made += 1
            path.write_bytes(f"no photo {self.made}".encode() if broken else photo(self.made))
            self.homes[path.lstat().st_ino] = f"{label}/{name}"

    @rule(label=st.sampled_from(LABELS), name=NAMES)
    def delete(self, label: str, name: str) -> None:
        path = self.root / label / name
        if os.path.lexists(path):
            del self.homes[path.lstat().st_ino]
            path.unlink()

    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        decisions = {}
        for photo_file in load_folder(self.root).photos:
            other = next(label for label in LABELS if label != photo_file.label)
            choices = ["keep", "set aside", f"move to {other}", f"move to {other}"]
            decisions[photo_file.file] = data.draw(st.sampled_from(choices))
        # Broken photos cannot be moved by a decision: they are no photos that anyone could have looked at.
        assert all(
            "not the photo" not in left.why for left in apply_decisions(self.root, decide(self.root, decisions)).left
        )

    @rule()
    def clean(self) -> None:
        with open_cache(self.top / "cache.sqlite") as cache:
            assert clean(self.root, CleanRules(look_alikes=False), cache).left == ()

    @rule()
    def undo(self) -> None:
        undo(self.root)

    @rule()
    def restore(self) -> None:
        restoring = restore(self.root)
        at_home = {facts[1]: file for file, facts in tree(self.root).items() if self.homes.get(facts[1]) == file}
        assert len(at_home) >= len(self.homes) - len(restoring.left)
        assert os.path.lexists(self.root / "cleaning.csv") == bool(restoring.left)

    @invariant()
    def every_file_exists_once(self) -> None:
        assert files_by_identity(self.root) == sorted(self.homes)

    def teardown(self) -> None:
        shutil.rmtree(self.top)


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
class TestHistory(History.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
