"""Lettering: any text fits, and what the font cannot draw is escaped."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.model.drawing.lettering import drawable, fit, text_width


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("road 1.jpg", "road 1.jpg"),
        ("日", "\\u65e5"),
        ("é", "\\xe9"),
        ("😀", "\\U0001f600"),
        (os.fsdecode(b"\xe9"), "\\udce9"),
        ("a\nb\t", "a\\nb\\t"),
    ],
)
def test_what_has_no_sign_is_escaped(text: str, drawn: str) -> None:
    assert drawable(text) == drawn


@given(st.text(max_size=80), st.integers(60, 400))
def test_any_text_fits(text: str, width: int) -> None:
    fitted = fit(text, 15, width)
    assert text_width(fitted, 15) <= width
    assert fitted.isprintable()


def test_of_a_long_name_both_ends_are_kept() -> None:
    fitted = fit("first" + "-" * 500 + "last.jpg", 15, 300)
    assert fitted.startswith("first-") and fitted.endswith("-last.jpg")
