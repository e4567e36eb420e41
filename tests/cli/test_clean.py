"""`roadclear clean`, as a process of its own."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
from folders import LABELS, messy_folder, photo, tree, write_folder
from process import QUICK, roadclear

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="makes pipes"), pytest.mark.slow]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return messy_folder(tmp_path / "photos")


def counts(out: bytes) -> dict[str, int]:
    """Reason -> files, from the printed table."""
    return {reason: int(n) for reason, n in re.findall(r"^ *([a-z-]+) +(\d+) ", out.decode(), re.MULTILINE)}


EXPECTED = {"unreadable": 7, "too-small": 1, "blank": 1, "conflicting-label": 2, "duplicate": 1}


@pytest.mark.parametrize("option", ["--dry-run", "--html"])
def test_a_look_moves_nothing(root: Path, option: str) -> None:
    before = tree(root)
    page, listed = root.parent / "review.html", root.parent / "unsuitable.csv"
    ended = roadclear("clean", root, option, *([page, "--out", listed] if option == "--html" else []))
    assert (ended.code, ended.err) == (0, "")
    assert counts(ended.out) == EXPECTED
    assert "12 of 14 files are unsuitable. Nothing was moved." in ended.out.decode()
    assert page.exists() == listed.exists() == (option == "--html")
    if listed.exists():
        with listed.open(newline="", encoding="utf-8", errors="surrogateescape") as table:
            assert len(list(csv.reader(table))) == 1 + 12
    assert tree(root) == before


def test_clean_then_restore(root: Path) -> None:
    before = tree(root)
    ended = roadclear("clean", root)
    assert (ended.code, ended.err) == (0, "")
    assert counts(ended.out) == EXPECTED
    assert (root / "cleaning.csv").exists()
    assert f"roadclear clean {root} --restore" in ended.out.decode()
    ended = roadclear("clean", root, "--restore")
    assert (ended.code, ended.out.decode().strip()) == (0, "12 files were put back.")
    assert tree(root) == before


def test_json(root: Path) -> None:
    told = json.loads(roadclear("clean", root, "--json").out)
    assert told["photos"] == 14
    assert {finding["moved"] for finding in told["findings"]} == {True}
    (duplicate,) = (finding for finding in told["findings"] if finding["reason"] == "duplicate")
    assert duplicate["kept"] == "crossing/same.bmp"
    assert json.loads(roadclear("clean", root, "--restore", "--json").out) == {"restored": 12, "left": []}


def test_the_classic_rule(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "photos", {"crossing/a.jpg": photo(1, "GIF"), "empty/b": photo(2, "JPEG"), "empty/c.png": photo(3)}
    )
    assert counts(roadclear("clean", root, "--dry-run", "--no-look-alikes").out) == {}
    ended = roadclear("clean", root, "--formats", "jpeg,png", "--no-look-alikes")
    assert counts(ended.out) == {"unsupported": 1}
    assert (root / ".quarantine/unsupported/crossing/a.jpg").exists()


def test_names_are_printed_as_they_are_and_on_one_line(tmp_path: Path) -> None:
    names = {"empty/[red]x.jpg": b"", os.fsdecode(b"empty/\xff\x1b[2J\n.jpg"): b""}
    ended = roadclear("clean", write_folder(tmp_path / "photos", names), "--dry-run", "--no-look-alikes")
    assert ended.code == 0
    assert b"empty/[red]x.jpg: the file is empty" in ended.out
    assert b"empty/\\udcff\\x1b[2J\\n.jpg: the file is empty" in ended.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--restore", "--dry-run"), 2, "expected one or the other"),
        (("--formats", "psd"), 2, "formats must be some of JPEG"),
        (("--min-side", "0"), 2, "min_side must be at least 1"),
    ],
)
def test_wrong_usage(root: Path, options: tuple[str, ...], code: int, message: str) -> None:
    ended = roadclear("clean", root, *options)
    assert ended.code == code
    assert message in ended.error()


def test_what_cannot_be_put_back_is_told(root: Path) -> None:
    roadclear("clean", root)
    (root / "crossing" / "cut.png").write_bytes(b"new")
    ended = roadclear("clean", root, "--restore")
    assert ended.code == 1
    assert "1 file could not be moved:" in ended.err
    assert ".quarantine/unreadable/crossing/cut.png: there is another crossing/cut.png now" in ended.err


def test_a_cleaned_folder_trains(tmp_path: Path) -> None:
    photos = {f"{label}/{n}.png": photo(100 * at + n) for at, label in enumerate(LABELS) for n in range(24)}
    root = write_folder(tmp_path / "photos", photos | {"crossing/broken.jpg": photo(1)[:99], "empty/x.jpg": b"text"})
    assert counts(roadclear("clean", root).out) == {"unreadable": 2}
    trained = roadclear("train", root, *QUICK, "--out", tmp_path / "run")
    assert (trained.code, trained.err) == (0, "")
