"""Names of new files, and contents that a folder has already."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.curation.adding import Contents, file_name
from roadclear.curation.journal import Move


def test_a_content_is_known_wherever_a_move_has_brought_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    contents = Contents(lambda file: tmp_path / file)
    contents.remember(["a.jpg", "gone.jpg"])
    assert contents.has(b"one", []) and not contents.has(b"two", []) and not contents.has(b"other", [])
    (tmp_path / "a.jpg").rename(tmp_path / "b.jpg")
    assert not contents.has(b"one", [])
    assert contents.has(b"one", [Move("", "relabelled", "", "", "a.jpg", "b.jpg", "", "")])
    assert not contents.has(b"one", [Move("", "set-aside", "", "", "a.jpg", ".quarantine/b.jpg", "", "")])


@given(st.text(max_size=300))
def test_any_name_becomes_a_file_name(name: str) -> None:
    made = file_name(name)
    assert made == file_name(made) and made.isprintable() and made.strip(" .") == made
    assert made and not set(made) & set('/\\<>:"|?*') and len(made.encode()) <= 161


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.JPG", "a.JPG"),
        (".hidden.jpg", "hidden.jpg"),
        ('<img src="x" onerror=alert(1)>.jpg', "_img src=_x_ onerror=alert(1)_.jpg"),
        ("", "photo"),
        ("straße äöü.png", "straße äöü.png"),
    ],
)
def test_names_of_files(name: str, expected: str) -> None:
    assert file_name(name) == expected
