"""Decisions move photos between labels and to the quarantine, and every move can be taken back."""

import os
from pathlib import Path

import pytest
from deciding import decide
from folders import photo, tree, write_folder

from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import clean, restore
from roadclear.curation.rules import CleanRules
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError, OutputError
from roadclear.features.cache import open_cache
from roadclear.utils.locks import folder_lock

ODD = os.fsdecode(b'odd \xff\n".png')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = (
        "crossing/a.png",
        "crossing/b.png",
        "crossing/c.png",
        "crossing/nested/d.png",
        "empty/b.png",
        "empty/e.png",
    )
    return write_folder(tmp_path / "photos", {name: photo(seed) for seed, name in enumerate(names)})


def files(root: Path) -> dict[str, int]:
    """Photo -> its inode, for everything but what roadclear writes itself."""
    return {
        path.relative_to(root).as_posix(): path.lstat().st_ino
        for path in root.rglob("*")
        if not path.is_dir() and path.name != "cleaning.csv"
    }


def test_photos_go_to_the_other_label_and_to_the_quarantine(root: Path) -> None:
    before = files(root)
    decisions = {"crossing/a.png": "move to empty", "empty/e.png": "set aside", "crossing/c.png": "keep"}
    applied = apply_decisions(root, decide(root, decisions))
    assert (applied.relabelled, applied.set_aside, applied.left) == (1, 1, ())
    after = files(root)
    assert after.pop("empty/a.png") == before.pop("crossing/a.png")
    assert after.pop(".quarantine/set-aside/empty/e.png") == before.pop("empty/e.png")
    assert after == before


@pytest.mark.parametrize(
    ("decisions", "places"),
    [
        pytest.param({"crossing/b.png": "empty"}, {"crossing/b.png": "empty/b-2.png"}, id="a name that is taken"),
        pytest.param(
            {"crossing/b.png": "empty", "empty/b.png": "crossing"},
            {"crossing/b.png": "empty/b-2.png", "empty/b.png": "crossing/b-3.png"},
            id="two that change places",
        ),
        pytest.param(
            {"crossing/b.png": "empty", "crossing/b-2.png": "empty"},
            {"crossing/b.png": "empty/b-2.png", "crossing/b-2.png": "empty/b-2-2.png"},
            id="two that want one free name",
        ),
        pytest.param({"crossing/nested/d.png": "empty"}, {"crossing/nested/d.png": "empty/nested/d.png"}, id="nested"),
        pytest.param({f"crossing/{ODD}": "empty"}, {f"crossing/{ODD}": f"empty/{ODD}"}, id="a name of any bytes"),
    ],
)
def test_nothing_is_overwritten(root: Path, decisions: dict[str, str], places: dict[str, str]) -> None:
    write_folder(root, {"crossing/b-2.png": photo(10), f"crossing/{ODD}": photo(11)})
    before = files(root)
    table = decide(root, {file: f"move to {label}" for file, label in decisions.items()})
    assert apply_decisions(root, table).relabelled == len(decisions)
    assert files(root) == {places.get(file, file): identity for file, identity in before.items()}
    assert undo(root).restored == len(decisions)
    assert files(root) == before


def test_photos_stay_in_their_part(tmp_path: Path) -> None:
    names = ("train/crossing/a.png", "train/empty/b.png", "Test/crossing/a.png")
    root = write_folder(tmp_path / "photos", {})
    for label in ("crossing", "empty"):
        (root / label).rmdir()
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(photo(seed))
    table = decide(root, {"train/crossing/a.png": "move to empty", "Test/crossing/a.png": "move to empty"})
    assert apply_decisions(root, table).relabelled == 2
    assert set(files(root)) == {"train/empty/a.png", "train/empty/b.png", "Test/empty/a.png"}
    assert undo(root).restored == 2
    assert set(files(root)) == set(names)


def test_what_changed_or_is_gone_is_left_and_told(root: Path) -> None:
    decisions = dict.fromkeys(("crossing/a.png", "crossing/b.png", "crossing/c.png"), "move to empty")
    table = decide(root, decisions)
    (root / "crossing/a.png").write_bytes(photo(20))
    (root / "crossing/b.png").unlink()
    applied = apply_decisions(root, table)
    assert applied.relabelled == 1
    assert [(left.file, left.why) for left in applied.left] == [
        ("crossing/a.png", "is not the photo that was looked at: triage again"),
        ("crossing/b.png", "is gone"),
    ]
    assert (root / "crossing/a.png").read_bytes() == photo(20)


def test_a_place_that_cannot_be_made_leaves_the_photo(root: Path) -> None:
    (root / "empty" / "nested").write_bytes(b"a file in the place of a folder")
    applied = apply_decisions(root, decide(root, {"crossing/nested/d.png": "move to empty"}))
    assert (applied.relabelled, [left.file for left in applied.left]) == (0, ["crossing/nested/d.png"])
    assert "cannot be moved" in applied.left[0].why
    assert not (root / "cleaning.csv").exists()


@pytest.mark.parametrize("unsound", ["../photos.png", "crossing/../empty/b.png", "other/x.png"])
def test_one_unsound_row_and_nothing_moves(root: Path, unsound: str) -> None:
    before = tree(root)
    with pytest.raises(DatasetError, match="nothing was moved"):
        apply_decisions(root, decide(root, {"crossing/a.png": "move to empty", unsound: "set aside"}))
    assert tree(root) == before


def test_decisions_are_applied_once(root: Path) -> None:
    table = decide(root, {"crossing/a.png": "move to empty"})
    apply_decisions(root, table)
    after = files(root)
    again = apply_decisions(root, table)
    assert (again.relabelled, again.earlier, again.left) == (0, 1, ())
    assert files(root) == after


def test_no_decision_and_no_trace(root: Path) -> None:
    before = tree(root)
    assert apply_decisions(root, decide(root, {"crossing/a.png": "keep"})).left == ()
    assert tree(root) == before


def test_to_change_ones_mind_is_to_take_the_move_back(root: Path) -> None:
    before = files(root)
    for _ in range(2):
        apply_decisions(root, decide(root, {"crossing/b.png": "move to empty"}))
        assert apply_decisions(root, decide(root, {"empty/b-2.png": "move to crossing"})).relabelled == 1
        assert files(root) == before
        assert not (root / "cleaning.csv").exists()


@pytest.mark.parametrize("back", [restore, undo])
def test_a_photo_that_was_moved_on_and_on_comes_home(root: Path, back: object) -> None:
    apply_decisions(root, decide(root, {"crossing/b.png": "move to empty"}))
    (root / "crossing/b.png").write_bytes(b"since appeared")
    apply_decisions(root, decide(root, {"empty/b-2.png": "move to crossing"}))
    assert (root / "crossing/b-2.png").read_bytes() == photo(1)
    apply_decisions(root, decide(root, {"crossing/b-2.png": "set aside"}))
    assert (root / ".quarantine/set-aside/crossing/b-2.png").read_bytes() == photo(1)
    (root / "crossing/b.png").unlink()
    before = files(root)
    before["crossing/b.png"] = before.pop(".quarantine/set-aside/crossing/b-2.png")
    assert back(root).left == ()  # type: ignore[operator]
    assert files(root) == before
    assert not (root / "cleaning.csv").exists()


def clean_folder(root: Path) -> int:
    with open_cache(None) as cache:
        return len(clean(root, CleanRules(look_alikes=False), cache).findings)


def test_cleaning_restores_the_moves_of_both(root: Path) -> None:
    write_folder(root, {"empty/copy of a.png": photo(0), "crossing/broken.png": b""})
    before = files(root)
    apply_decisions(root, decide(root, {"crossing/a.png": "move to empty"}))
    assert clean_folder(root) == 2
    assert {".quarantine/duplicate/empty/a.png", ".quarantine/duplicate/empty/copy of a.png"} & set(files(root))
    assert restore(root).left == ()
    assert files(root) == before


def test_a_photo_that_cleaning_took_is_gone(root: Path) -> None:
    write_folder(root, {"empty/copy of a.png": photo(0)})
    table = decide(root, {"crossing/a.png": "move to empty"})
    clean_folder(root)
    applied = apply_decisions(root, table)
    assert (applied.relabelled, applied.earlier, [left.why for left in applied.left]) == (0, 0, ["is gone"])


def test_undoing_goes_back_to_the_last_cleaning(root: Path) -> None:
    write_folder(root, {"crossing/broken.png": b""})
    before = files(root)
    apply_decisions(root, decide(root, {"crossing/a.png": "move to empty"}))
    clean_folder(root)
    cleaned = files(root)
    assert undo(root).restored == 0
    apply_decisions(root, decide(root, {"crossing/c.png": "move to empty", "empty/a.png": "set aside"}))
    assert undo(root).restored == 2
    assert files(root) == cleaned
    assert restore(root).restored == 2
    assert files(root) == before


def test_another_photo_in_the_place_of_a_moved_one_is_not_taken_for_it(root: Path) -> None:
    apply_decisions(root, decide(root, {"crossing/a.png": "move to empty"}))
    (root / "empty/a.png").write_bytes(photo(30))
    restoring = restore(root)
    assert [(left.file, left.why) for left in restoring.left] == [
        ("empty/a.png", "is not the photo that was moved there: move it by hand, see cleaning.csv")
    ]
    assert (root / "empty/a.png").read_bytes() == photo(30)
    (root / "empty/a.png").unlink()
    assert restore(root).left == ()
    assert not (root / "cleaning.csv").exists()


def test_undoing_overwrites_nothing(root: Path) -> None:
    apply_decisions(root, decide(root, {"crossing/a.png": "move to empty"}))
    (root / "crossing/a.png").write_bytes(b"since appeared")
    assert [left.why for left in undo(root).left] == ["there is another crossing/a.png now: move one of them away"]
    assert (root / "crossing/a.png").read_bytes() == b"since appeared"
    (root / "crossing/a.png").unlink()
    assert undo(root).restored == 1
    assert (root / "crossing/a.png").read_bytes() == photo(0)


def test_what_tables_tell_of_a_photo_follows_it(root: Path) -> None:
    (root / "manifest.csv").write_text("file,scene\ncrossing/b.png,square\nempty/b.png,lane\n")
    (root / "sources.csv").write_text("file,page_url,author\ncrossing/b.png,https://example.org/1,Ada\n")

    def told() -> dict[str, tuple[str | None, ...]]:
        return {photo.file: (photo.scene, photo.source, photo.author) for photo in load_folder(root).photos}

    before = told()
    apply_decisions(root, decide(root, {"crossing/b.png": "move to empty"}))
    assert told()["empty/b-2.png"] == ("square", "example.org", "Ada")
    assert told()["empty/b.png"] == ("lane", None, None)
    (root / "crossing/b.png").write_bytes(photo(40))
    apply_decisions(root, decide(root, {"empty/b-2.png": "move to crossing"}))
    assert told()["crossing/b-2.png"] == ("square", "example.org", "Ada")
    (root / "crossing/b.png").unlink()
    undo(root)
    assert told() == before


def test_one_command_at_a_time(root: Path) -> None:
    table = decide(root, {"crossing/a.png": "move to empty"})
    with folder_lock(root):
        for action in (lambda: apply_decisions(root, table), lambda: undo(root)):
            with pytest.raises(OutputError, match="another roadclear command is at work"):
                action()


def test_no_such_folder(tmp_path: Path) -> None:
    table = tmp_path / "decisions.csv"
    table.write_text("file,sha256,decision\n")
    for action in (lambda: apply_decisions(tmp_path / "photos", table), lambda: undo(tmp_path / "photos")):
        with pytest.raises(DatasetError, match="expected a folder of photos, found none"):
            action()
