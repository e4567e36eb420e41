"""The band from the kept probabilities is that of the training: never narrower, and wider by a rounding at most."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.model.decision.conformal import unsure_band
from roadclear.model.decision.validation_scores import MOST_SCORES, ValidationScores

COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.99)
ROUNDING = 1.01e-4


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Photos of both labels, judged with some mistakes."""
    draw = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    return positive, np.clip(draw.normal(np.where(positive, 0.7, 0.3), 0.3), 0, 1)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.floats(0, 1),
    st.sampled_from(COVERAGES),
)
def test_of_few_photos_all_are_kept(
    positive: list[float], negative: list[float], threshold: float, coverage: float
) -> None:
    truth = np.arange(len(positive) + len(negative)) < len(positive)
    probability = np.array([*positive, *negative])
    ours = ValidationScores.of(truth, probability).band(threshold, coverage)
    theirs = unsure_band(truth, probability, threshold, coverage)
    assert theirs.low - ROUNDING <= ours.low <= theirs.low
    assert theirs.high <= ours.high <= theirs.high + ROUNDING
    assert ours.coverage == theirs.coverage


@pytest.mark.parametrize("n", [1_490, 1_600, 5_000, 40_000])
def test_of_many_photos_a_band_that_is_not_narrower_is_kept(n: int) -> None:
    truth, probability = drawn(n)
    everything = ValidationScores.of(truth, probability)
    scores = everything.thinned()
    assert scores.photos == everything.photos == (truth.sum(), (~truth).sum())
    assert max(len(scores.positive), len(scores.negative)) == MOST_SCORES
    assert len(scores.to_json()) < 10_000
    for coverage in COVERAGES:
        ours, theirs = scores.band(0.5, coverage), unsure_band(truth, probability, 0.5, coverage)
        assert theirs.low - 0.02 < ours.low <= theirs.low
        assert theirs.high <= ours.high < theirs.high + 0.02


@pytest.mark.parametrize("n", [4, 100, 5_000])
def test_they_come_back_from_json(n: int) -> None:
    scores = ValidationScores.of(*drawn(n), groups=np.arange(n) // 2, origin="cross-validation").thinned()
    assert ValidationScores.from_json(scores.to_json(), scores.evidence()) == scores
    bare = ValidationScores.from_json(scores.to_json())
    assert (bare.positive, bare.negative) == (scores.positive, scores.negative)
    assert (bare.counts, bare.independent, bare.origin) == (None, 1.0, "validation photos")


def as_json(**scores: object) -> str:
    return json.dumps({"positive": [1], "negative": [1]} | scores)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        as_json(more=[1]),
        as_json(positive=[]),
        as_json(positive=3),
        as_json(positive=[2, 1]),
        as_json(positive=[True]),
        as_json(positive=[0.5]),
        as_json(positive=[-1]),
        as_json(negative=[10_001]),
        as_json(negative=[1] * (MOST_SCORES + 1)),
        '{"positive": [NaN], "negative": [1]}',
        " " * 30_000 + as_json(),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ValidationScores.from_json(text)


def evidence(**values: object) -> str:
    return json.dumps({"photos": [1, 1], "independent": 0.5, "origin": "cross-validation"} | values)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        evidence(more=1),
        evidence(photos=[1]),
        evidence(photos=[0, 1]),
        evidence(photos=[2, 1]),
        evidence(photos=[1.0, 1]),
        evidence(photos=None),
        evidence(independent=0.0),
        evidence(independent=1),
        evidence(independent=1.5),
        evidence(origin=3),
        evidence(origin="two\nlines"),
        evidence(origin=" " * 2_000),
    ],
)
def test_other_evidence_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        ValidationScores.from_json(as_json(), text)


@pytest.mark.parametrize(
    ("positive", "probability"),
    [([True, True], [0.1, 0.2]), ([False], [0.1]), ([], []), ([True, False], [0.5, np.nan]), ([True, False], [0.5, 2])],
)
def test_one_class_and_numbers_that_are_no_probability_are_refused(
    positive: list[bool], probability: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        ValidationScores.of(np.array(positive, dtype=bool), np.array(probability))
