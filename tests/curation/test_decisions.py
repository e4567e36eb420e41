"""A table of decisions is taken whole or not at all."""

import os
from pathlib import Path

import pytest
from folders import photo, write_folder

from roadclear.curation.decisions import Decision, match, read_decisions
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError

SHA = "0123456789abcdef" * 4


def table(folder: Path, *rows: str, header: str = "file,sha256,decision") -> Path:
    path = folder / "decisions.csv"
    path.write_bytes(os.fsencode("\r\n".join([header, *rows, ""])))
    return path


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (f"crossing/a.png,{SHA},move to empty", "empty"),
        (f"crossing/a.png,{SHA},set aside", None),
        (f'"crossing/a, ""b"".png",{SHA}, move to empty ', "empty"),
        (f"crossing/\udcff.png,{SHA},set aside", None),
        (f"crossing/右.png,{SHA},move to to", "to"),
    ],
)
def test_what_is_to_be_moved(tmp_path: Path, row: str, label: str | None) -> None:
    (decision,) = read_decisions(table(tmp_path, row))
    assert (decision.sha256, decision.label) == (SHA, label)


@pytest.mark.parametrize("decision", ["keep", "", "  ", "keep "])
def test_what_stays(tmp_path: Path, decision: str) -> None:
    assert read_decisions(table(tmp_path, f"crossing/a.png,,{decision}")) == []


def test_a_filled_in_triage_table_will_do_as_spreadsheets_save_it(tmp_path: Path) -> None:
    header = "\ufeffrank,reason,file,label,suggested,probability,decision,sha256"
    path = table(tmp_path, f"1,unsure,crossing/a.png,crossing,,0.5,move to empty,{SHA}", header=header)
    assert read_decisions(path) == [Decision("crossing/a.png", SHA, "empty")]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        pytest.param(["crossing/a.png,,empty"], "'move to LABEL'.*found 'empty'", id="a label alone"),
        pytest.param([f"crossing/a.png,{SHA},Keep"], "found 'Keep'", id="another case"),
        pytest.param([f"crossing/a.png,{SHA},delete"], "found 'delete'", id="unknown"),
        pytest.param(["crossing/a.png,,set aside"], "the SHA-256 of 'crossing/a.png'.*found ''", id="no hash"),
        pytest.param(["crossing/a.png,abc,set aside"], "the SHA-256 .*found 'abc'", id="no whole hash"),
        pytest.param(["crossing/a.png,,keep", "crossing/a.png,,"], "every file once", id="twice"),
        pytest.param(["crossing/a.png,"], "3 cells in row 1", id="too few cells"),
        pytest.param(["crossing/a.png,,keep,keep"], "3 cells in row 1", id="too many cells"),
        pytest.param(['"crossing'], "expected a CSV table", id="cut in quotes"),
    ],
)
def test_an_unsound_table_is_refused(tmp_path: Path, rows: list[str], found: str) -> None:
    with pytest.raises(DatasetError, match=f"{found}.*decisions.csv': nothing was moved; correct it, or triage again"):
        read_decisions(table(tmp_path, *rows))


@pytest.mark.parametrize("header", ["file,decision", "file;sha256;decision", ""])
def test_columns_that_are_lacking(tmp_path: Path, header: str) -> None:
    with pytest.raises(DatasetError, match="expected commas, and the columns file, sha256, decision, found"):
        read_decisions(table(tmp_path, header=header))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read .*No such file.*; nothing was moved: check the name"):
        read_decisions(tmp_path / "decisions.csv")


@pytest.mark.parametrize(
    ("file", "label", "found"),
    [
        ("../outside.png", None, "expected photos of"),
        ("crossing/../../outside.png", None, "expected photos of"),
        ("/etc/passwd", None, "expected photos of"),
        ("crossing/./a.png", None, "expected photos of"),
        ("a.png", None, "expected photos of"),
        ("", None, "expected photos of"),
        ("crossing", None, "expected photos of"),
        ("other/a.png", None, "expected photos of"),
        ("manifest.csv", None, "expected photos of"),
        (".quarantine/crossing/a.png", None, "expected photos of"),
        ("crossing/.hidden.png", None, "expected photos of"),
        ("crossing/link/a.png", None, "expected photos of"),
        ("crossing/a.png", "other", "expected 'move to crossing' or 'move to empty' .*found 'move to other'"),
        ("crossing/a.png", "../empty", "found 'move to ../empty'"),
        ("crossing/a.png", "", "found 'move to '"),
        ("crossing/gone.png", "other", "found 'move to other'"),
        ("crossing/a.png", "crossing", "expected another label for 'crossing/a.png', found the one that it has"),
    ],
)
def test_what_is_no_photo_or_no_label_of_the_folder(tmp_path: Path, file: str, label: str | None, found: str) -> None:
    files = {"crossing/a.png": photo(1), "crossing/.hidden.png": photo(2), "manifest.csv": b"file\n"}
    root = write_folder(tmp_path / "photos", files)
    (root / "crossing" / "link").symlink_to(root / "crossing")
    with pytest.raises(DatasetError, match=f"{found}.*nothing was moved"):
        match([Decision(file, SHA, label)], load_folder(root), "decisions.csv")


def test_photos_and_those_that_are_gone(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/a.png": photo(1)})
    decisions = [Decision("crossing/a.png", SHA, "empty"), Decision("empty/nested/gone.png", SHA, None)]
    matched = match(decisions, load_folder(root), "decisions.csv")
    assert [found and found.file for _, found in matched] == ["crossing/a.png", None]
