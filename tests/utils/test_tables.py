"""Tables keep every cell and every name, and JSON is JSON."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadclear.utils.tables import csv_bytes, csv_lines, number_or_none, read_records, read_rows, to_json

# A lone carriage return or line feed comes back as it went, but two rows may not be told from one empty cell.
CELLS = st.one_of(st.text(), st.binary().map(os.fsdecode))
TABLES = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES)
def test_every_cell_comes_back(tmp_path: Path, table: list[list[str]]) -> None:
    table = [["\ufefe", *row] for row in table]  # a first cell that begins with a byte order mark would lose it
    (tmp_path / "table.csv").write_bytes(csv_bytes(table[0], table[1:]))
    assert read_rows(tmp_path / "table.csv", strict=True) == table


def test_a_table_is_its_lines(tmp_path: Path) -> None:
    assert csv_bytes(("a", "b"), [(1, "x,y"), (None, 'say "no"')]) == b'a,b\r\n1,"x,y"\r\n,"say ""no"""\r\n'
    assert csv_bytes(("a",)) + csv_lines([("1",)]) == csv_bytes(("a",), [("1",)])


def test_records_are_rows_by_column(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"\xef\xbb\xbffile,label\r\n\r\ncaf\xe9.jpg,empty\r\nb.jpg\r\nc.jpg,1,2\r\n")
    columns, rows = read_records(tmp_path / "table.csv")
    assert columns == ["file", "label"]
    assert rows == [
        {"file": os.fsdecode(b"caf\xe9.jpg"), "label": "empty"},
        {"file": "b.jpg", "label": None},
        {"file": "c.jpg", "label": "1", None: ["2"]},
    ]


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "table.csv").touch()
    assert read_rows(tmp_path / "table.csv") == []
    assert read_records(tmp_path / "table.csv") == ([], [])


def test_other_bytes_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"caf\xe9\n")
    assert read_rows(tmp_path / "table.csv", errors="replace") == [["caf\ufffd"]]


@pytest.mark.parametrize("read", [read_rows, read_records])
def test_what_cannot_be_read(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.csv")
    (tmp_path / "cut.csv").write_bytes(b'a,b\n"1')
    with pytest.raises(csv.Error):
        read(tmp_path / "cut.csv", strict=True)


def test_json_is_ascii_and_knows_no_nan() -> None:
    name = os.fsdecode(b"caf\xe9 \xe6\x97\xa5")
    assert to_json({"file": name}).isascii()
    assert json.loads(to_json({"file": name})) == {"file": name}
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))
    assert [number_or_none(value) for value in (0.5, float("nan"), float("inf"))] == [0.5, None, None]
