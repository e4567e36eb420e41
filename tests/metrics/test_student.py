"""The quantile of Student's t, against scipy and against its definition."""

import math

import pytest
from scipy.special import stdtr, stdtrit

from roadclear.metrics.student import t_quantile


@pytest.mark.parametrize("freedom", [*range(1, 260), 500, 1_000, 12_345, 1_000_000, 10**12])
def test_it_is_that_of_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(float(stdtrit(freedom, 0.975)), rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 14, 199, 200, 201, 202])
def test_95_percent_lie_within(freedom: int) -> None:
    quantile = t_quantile(freedom)
    assert stdtr(freedom, quantile) - stdtr(freedom, -quantile) == pytest.approx(0.95, abs=1e-11)


def test_closed_forms() -> None:
    assert t_quantile(1) == pytest.approx(math.tan(0.475 * math.pi), rel=1e-13)
    assert t_quantile(2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-13)
