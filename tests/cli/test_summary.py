"""The summary after a training: the number first, at most 16 rows on a terminal of 80 columns, and what to do last."""

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from trained import train_folder

from roadclear.cli import train as command
from roadclear.metrics.classification import evaluate
from roadclear.metrics.intervals import Estimate
from roadclear.training.finetune.blocks import DepthTrial
from roadclear.training.result import CrossValidated, TrainingResult

CROSSED = CrossValidated(5, Estimate(0.949, (0.933, 0.965), 200), Estimate(0.70, (0.6, 0.8), 200))


@pytest.fixture(scope="module")
def training(drawn_photos: Path) -> TrainingResult:
    return replace(train_folder(drawn_photos), cross_validated=CROSSED)


@pytest.fixture(scope="module")
def worst(training: TrainingResult) -> TrainingResult:
    """Unequal labels, no positive found, a label in doubt, one-sided sources, a fine-tuned base, no time for more."""
    positive = np.arange(42) % 21 == 0
    photos = tuple(
        replace(photo, source=f"{photo.label}-collection-{number % 9}.example")
        for number, photo in enumerate(training.data.photos)
    )
    return replace(
        training,
        data=replace(training.data, photos=photos),
        settings=replace(training.settings, unfreeze=3, coverage=0.999),
        timing={**training.timing, "finetune_s": 300.0},
        trials=(DepthTrial(3, 0.31, 40.0), DepthTrial(5, 0.33, 80.0)),
        evaluations={**training.evaluations, "test": evaluate(positive, np.full(42, 0.1), 0.5)},
        label_conflicts=(("crossing/a-long-name-of-a-photo.jpg", "empty/another-long-name-of-a-photo.jpg"),),
    )


def shown(
    result: TrainingResult, monkeypatch: pytest.MonkeyPatch, width: int = 80, with_report: bool = True
) -> list[str]:
    file = io.StringIO()
    out = Console(
        file=file, width=width, force_terminal=True, no_color=True, highlight=False, soft_wrap=True, markup=False
    )
    monkeypatch.setattr(command, "console", lambda stderr=False: out)
    run = Path("runs/20261124-101500")
    files = {name: run / file for name, file in (("report_file", "report.html"), ("metrics_file", "metrics.json"))}
    command._summarise(result, SimpleNamespace(folder=run, model_file=run / "model.onnx", **files), with_report, False)  # type: ignore[arg-type]
    rows = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines():
        rows += [line[start : start + width] for start in range(0, max(len(line), 1), width)]
    return rows


@pytest.mark.parametrize("width", [80, 100, 132])
def test_it_has_at_most_16_rows(training: TrainingResult, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    assert len(shown(training, monkeypatch, width)) <= 16


@pytest.mark.parametrize("width", [80, 100, 132])
def test_so_it_has_where_everything_is_wrong(
    worst: TrainingResult, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    rows = shown(worst, monkeypatch, width)
    assert len(rows) <= 16, "\n".join(rows)
    assert rows[0].startswith("Test accuracy: ")
    assert "Balanced accuracy" in "\n".join(rows)
    text = " ".join(row.strip() for row in rows)
    assert "Warning: 1 photo lies under both labels" in text
    assert " more warnings in the report." in text
    assert text.index("Warning") < text.index("Report: ") < text.index("Model: ") < text.index("Time ran out: ")


def test_without_a_report_no_warning_is_left_out(worst: TrainingResult, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(row.strip() for row in shown(worst, monkeypatch, with_report=False))
    assert "more warning" not in text
    for words in ("lies under both labels", "recognised none of", "cross-validated. roadclear validate", "rough."):
        assert words in text
