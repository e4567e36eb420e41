"""Which label is positive, told from the names where they tell, and whether there are enough photos of each."""

from collections.abc import Mapping

import pytest

from roadclear.data.labels import check_enough, choose_positive
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
        ],
    )
    def test_names_that_tell(self, labels: tuple[str, str], positive: str) -> None:
        assert choose_positive(labels, None) == positive
        assert choose_positive(labels[::-1], None) == positive

    @pytest.mark.parametrize("labels", [("cat", "dog"), ("empty", "no people"), ("0", "1"), ("-", "+")])
    def test_names_that_do_not(self, labels: tuple[str, str]) -> None:
        with pytest.raises(OptionError) as caught:
            choose_positive(labels, None)
        assert str(caught.value) == (
            f"which of {labels[0]!r} and {labels[1]!r} is the positive label, the one to find? "
            f"Say so with --positive (in Python: positive=), for example --positive {labels[0]}"
        )

    @pytest.mark.parametrize("wished", ["crossing", "empty"])
    def test_a_wish_comes_first(self, wished: str) -> None:
        assert choose_positive(("crossing", "empty"), wished) == wished

    def test_a_wish_must_be_a_label(self) -> None:
        with pytest.raises(OptionError, match="must be one of 'crossing' and 'empty', got 'Crossing'"):
            choose_positive(("crossing", "empty"), "Crossing")
