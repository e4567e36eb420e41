"""Long curves are thinned without a visible change."""

from collections.abc import Callable

import numpy as np
import pytest

from roadclear.metrics.curves import operating_points
from roadclear.report.charts import precision_recall, roc, threshold_trade
from roadclear.report.charts.svg import _thinned


def test_short_curves_stay() -> None:
    points = [(0.0, 0.001 * number) for number in range(2_000)]
    assert _thinned(points) is points


def test_long_curves_keep_their_ends_and_their_way() -> None:
    places = np.sin(np.linspace(0, 20, 50_000)) * 100
    points = list(zip(np.linspace(0, 400, 50_000).tolist(), places.tolist(), strict=True))
    kept = _thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) < 6_000
    x, y = np.array(kept).T
    assert np.abs(np.interp([point[0] for point in points], x, y) - places).max() < 1


@pytest.mark.parametrize("draw", [roc, precision_recall])
def test_a_chart_of_many_photos_is_small(draw: Callable[..., str]) -> None:
    random = np.random.default_rng(0)
    positive = random.random(60_000) < 0.5
    probability = np.clip(random.normal(0.4 + 0.2 * positive, 0.15), 0, 1)
    assert len(operating_points(positive, probability).recall) > 10_000
    svg = draw(positive, probability, 0.5)
    assert len(svg) < 150_000
    assert len(threshold_trade(positive, probability, 0.5, ("yes", "no"), None)) < 150_000
    assert "polyline" in svg
