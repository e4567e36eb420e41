"""Text for a terminal or a page is one line that can be seen."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.utils.text import escape, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("road 1.jpg", "road 1.jpg"),
        ("日本 é", "日本 é"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\x1b[31m", "\\x1b[31m"),
        ("right\u202egpj", "right\\u202egpj"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
        (Path("a\rb"), "a\\rb"),
        ("", ""),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str | Path, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_any_text_becomes_printable_and_printable_text_stays(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_an_escape_is_pythons() -> None:
    assert [escape(character) for character in "\n日\U0001f600"] == ["\\n", "\\u65e5", "\\U0001f600"]
