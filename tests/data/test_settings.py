"""The options of groups: a pattern that is none is refused before any photo is read."""

import pytest

from roadclear.data.settings import GroupSettings
from roadclear.errors import OptionError


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x>.)(?P<x>.)"])
def test_what_is_no_regular_expression(pattern: str) -> None:
    with pytest.raises(OptionError) as caught:
        GroupSettings(group_by=pattern)
    assert str(caught.value).startswith(f"group_by must be a regular expression, got {pattern!r}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", [None, "", "cam[0-9]+", "(a)(b)"])
def test_patterns(pattern: str | None) -> None:
    assert GroupSettings(group_by=pattern).group_by == pattern
