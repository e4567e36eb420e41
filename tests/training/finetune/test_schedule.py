"""The learning rate rises to its peak and falls to nothing, and is lower for earlier blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.training.finetune.schedule import Recipe


@given(steps=st.integers(1, 300), warm_up=st.floats(0, 0.9))
def test_the_learning_rate_rises_once_and_falls_once(steps: int, warm_up: float) -> None:
    recipe = Recipe(warm_up=warm_up)
    factors = [recipe.lr_factor(step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert max(factors) == 1
    assert peak + 1 == max(1, round(warm_up * steps))


def test_it_ends_near_nothing() -> None:
    assert Recipe().lr_factor(191, 192) < 1e-3


def test_earlier_blocks_change_less() -> None:
    recipe = Recipe(learning_rate=0.1, depth_decay=0.5)
    assert [recipe.peak_lr(depth) for depth in range(3)] == pytest.approx([0.1, 0.05, 0.025])


def test_the_average_first_follows_the_parameters_and_then_spans_20_steps() -> None:
    decays = [Recipe().average_decay(step) for step in range(400)]
    assert decays[0] == pytest.approx(0.1)
    assert decays == sorted(decays)
    assert decays[-1] == 0.95
