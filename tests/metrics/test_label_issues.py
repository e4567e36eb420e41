"""Confident learning: a joint counted by hand, and what must hold for any probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.errors import DatasetError
from roadclear.metrics.label_issues import find_label_issues

# Label, P(positive) and, by hand, the class that the photo counts for. The thresholds are the means of the given
# labels' probabilities: negative (0.9 + 0.8 + 0.7 + 0.2) / 4 = 0.65, positive (0.9 + 0.9 + 0.6 + 0.0) / 4 = 0.6.
BY_HAND = [
    (False, 0.1, "negative"),
    (False, 0.2, "negative"),
    (False, 0.3, "negative"),
    (False, 0.8, "positive"),
    (True, 0.9, "positive"),
    (True, 0.9, "positive"),
    (True, 0.6, "positive"),
    (True, 0.0, "negative"),
]


def test_a_worked_example() -> None:
    positive = np.array([label for label, _, _ in BY_HAND])
    found = find_label_issues(positive, np.array([p for _, p, _ in BY_HAND]))
    assert found.thresholds == pytest.approx((0.65, 0.6))
    assert found.joint.tolist() == [[3, 1], [1, 3]]
    assert found.suggested.tolist() == [counts != ("positive" if label else "negative") for label, _, counts in BY_HAND]
    assert found.ranked[:3].tolist() == [7, 3, 6]
    assert found.wrong_share == (0.25, 0.25)


@pytest.mark.parametrize(
    ("probability", "counts_for_other"),
    [(0.5, False), (0.6, True), (0.45, False), (0.0, False)],
)
def test_a_photo_counts_for_the_likelier_class_whose_threshold_it_reaches(
    probability: float, counts_for_other: bool
) -> None:
    """A negative photo among others that leave both thresholds at about 0.5; in doubt the label stands."""
    positive = np.array([True] * 100 + [False] * 100 + [False])
    others = np.array([0.5] * 200)
    assert find_label_issues(positive, np.append(others, probability)).suggested[-1] == counts_for_other


def test_a_class_that_is_told_badly_has_a_low_threshold() -> None:
    """A photo at 0.55 counts for a class that usually reaches 0.5, though not for one that usually reaches 0.9."""
    positive = np.array([True] * 50 + [False] * 50 + [False])
    told_badly = find_label_issues(positive, np.array([0.5] * 50 + [0.1] * 50 + [0.55]))
    told_well = find_label_issues(positive, np.array([0.9] * 50 + [0.1] * 50 + [0.55]))
    assert told_badly.suggested[-1]
    assert not told_well.suggested[-1]


SAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, 64)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@given(SAMPLES)
def test_swapping_the_classes_changes_nothing(rows: list[tuple[bool, int]]) -> None:
    positive, probability = np.array([label for label, _ in rows]), np.array([p / 64 for _, p in rows])
    one, other = find_label_issues(positive, probability), find_label_issues(~positive, 1 - probability)
    assert one.ranked.tolist() == other.ranked.tolist()
    assert one.suggested.tolist() == other.suggested.tolist()
    assert one.joint.tolist() == other.joint[::-1, ::-1].tolist()
    assert one.wrong_share == other.wrong_share[::-1]


@given(SAMPLES)
def test_what_always_holds(rows: list[tuple[bool, int]]) -> None:
    positive, probability = np.array([label for label, _ in rows]), np.array([p / 64 for _, p in rows])
    found = find_label_issues(positive, probability)
    assert sorted(found.ranked.tolist()) == list(range(len(rows)))
    assert np.all(np.diff(found.self_confidence[found.ranked]) >= 0)
    assert found.suggested.sum() == found.joint[0, 1] + found.joint[1, 0]
    assert found.joint.sum() <= len(rows)
    assert all(0 <= share <= 1 for share in found.wrong_share)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.4)), min_size=2).filter(lambda r: len({x for x, _ in r}) == 2))
def test_labels_that_the_model_agrees_with_are_not_suspected(rows: list[tuple[bool, float]]) -> None:
    positive = np.array([label for label, _ in rows])
    probability = np.array([1 - doubt if label else doubt for label, doubt in rows])
    found = find_label_issues(positive, probability)
    assert not found.suggested.any()
    assert found.wrong_share == (0.0, 0.0)


@pytest.mark.parametrize(
    ("positive", "probability", "message"),
    [
        ([True, True], [0.5, 0.5], "expected photos of both labels"),
        ([], [], "expected photos of both labels"),
        ([True, False], [0.5, np.nan], "expected out-of-fold probabilities from 0 to 1"),
        ([True, False], [0.5, 1.5], "expected out-of-fold probabilities from 0 to 1"),
    ],
)
def test_what_cannot_be_judged(positive: list[bool], probability: list[float], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        find_label_issues(np.array(positive, dtype=bool), np.array(probability))
