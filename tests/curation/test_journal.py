"""The journal keeps every name, and is believed only where it stays inside its folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.curation.journal import Move, read_journal, write_journal
from roadclear.errors import DatasetError

HEADER = "moved_at,reason,detail,label,from,to,sha256,kept\n"
NAMES = st.binary(min_size=1, max_size=40).map(
    lambda raw: os.fsdecode(b"photo " + raw.replace(b"\0", b"0").replace(b"/", b"_"))
)


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=5))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str, str]]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    moves = [
        Move("now", "unreadable", detail, "empty", f"empty/{name}", f".quarantine/unreadable/{name}", "", kept)
        for name, detail, kept in names
    ]
    write_journal(folder, moves)
    assert read_journal(folder) == moves


def test_no_moves_no_journal(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == []
    write_journal(tmp_path, [Move("", "blank", "", "", "a/b", ".quarantine/b", "", "")])
    write_journal(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def row(origin: str, place: str, reason: str = "blank") -> str:
    return f"{HEADER}now,{reason},,empty,{origin},{place},,\n"


def test_a_relabelled_photo_goes_to_another_label_and_not_to_the_quarantine(tmp_path: Path) -> None:
    (tmp_path / "cleaning.csv").write_text(row("empty/a", "crossing/a", "relabelled"))
    (move,) = read_journal(tmp_path)
    assert (move.origin, move.place) == ("empty/a", "crossing/a")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", "a row that does not fit", id="empty"),
        pytest.param("file,scene\n", "the columns 'file, scene'", id="another table"),
        pytest.param(HEADER + "now,blank\n", "a row that does not fit", id="cut"),
        pytest.param(HEADER + '"now', "a row that does not fit", id="cut in quotes"),
        pytest.param(row("../../etc/cron", ".quarantine/a"), "a move from '../../etc/cron'", id="out of the folder"),
        pytest.param(row("/etc/cron", ".quarantine/a"), "a move from '/etc/cron'", id="absolute"),
        pytest.param(row("empty/a", "empty/b"), "a move .* to 'empty/b'", id="not from quarantine"),
        pytest.param(row("empty/a", ".quarantine/../../b"), "a move .* to '.quarantine/../../b'", id="around it"),
        pytest.param(row("empty/a", ".quarantine/a", "relabelled"), "a move .* to '.quarantine/a'", id="no label"),
        pytest.param(row("empty/a", "../a", "relabelled"), "a move .* to '../a'", id="to the outside"),
        pytest.param(row(".quarantine/a", ".quarantine/b"), "a move from '.quarantine/a'", id="within quarantine"),
    ],
)
def test_a_file_that_is_no_journal_moves_nothing(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "cleaning.csv").write_text(text)
    with pytest.raises(DatasetError, match=f"expected in .*cleaning.csv' what `roadclear clean` wrote.*{found}"):
        read_journal(tmp_path)
    assert (tmp_path / "cleaning.csv").read_text() == text


def test_a_journal_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cleaning.csv").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read .*cleaning.csv': Is a directory"):
        read_journal(tmp_path)
