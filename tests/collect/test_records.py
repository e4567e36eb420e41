"""The tables of a collection: any text survives, a row that was cut short does not, and other tables are refused."""

import os
import shutil
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadclear.collect.candidate import Candidate
from roadclear.collect.records import (
    RejectionRecord,
    SourceRecord,
    append_rejection,
    append_source,
    read_rejections,
    read_sources,
    write_rejections,
    write_sources,
)
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import DatasetError, OutputError

TIME = "2026-01-01T00:00:00+00:00"


def record(file: str = "crossing/a.jpg", **facts: str) -> SourceRecord:
    candidate = Candidate("museum", "a road", 1, "https://m.example/1", **facts)  # type: ignore[arg-type]
    return SourceRecord(**vars(SourceRecord.of(candidate, "crossing")) | {"file": file, "retrieved_at": TIME})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), min_size=3, max_size=3))
def test_any_text_is_written_on_one_line_and_read_back(tmp_path: Path, texts: list[str]) -> None:
    folder = tmp_path / "table"
    shutil.rmtree(folder, ignore_errors=True)
    title, author, licence = texts
    source = record(title=title, author=author, licence=licence)
    write_sources(folder, [source])
    append_source(folder, source)
    write_rejections(folder, [RejectionRecord(RejectionReason.NOT_A_PHOTO, title, source)])
    assert read_sources(folder) == [source, source]
    assert read_rejections(folder)[0].source == source
    assert len((folder / "sources.csv").read_bytes().splitlines()) == 3


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
def test_a_subfolder_whose_name_is_not_utf8_does_not_stop_the_collection(tmp_path: Path) -> None:
    """People sort photos into subfolders of any name. The name of the photo itself stays readable."""
    write_sources(tmp_path, [record(os.fsdecode(b"crossing/caf\xe9/a.jpg"))])
    (source,) = read_sources(tmp_path)
    assert source.file.startswith("crossing/caf") and source.file.endswith("/a.jpg")


def test_no_tables_no_rows(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
    assert read_rejections(tmp_path) == []


@pytest.mark.parametrize("kept", range(1, 60, 3))
def test_a_last_row_that_was_cut_short_is_dropped(tmp_path: Path, kept: int) -> None:
    rejection = RejectionRecord(RejectionReason.TOO_SMALL, "10 x 10 pixels, expected more", record())
    write_rejections(tmp_path, [rejection])
    whole = (tmp_path / "rejected.csv").read_bytes()
    append_rejection(tmp_path, rejection)
    assert read_rejections(tmp_path) == [rejection, rejection]
    cut = (tmp_path / "rejected.csv").read_bytes()[: len(whole) + kept]
    (tmp_path / "rejected.csv").write_bytes(cut)
    assert read_rejections(tmp_path) == [rejection]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("file,label\na.jpg,crossing\n", "the columns 'file, label'"),
        (",".join(vars(record())) + "\na.jpg,crossing\n" + ",".join(astuple(record())), "a row that does not fit"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "sources.csv").write_text(content)
    with pytest.raises(DatasetError, match=f"what `roadclear collect` wrote there, found {found}"):
        read_sources(tmp_path)


def test_a_reason_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    write_rejections(tmp_path, [RejectionRecord(RejectionReason.TOO_SMALL, "", record())])
    table = tmp_path / "rejected.csv"
    table.write_text(table.read_text().replace("too-small", "too-blue"))
    with pytest.raises(DatasetError, match="'too-blue' is not a valid RejectionReason"):
        read_rejections(tmp_path)


def test_a_table_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sources.csv").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read .*sources.csv': Is a directory; make it readable"):
        read_sources(tmp_path)
    with pytest.raises(OutputError, match=r"cannot write .*sources.csv': Is a directory; no photo is lost: make room"):
        append_source(tmp_path, record())
