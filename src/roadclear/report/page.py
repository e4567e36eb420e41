"""The report of a training as one HTML page."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from roadclear.data.sources import root_of
from roadclear.data.split import TEST
from roadclear.report.card import NOT_FOR_VEHICLES, model_card
from roadclear.report.data import describe_data
from roadclear.report.figures import learning_figure, probability_figures, reliability_figure, training_figures
from roadclear.report.hardest import hardest
from roadclear.report.headline import headline
from roadclear.report.label_issues import label_issues
from roadclear.report.messages import (
    confusion_sentences,
    cross_validation_sentence,
    group_sentences,
    leak_warning,
    lower_promise_sentence,
    promise_sentence,
    threshold_sentence,
)
from roadclear.report.results import matrix, metric_rows, source_rows
from roadclear.report.words import count, interval, percent, seconds, share
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.leakage import Leakage
from roadclear.training.learning_curve import describe_learning_curve
from roadclear.training.prepare import PreparedData
from roadclear.training.result import TrainingResult
from roadclear.utils.html import html_environment


def build_report(
    training: TrainingResult,
    photos: str | os.PathLike[str],
    checks: Crosschecks | None,
) -> bytes:
    """Render the report as one HTML file in UTF-8 that needs no network and no script.

    Args:
        training: result of a training with a test split.
        photos: folder of the training photos. Tables in the folder are read, and some photos are shown.
        checks: cross-validation of the linear head, or None where there is none.

    Raises:
        EngineError: the model cannot be run to explain the hardest photos.

    Example:
        >>> page = build_report(result, "photos", crosscheck(result))  # doctest: +SKIP
        >>> Path("report.html").write_bytes(page)  # doctest: +SKIP
    """
    environment = html_environment("roadclear.report")
    environment.filters |= {
        "percent": percent,
        "share": share,
        "count": count,
        "interval": interval,
        "seconds": seconds,
    }
    return environment.get_template("report.html.j2").render(_values(training, Path(photos), checks)).encode()


def _values(training: TrainingResult, folder: Path, checks: Crosschecks | None) -> dict[str, Any]:
    """Everything that the template shows, by name."""
    data, facts = describe_data(training, root_of(folder)), training.facts
    return {
        "training": training,
        "facts": facts,
        "folder": folder.resolve().name,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "headline": headline(training, training.cross_validated),
        "matrix": matrix(training),
        "confusion": confusion_sentences(training.evaluations[TEST].confusion, facts.positive, facts.negative),
        "threshold": threshold_sentence(facts.positive, facts.threshold),
        "promise": f"{promise_sentence(training.facts)} {lower_promise_sentence(training.facts)}".strip(),
        "cross_validation": cross_validation_sentence(training.cross_validated) if training.cross_validated else "",
        "metrics": metric_rows(training),
        "sources": source_rows(training),
        "data": data,
        "split": _split_sentences(training.leakage),
        "hardest": hardest(training),
        "training_figures": training_figures(training),
        "probability_figures": [*probability_figures(training), reliability_figure(training)],
        "checks": checks,
        "label_issues": label_issues(training, checks),
        "learning_sentence": describe_learning_curve(checks.curve) if checks is not None else "",
        "learning_figures": [learning_figure(checks)] if checks is not None else [],
        "reliability": training.reliability[TEST],
        "card": model_card(training, data),
        "not_for_vehicles": NOT_FOR_VEHICLES,
        "options": {name: value for name, value in asdict(training.settings).items() if value is not None},
        "timing": _timing(training.timing, bool(training.settings.unfreeze)),
        "environment": _environment(training.data),
        "style": resources.files("roadclear.report").joinpath("style.css").read_text(encoding="utf-8"),
    }


def _split_sentences(leakage: Leakage) -> list[str]:
    """Groups, what a split that ignores groups would have reported, and leaks in the split that was used."""
    leaks = leak_warning(leakage) or "No validation or test photo shares a group with a training photo in this split."
    return [*group_sentences(leakage), leaks]


def _timing(timing: Mapping[str, float], finetuned: bool) -> list[tuple[str, str, str]]:
    """Name, description and duration of every stage."""
    photos, views = int(timing["photos"]), int(timing["views"])
    tuning = "Fine-tuning", "the last blocks of the base network and the head", seconds(timing["finetune_s"])
    return [
        (
            "Features",
            f"{count(photos, 'photo')} read, {count(views, 'view')} computed, the rest from the cache",
            seconds(timing["features_s"]),
        ),
        ("Heads", "the head and the linear reference head", seconds(timing["head_s"])),
        *([tuning] if finetuned else []),
        ("Total", "from photos on disk to the tested model", seconds(timing["total_s"])),
    ]


def _environment(data: PreparedData) -> dict[str, str]:
    """Versions, machine and a checksum of the photos, to tell whether a repeated training had the same input."""
    import hashlib
    import platform

    from roadclear.utils.threads import available_cores

    packages = ("numpy", "scikit-learn", "onnx", "openvino", "pillow")
    labelled = sorted(f"{sha256} {photo.label}" for sha256, photo in zip(data.hashes, data.photos, strict=True))
    return {
        "photos and labels": f"SHA-256 {hashlib.sha256(chr(10).join(labelled).encode()).hexdigest()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor cores": str(available_cores()),
    }
