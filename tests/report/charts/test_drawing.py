"""The charts: well-formed, told in words, free of what would disturb a page, and the same every time."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest

from roadclear.errors import DatasetError
from roadclear.metrics.calibration import measure_calibration
from roadclear.metrics.classification import evaluate
from roadclear.metrics.intervals import proportion
from roadclear.model.heads import Epoch
from roadclear.report import charts

SVG = "{http://www.w3.org/2000/svg}"
LABELS = ("crossing", "empty")

random = np.random.default_rng(3)
POSITIVE = np.arange(90) % 2 == 0
PROBABILITY = np.clip(random.normal(np.where(POSITIVE, 0.7, 0.3), 0.2), 0, 1)
HISTORY = [Epoch(k, 0.7 / k, 0.8 / k + 0.01 * k, 0.5 + 0.02 * k) for k in range(1, 12)]

CHARTS: dict[str, Callable[[], str]] = {
    "roc": lambda: charts.roc(POSITIVE, PROBABILITY, 0.5),
    "precision-recall": lambda: charts.precision_recall(POSITIVE, PROBABILITY, 0.5),
    "reliability": lambda: charts.reliability(measure_calibration(POSITIVE, PROBABILITY).bins),
    "reliability-two": lambda: charts.reliability(
        measure_calibration(POSITIVE, PROBABILITY).bins, measure_calibration(POSITIVE, PROBABILITY**2).bins
    ),
    "threshold": lambda: charts.threshold_trade(POSITIVE, PROBABILITY, 0.5, LABELS, (0.3, 0.6)),
    "histogram": lambda: charts.histogram(POSITIVE, PROBABILITY, 0.5, LABELS),
    "training": lambda: charts.training_curves(HISTORY, 9),
    "learning": lambda: charts.learning_curve([50, 100, 200], [proportion(k, 90) for k in (70, 75, 80)]),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return {name: chart() for name, chart in CHARTS.items()}


def described(svg: str) -> str:
    return ET.fromstring(svg).findtext(f"{SVG}desc") or ""


@pytest.mark.parametrize("name", CHARTS)
def test_is_well_formed_and_has_a_name_and_a_description(drawn: dict[str, str], name: str) -> None:
    root = ET.fromstring(drawn[name])
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text
    assert description is not None and re.search(r"\d", description.text or "")
    assert root.get("role") == "img"
    assert (root.get("aria-labelledby"), root.get("aria-describedby")) == (title.get("id"), description.get("id"))


@pytest.mark.parametrize("name", CHARTS)
def test_fits_any_width_and_takes_font_and_colours_from_the_page(drawn: dict[str, str], name: str) -> None:
    root = ET.fromstring(drawn[name])
    assert root.get("width") == "100%" and root.get("height") is None and root.get("viewBox")
    assert "DejaVu" not in drawn[name] and "currentColor" in drawn[name]
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", drawn[name])) <= {"#0072b2", "#d55e00", "#009e73"}
    assert root.findall(f".//{SVG}text")
    assert not root.findall(f".//{SVG}style") and not root.findall(f".//{SVG}script")


@pytest.mark.parametrize("name", CHARTS)
def test_is_the_same_every_time(drawn: dict[str, str], name: str) -> None:
    assert CHARTS[name]() == drawn[name]
    assert not re.search(r"<metadata|20\d\d-\d\d-\d\d", drawn[name])


def test_ids_are_unique_over_all_charts_of_a_page_and_every_reference_is_met(drawn: dict[str, str]) -> None:
    page = "".join(drawn.values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


@pytest.mark.parametrize(
    ("name", "metric"), [("roc", "roc_auc"), ("precision-recall", "average_precision")], ids=["roc", "pr"]
)
def test_area_that_is_told_is_the_metric(drawn: dict[str, str], name: str, metric: str) -> None:
    value = evaluate(POSITIVE, PROBABILITY, 0.5).metrics[metric].value
    assert f"{value:.3f}" in described(drawn[name])


def test_rates_that_are_told_are_the_metrics(drawn: dict[str, str]) -> None:
    metrics = evaluate(POSITIVE, PROBABILITY, 0.5).metrics
    assert f"recall is {metrics['recall'].value:.1%}" in described(drawn["roc"])
    assert f"precision {metrics['precision'].value:.1%}" in described(drawn["precision-recall"])
    assert f"{metrics['specificity'].value:.1%} of the empty photos" in described(drawn["threshold"])


def test_training_chart_tells_the_epoch_that_was_kept(drawn: dict[str, str]) -> None:
    assert "Epoch 9 was kept" in described(drawn["training"])


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", 'a "quote" & more', "$x^2_{", "日本", "x" * 300])
def test_any_label_is_only_text(label: str) -> None:
    for svg in (
        charts.threshold_trade(POSITIVE, PROBABILITY, 0.5, (label, "empty")),
        charts.histogram(POSITIVE, PROBABILITY, 0.5, (label, "empty")),
    ):
        assert label in described(svg)
        assert not ET.fromstring(svg).findall(f".//{SVG}script")


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.0, 0.001, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["all equal", "told apart"])
def test_extreme_thresholds_and_probabilities_are_drawn(threshold: float, spread: float) -> None:
    probability = np.where(POSITIVE, 0.5 + spread, 0.5 - spread)
    for chart in (charts.roc, charts.precision_recall):
        ET.fromstring(chart(POSITIVE, probability, threshold))
    ET.fromstring(charts.threshold_trade(POSITIVE, probability, threshold, LABELS))
    ET.fromstring(charts.reliability(measure_calibration(POSITIVE, probability).bins))


@pytest.mark.parametrize("positive", [True, False])
def test_curves_need_photos_of_both_classes(positive: bool) -> None:
    one_class = np.full(5, positive)
    with pytest.raises(DatasetError, match="both classes"):
        charts.roc(one_class, np.linspace(0, 1, 5), 0.5)
