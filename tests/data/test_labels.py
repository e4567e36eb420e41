"""Which label is positive, told from the names where they tell, and whether there are enough photos of each."""

from collections.abc import Mapping

import pytest

from roadclear.data.labels import check_enough, choose_positive, explain_choice
from roadclear.errors import DatasetError, OptionError


class TestCheckEnough:
    @pytest.mark.parametrize("counts", [{"a": 10, "b": 10}, {"a": 10, "b": 1000}])
    def test_ten_of_each_label_are_enough(self, counts: Mapping[str, int]) -> None:
        check_enough([label for label, n in counts.items() for _ in range(n)], ("a", "b"))

    @pytest.mark.parametrize(("counts", "label"), [({"a": 9, "b": 10}, "a"), ({"a": 100}, "b"), ({}, "a")])
    def test_fewer_are_not(self, counts: Mapping[str, int], label: str) -> None:
        found = counts.get(label, 0)
        with pytest.raises(
            DatasetError, match=f"^expected at least 10 readable photos of each label, found {found} of '{label}'"
        ):
            check_enough([name for name, n in counts.items() for _ in range(n)], ("a", "b"))


class TestChoosePositive:
    @pytest.mark.parametrize(
        ("labels", "positive"),
        [
            (("crossing", "empty"), "crossing"),
            (("clear", "people"), "people"),
            (("no-people", "people"), "people"),
            (("helmet", "without_helmet"), "helmet"),
            (("Not Hotdog", "hotdog"), "hotdog"),
            (("NEGATIVE", "POSITIVE"), "POSITIVE"),
            (("background", "car"), "car"),
            (("_none", "some"), "some"),
            (("false", "true"), "true"),
            (("nobody", "none"), "nobody"),
            (("north", "normal"), "north"),
            (("0", "1"), "1"),
            (("n", "y"), "y"),
            (("N", "s"), "s"),
            (("off", "on"), "on"),
            (("+", "-"), "+"),
        ],
    )
    def test_names_that_tell(self, labels: tuple[str, str], positive: str) -> None:
        assert choose_positive(labels, None) == positive
        assert choose_positive(labels[::-1], None) == positive

        assert explain_choice(labels) is None

    @pytest.mark.parametrize(
        ("labels", "option"),
        [(("cats", "dogs"), "cats"), (("empty", "no people"), "empty"), (("a b", "c"), "'a b'"), (("f", "t"), "f")],
    )
    def test_of_other_names_the_last_is_positive_and_a_sentence_says_so(
        self, labels: tuple[str, str], option: str
    ) -> None:
        assert choose_positive(labels, None) == choose_positive(labels[::-1], None) == labels[1]
        assert explain_choice(labels[::-1]) == (
            f"The positive label, the one to find, is {labels[1]!r}: the last in alphabetical order. "
            f"To find {labels[0]!r}, add --positive {option}."
        )

    @pytest.mark.parametrize("wished", ["crossing", "empty"])
    def test_a_wish_comes_first(self, wished: str) -> None:
        assert choose_positive(("crossing", "empty"), wished) == wished

    def test_a_wish_must_be_a_label(self) -> None:
        with pytest.raises(OptionError, match="must be one of 'crossing' and 'empty', got 'Crossing'"):
            choose_positive(("crossing", "empty"), "Crossing")
