"""Changes one by one: relabel, set aside, add and undo, with a journal that every command reads."""

import os
import shutil
from pathlib import Path

import pytest

from roadclear.curation.apply import undo as undo_all
from roadclear.curation.clean import restore
from roadclear.curation.editing import Editor
from roadclear.curation.journal import QUARANTINE, read_journal
from roadclear.curation.labelling import unlabel_photos
from roadclear.errors import DatasetError, OptionError, OutputError
from roadclear.utils.locks import folder_lock

LABELS = ("crossing", "empty")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files a label, each with a content of its own."""
    for label in LABELS:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "photos" / label / f"{number}.jpg").write_bytes(f"{label} {number}".encode())
    return tmp_path / "photos"


@pytest.fixture
def editor(folder: Path) -> Editor:
    return Editor(folder, LABELS)


def contents(folder: Path) -> dict[str, str]:
    """Content of every file that is no table, hidden files included."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_photo_moves_and_comes_back(folder: Path, editor: Editor) -> None:
    before = contents(folder)
    assert editor.relabel(["crossing/0.jpg"], "empty").files == ("empty/0-2.jpg",), "the name is taken there"
    assert editor.relabel(["crossing/1.jpg", "empty/1.jpg"], "empty").files == ("empty/1-2.jpg",)
    assert len(read_journal(folder)) == 2
    assert editor.undoable() == 1
    assert editor.undo().files == ("crossing/1.jpg",)  # type: ignore[union-attr]
    assert editor.undo().files == ("crossing/0.jpg",)  # type: ignore[union-attr]
    assert editor.undo() is None and editor.undoable() == 0
    assert contents(folder) == before and read_journal(folder) == []


def test_there_and_back_leaves_no_move_and_can_be_undone(folder: Path, editor: Editor) -> None:
    editor.relabel(["crossing/0.jpg"], "empty")
    assert editor.relabel(["empty/0-2.jpg"], "crossing").files == ("crossing/0.jpg",)
    assert read_journal(folder) == []
    assert editor.undo().files == ("empty/0-2.jpg",)  # type: ignore[union-attr]
    assert [move.place for move in read_journal(folder)] == ["empty/0-2.jpg"]


def test_set_aside_takes_files_that_cannot_be_read(folder: Path, editor: Editor) -> None:
    (folder / "empty/nothing.jpg").write_bytes(b"")
    assert editor.set_aside(["empty/nothing.jpg", "empty/gone.jpg"]).left[0].why == "is gone"
    assert (folder / QUARANTINE / "set-aside/empty/nothing.jpg").is_file()
    editor.undo()
    assert (folder / "empty/nothing.jpg").is_file() and not (folder / QUARANTINE).exists()


def test_added_photos_are_one_step_and_go_to_the_quarantine(folder: Path, editor: Editor) -> None:
    before = contents(folder)
    added = [editor.add("empty", "0.jpg", f"new {number}".encode(), step="drop") for number in range(3)]
    assert added == ["empty/0-2.jpg", "empty/0-3.jpg", "empty/0-4.jpg"]
    assert editor.add("crossing", "again.jpg", b"new 1") is None, "the folder has it"
    assert editor.undoable() == 3
    editor.undo()
    assert {name: text for name, text in contents(folder).items() if not name.startswith(".")} == before
    assert sum(text.startswith("new") for text in contents(folder).values()) == 3, "nothing is lost"


def test_a_new_photo_does_not_take_the_name_of_one_that_moved(folder: Path, editor: Editor) -> None:
    editor.relabel(["crossing/0.jpg"], "empty")
    assert editor.add("crossing", "0.jpg", b"another") == "crossing/0-2.jpg"
    editor.undo()
    assert editor.undo().files == ("crossing/0.jpg",)  # type: ignore[union-attr]


def test_a_later_session_undoes_and_so_do_the_commands(folder: Path, editor: Editor) -> None:
    before = contents(folder)
    editor.relabel(["crossing/0.jpg", "crossing/1.jpg"], "empty")
    later = Editor(folder, LABELS)
    assert later.undoable() == 2
    assert set(later.undo().files) == {"crossing/0.jpg", "crossing/1.jpg"}  # type: ignore[union-attr]
    later.relabel(["crossing/3.jpg"], "empty")
    assert undo_all(folder).restored == 1
    later.set_aside(["crossing/2.jpg"])
    assert restore(folder).restored == 1
    assert later.undo() is None, "the commands have taken back what this session did"
    assert contents(folder) == before


def test_an_interrupted_change_is_taken_back_at_the_start(folder: Path, editor: Editor) -> None:
    before = contents(folder)
    editor.relabel(["crossing/0.jpg", "crossing/1.jpg"], "empty")
    journal = folder / "cleaning.csv"
    journal.write_text(journal.read_text().replace(read_journal(folder)[0].moved_at, ""))
    shutil.move(folder / "empty/1-2.jpg", folder / "crossing/1.jpg")
    Editor(folder, LABELS)
    assert contents(folder) == before and read_journal(folder) == []


def test_photos_that_changed_or_went_stay_and_are_told(folder: Path, editor: Editor) -> None:
    editor.relabel(["crossing/0.jpg"], "empty")
    (folder / "empty/0-2.jpg").write_bytes(b"another")
    undone = editor.undo()
    assert undone is not None and "is not the photo" in undone.left[0].why
    (folder / "crossing/1.jpg").unlink()
    assert editor.relabel(["crossing/1.jpg"], "empty").left[0].why == "is gone"


def test_labels_are_made_and_renamed_while_nothing_names_them(tmp_path: Path) -> None:
    editor = Editor(tmp_path / "new", ("b", "a"))
    assert editor.labels == ("a", "b")
    editor.add("a", "x.jpg", b"x")
    editor.rename(("cat", "dog"))
    assert contents(tmp_path / "new") == {"cat/x.jpg": "x"}
    for wrong in (("cat", "cat"), ("dog", "cat"), ("", "dog"), ("a/b", "dog"), (".a", "dog"), ("x" * 300, "dog")):
        with pytest.raises(OptionError):
            editor.rename(wrong)
    editor.relabel(["cat/x.jpg"], "dog")
    with pytest.raises(OptionError, match="rename the folders by hand"):
        editor.rename(("one", "two"))


def test_photos_of_split_folders_stay_in_their_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in LABELS:
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "a.jpg").write_bytes(f"{split} {label}".encode())
    editor = Editor(tmp_path, LABELS)
    assert editor.relabel(["test/crossing/a.jpg"], "empty").files == ("test/empty/a-2.jpg",)
    assert editor.add("empty", "b.jpg", b"b") == "train/empty/b.jpg"
    with pytest.raises(OptionError):
        editor.relabel(["train/empty/a.jpg"], "train")


def test_another_command_at_work_is_told(folder: Path, editor: Editor) -> None:
    with folder_lock(folder), pytest.raises(OutputError, match="another roadclear command"):
        editor.relabel(["crossing/0.jpg"], "empty")
    assert editor.undoable() == 0


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_no_link_leads_a_photo_out_of_the_folder(folder: Path, editor: Editor, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(folder / "empty")
    (folder / "empty").symlink_to(tmp_path / "elsewhere")
    edited = editor.relabel(["crossing/0.jpg"], "empty")
    assert edited.files == () and len(edited.left) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.fixture
def beside(folder: Path) -> Path:
    """Three unlabelled photos beside the folder."""
    place = folder.with_name("photos-unlabelled")
    (place / "frames").mkdir(parents=True)
    for name in ("0.jpg", "frames/1.jpg", "2.jpg"):
        (place / name).write_bytes(f"unlabelled {name}".encode())
    return place


def test_an_unlabelled_photo_gets_a_label_and_comes_back(folder: Path, beside: Path) -> None:
    editor, before = Editor(folder, LABELS, beside), contents(folder.parent)
    assert [photo.file for photo in editor.unlabelled()] == [
        f".unlabelled/{n}" for n in ("0.jpg", "2.jpg", "frames/1.jpg")
    ]
    chosen = [".unlabelled/0.jpg", ".unlabelled/frames/1.jpg", "empty/4.jpg", ".unlabelled/gone.jpg"]
    edited = editor.relabel(chosen, "crossing")
    assert set(edited.files) == {"crossing/0-2.jpg", "crossing/frames/1.jpg", "crossing/4-2.jpg"}
    assert [(one.file, one.why) for one in edited.left] == [(".unlabelled/gone.jpg", "is gone")]
    assert editor.undoable() == 3 and [photo.file for photo in editor.unlabelled()] == [".unlabelled/2.jpg"]
    assert set(editor.undo().files) == {".unlabelled/0.jpg", ".unlabelled/frames/1.jpg", "empty/4.jpg"}  # type: ignore[union-attr]
    assert contents(folder.parent) == before and read_journal(folder) == []


def test_unlabelled_photos_are_added_set_aside_and_undone(folder: Path, beside: Path) -> None:
    shutil.rmtree(beside)
    editor = Editor(folder, LABELS, beside)
    assert editor.unlabelled() == ()
    assert editor.add("", "a.jpg", b"a", step="drop") == ".unlabelled/a.jpg"
    assert editor.add("", "a.jpg", b"b", step="drop") == ".unlabelled/a-2.jpg"
    assert editor.add("", "c.jpg", b"crossing 1") is None, "a labelled photo has this content"
    assert editor.add("empty", "c.jpg", b"a") is None, "an unlabelled photo has this content"
    editor.set_aside([".unlabelled/a.jpg"])
    assert not (beside / "a.jpg").exists() and (folder / QUARANTINE / "set-aside/a.jpg").read_bytes() == b"a"
    assert editor.undo().files == (".unlabelled/a.jpg",)  # type: ignore[union-attr]
    assert len(editor.undo().files) == 2 and not list(beside.iterdir()), "the drop is one step"  # type: ignore[union-attr]


def test_the_command_takes_labels_back_and_a_later_session_too(folder: Path, beside: Path) -> None:
    before = contents(folder.parent)
    Editor(folder, LABELS, beside).relabel([".unlabelled/0.jpg"], "empty")
    assert unlabel_photos(folder, beside).restored == 1 and contents(folder.parent) == before
    Editor(folder, LABELS, beside).relabel([".unlabelled/0.jpg"], "empty")
    assert Editor(folder, LABELS).undoable() == 0, "without the folder the move cannot be taken back"
    assert Editor(folder, LABELS, beside).undo().files == (".unlabelled/0.jpg",)  # type: ignore[union-attr]
    assert contents(folder.parent) == before


def test_links_and_folders_in_folders_are_refused(folder: Path, beside: Path, tmp_path: Path) -> None:
    (tmp_path / "real.jpg").write_bytes(b"real")
    (beside / "link.jpg").symlink_to(tmp_path / "real.jpg")
    left = Editor(folder, LABELS, beside).relabel([".unlabelled/link.jpg"], "empty").left
    assert "is a link" in left[0].why and (tmp_path / "real.jpg").is_file()
    (folder / ".inside").mkdir()
    with pytest.raises(DatasetError, match="outside of"):
        Editor(folder, LABELS, folder / ".inside")
    with pytest.raises(OptionError, match="unlabelled photos"):
        Editor(folder, LABELS).add("", "a.jpg", b"a")
