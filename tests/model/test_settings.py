"""The options of the head and of the threshold: one aim at a time, in words that the model file keeps."""

import math
from typing import Any

import pytest

from roadclear.errors import OptionError
from roadclear.model.settings import DecisionSettings, HeadSettings, ThresholdSettings


class TestThresholdSettings:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (ThresholdSettings(), "balanced"),
            (ThresholdSettings(cost_fn=3, cost_fp=3), "balanced"),
            (ThresholdSettings(cost_fn=10), "a miss costs 10, a false alarm 1"),
            (ThresholdSettings(min_recall=0.99), "recall of at least 0.99"),
            (ThresholdSettings(min_precision=0.9), "precision of at least 0.9"),
        ],
    )
    def test_the_aim_in_words(self, settings: ThresholdSettings, words: str) -> None:
        assert settings.aim == words

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"min_recall": 0.0}, "min_recall must be above 0 and at most 1, got 0.0"),
            ({"min_recall": 1.01}, "min_recall must be above 0 and at most 1, got 1.01"),
            ({"min_recall": math.nan}, "min_recall must be above 0 and at most 1, got nan"),
            ({"min_precision": -1.0}, "min_precision must be above 0 and at most 1, got -1.0"),
            ({"cost_fn": 0.0}, "cost_fn must be above 0, got 0.0"),
            ({"cost_fp": math.inf}, "cost_fp must be above 0, got inf"),
            ({"min_recall": 0.9, "min_precision": 0.9}, "expected one aim for the threshold, found several: give a"),
            ({"min_recall": 0.9, "cost_fn": 2.0}, "expected one aim for the threshold, found several: give a"),
            ({"min_precision": 0.9, "cost_fp": 2.0}, "expected one aim for the threshold, found several: give a"),
        ],
    )
    def test_aims_that_are_refused(self, values: dict[str, float], message: str) -> None:
        with pytest.raises(OptionError, match=f"^{message}"):
            ThresholdSettings(**values)

    def test_equal_costs_beside_a_recall_are_no_second_aim(self) -> None:
        assert ThresholdSettings(min_recall=0.9, cost_fn=2, cost_fp=2).aim == "recall of at least 0.9"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"coverage": 0.49}, "coverage must be at least 0.5 and below 1, got 0.49"),
        ({"coverage": 1}, "coverage must be at least 0.5 and below 1, got 1"),
    ],
)
def test_coverage_is_a_share_that_photos_can_show(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        DecisionSettings(**values)
    assert str(caught.value) == message


def test_a_head_is_known_by_name() -> None:
    with pytest.raises(OptionError, match=r"^head must be one of dense, linear, got 'deep'$"):
        HeadSettings(head="deep")
