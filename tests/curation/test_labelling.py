"""Unlabelled photos move to the labels that a person decided on, and every move can be taken back."""

import os
from pathlib import Path

import pytest
from deciding import decide
from folders import die_before_step, photo, tree, write_folder

from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import Restoring, restore
from roadclear.curation.labelling import label_photos, unlabel_photos
from roadclear.curation.mount import check_places
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError

ODD = os.fsdecode(b'odd \xff\n".png')
DECISIONS = {
    "a.png": "move to crossing",
    "camera/b.png": "move to empty",
    f"camera/{ODD}": "move to empty",
    "c.png": "set aside",
    "d.png": "",
}


@pytest.fixture
def new(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    for seed, name in enumerate(DECISIONS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo(seed))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", {"crossing/a.png": photo(20), "empty/z.png": photo(21)})


def files(*folders: Path) -> dict[str, int]:
    """Photo -> its inode, in several folders."""
    found = [(path, folder) for folder in folders for path in folder.rglob("*.png")]
    return {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.lstat().st_ino for path, folder in found}


def test_photos_go_to_their_labels_and_come_back(root: Path, new: Path) -> None:
    before = files(root, new)
    done = label_photos(root, new, decide(new, DECISIONS))
    assert (done.labelled, done.set_aside, done.earlier, done.left) == (3, 1, 0, ())
    after = files(root, new)
    places = {
        "new/a.png": "photos/crossing/a-2.png",
        "new/camera/b.png": "photos/empty/camera/b.png",
        f"new/camera/{ODD}": f"photos/empty/camera/{ODD}",
        "new/c.png": "photos/.quarantine/set-aside/c.png",
    }
    assert after == {places.get(file, file): inode for file, inode in before.items()}
    assert len(load_folder(root).photos) == 5
    assert unlabel_photos(root, new) == Restoring(4, ())
    assert files(root, new) == before
    assert not (root / "cleaning.csv").exists() and not (root / ".quarantine").exists()


def test_a_folder_of_labels_is_made(tmp_path: Path, new: Path) -> None:
    root = tmp_path / "deep" / "photos"
    assert label_photos(root, new, decide(new, DECISIONS)).labelled == 3
    assert load_folder(root).labels == ("crossing", "empty")
    assert unlabel_photos(root, new).restored == 4
    assert len(files(new)) == len(DECISIONS)


def test_decisions_are_applied_once(root: Path, new: Path) -> None:
    table = decide(new, DECISIONS)
    label_photos(root, new, table)
    after = tree(root)
    again = label_photos(root, new, table)
    assert (again.labelled, again.set_aside, again.earlier, again.left) == (0, 0, 4, ())
    assert {name: status[1] for name, status in tree(root).items() if name != "cleaning.csv"} == {
        name: status[1] for name, status in after.items() if name != "cleaning.csv"
    }


def test_what_changed_is_gone_or_is_a_link_stays(root: Path, new: Path, tmp_path: Path) -> None:
    (new / "link.png").symlink_to(new / "d.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.png").write_bytes(photo(9))
    (new / "behind").symlink_to(tmp_path / "elsewhere")
    names = ("a.png", "c.png", "link.png", "behind/e.png", "camera/b.png")
    table = decide(new, dict.fromkeys(names, "move to empty"))
    (new / "a.png").write_bytes(photo(30))
    (new / "c.png").unlink()
    done = label_photos(root, new, table)
    assert done.labelled == 1
    assert {left.file: left.why for left in done.left} == {
        "a.png": "is not the photo that was looked at: triage again",
        "c.png": "is gone",
        "link.png": "is a link: put the photo in its place",
        "behind/e.png": "lies behind a link to a folder: move it by hand",
    }
    assert (tmp_path / "elsewhere" / "e.png").exists()


@pytest.mark.parametrize("file", ["../photos/empty/z.png", "/etc/passwd", ".hidden/a.png", "camera/../a.png", "."])
def test_a_name_that_leads_elsewhere_moves_nothing(root: Path, new: Path, file: str) -> None:
    (new / ".hidden").mkdir()
    (new / ".hidden" / "a.png").write_bytes(photo(8))
    table = new.parent / "decisions.csv"
    table.write_text(f"file,sha256,decision\n{file},{'0' * 64},move to empty\n")
    before = files(root, new)
    (left,) = label_photos(root, new, table).left
    assert (left.file, left.why) == (file, f"is no photo of {str(new)!r}")
    assert files(root, new) == before


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("bridge", r"expected two labels .* found 3 \('bridge', 'crossing', 'empty'\)"),
        ("../empty", r"names of folders .* found '\.\./empty'"),
        (".hidden", r"names of folders .* found '\.hidden'"),
        ("a/b", "names of folders .* found 'a/b'"),
        ("test", "names of folders .* found 'test'"),
    ],
)
def test_a_label_that_cannot_be_is_refused_whole(root: Path, new: Path, label: str, found: str) -> None:
    before = files(root, new)
    with pytest.raises(DatasetError, match=f"{found}.*nothing was moved"):
        label_photos(root, new, decide(new, {"c.png": "move to empty", "a.png": f"move to {label}"}))
    assert files(root, new) == before


def test_split_folders_are_refused(tmp_path: Path, new: Path) -> None:
    root = tmp_path / "photos"
    (root / "train" / "empty").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"expected label folders .* found the split folder 'train'"):
        label_photos(root, new, decide(new, DECISIONS))


def test_folders_between_which_nothing_can_move(root: Path, new: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none at"):
        check_places(root, tmp_path / "nowhere")
    for photos, unlabelled in ((root, root), (root, root / "empty"), (new.parent, new)):
        with pytest.raises(DatasetError, match="neither lies in the other"):
            check_places(photos, unlabelled)
    (tmp_path / "labels.csv").write_text("file,label\n")
    with pytest.raises(DatasetError, match="found the file"):
        check_places(tmp_path / "labels.csv", new)
    if Path("/dev/shm").is_dir() and Path("/dev/shm").stat().st_dev != new.stat().st_dev:
        with pytest.raises(DatasetError, match="found another one: copy"):
            check_places(Path("/dev/shm/photos"), new)


def test_a_photo_that_was_moved_on_stays_until_that_is_taken_back(root: Path, new: Path) -> None:
    before = files(root, new)
    label_photos(root, new, decide(new, {"a.png": "move to crossing", "c.png": "move to empty"}))
    apply_decisions(root, decide(root, {"empty/c.png": "move to crossing"}))
    result = unlabel_photos(root, new)
    assert result.restored == 1
    assert [(left.file, left.why) for left in result.left] == [
        ("empty/c.png", "was moved on since: take that move back first")
    ]
    assert undo(root).restored == 1
    assert unlabel_photos(root, new).restored == 1
    assert files(root, new) == before


@pytest.mark.parametrize("back", [restore, undo])
def test_other_commands_leave_labelled_photos_where_they_are(root: Path, new: Path, back: object) -> None:
    label_photos(root, new, decide(new, DECISIONS))
    labelled = files(root, new)
    assert back(root).restored == 0  # type: ignore[operator]
    assert files(root, new) == labelled
    assert unlabel_photos(root, new).restored == 4


def test_another_folder_gets_no_photo_back(root: Path, new: Path, tmp_path: Path) -> None:
    label_photos(root, new, decide(new, DECISIONS))
    other = tmp_path / "other"
    other.mkdir()
    assert unlabel_photos(root, other).restored == 0
    assert list(other.iterdir()) == []


def test_going_back_overwrites_nothing(root: Path, new: Path) -> None:
    label_photos(root, new, decide(new, {"a.png": "move to empty"}))
    (new / "a.png").write_bytes(photo(40))
    result = unlabel_photos(root, new)
    assert [left.why for left in result.left] == [f"there is another {new}/a.png now: move one of them away"]
    assert (new / "a.png").read_bytes() == photo(40)


def test_a_forged_journal_reaches_no_unlabelled_folder(root: Path, new: Path) -> None:
    label_photos(root, new, decide(new, {"a.png": "move to empty"}))
    journal = root / "cleaning.csv"
    for forged in ("../a.png", ".unlabelled/../../a.png"):
        text = journal.read_text()
        journal.write_text(text.replace(".unlabelled/a.png", forged))
        with pytest.raises(DatasetError, match="found a move from"):
            unlabel_photos(root, new)
        journal.write_text(text)
    assert unlabel_photos(root, new).restored == 1


@pytest.mark.skipif(os.name != "posix", reason="kills processes")
@pytest.mark.parametrize("killed", ["label", "unlabel"])
def test_a_kill_at_every_step_loses_no_photo(root: Path, new: Path, killed: str) -> None:
    before, table = files(root, new), decide(new, DECISIONS)
    step = 0
    died = True
    while died:
        step += 1
        if killed == "unlabel":
            label_photos(root, new, table)
        died = die_before_step(
            step, lambda: (label_photos(root, new, table) if killed == "label" else unlabel_photos(root, new), None)[1]
        )
        assert sorted(files(root, new).values()) == sorted(before.values())
        label_photos(root, new, table)
        assert len(files(new)) == 1
        assert unlabel_photos(root, new).left == ()
        assert files(root, new) == before
    assert step > 4
