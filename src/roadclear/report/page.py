"""All parts of the report on one page."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from roadclear.data.split import TEST
from roadclear.report.card import NOT_FOR_VEHICLES, model_card
from roadclear.report.data import describe_data
from roadclear.report.figures import learning_figure, probability_figures, reliability_figure, training_figures
from roadclear.report.hardest import hardest
from roadclear.report.headline import headline
from roadclear.report.label_issues import label_issues
from roadclear.report.results import matrix, metric_rows, source_rows
from roadclear.report.words import count, interval, percent, seconds
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.leakage import Leakage
from roadclear.training.learning_curve import describe_learning_curve
from roadclear.training.prepare import PreparedData
from roadclear.training.result import TrainingResult
from roadclear.utils.text import printable


def build_report(
    training: TrainingResult,
    photos: str | os.PathLike[str],
    checks: Crosschecks | None,
) -> bytes:
    """The report as one HTML file, UTF-8, that needs no network and no script.

    Args:
        training: with a test part.
        photos: the folder that was trained on; its tables are read, and some of its photos shown.
        checks: cross-validation of the linear head, or None where there is none.

    Raises:
        EngineError: the model cannot be run to explain the hardest photos.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("roadclear.report", "."),
        autoescape=True,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"percent": percent, "count": count, "interval": interval, "seconds": seconds}
    return environment.get_template("report.html.j2").render(_parts(training, Path(photos), checks)).encode()


def _parts(training: TrainingResult, folder: Path, checks: Crosschecks | None) -> dict[str, Any]:
    data = describe_data(training, folder)
    return {
        "training": training,
        "facts": training.facts,
        "folder": folder.resolve().name,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "headline": headline(training, checks),
        "matrix": matrix(training),
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
        "timing": _timing(training.timing),
        "environment": _environment(training.data),
        "style": resources.files("roadclear.report").joinpath("style.css").read_text(encoding="utf-8"),
    }


def _split_sentences(leakage: Leakage) -> list[str]:
    """What belongs together, and what a split without that knowledge would have claimed."""
    sentences = [
        f"{count(leakage.grouped_photos, 'photo')} belong together in {count(leakage.groups, 'group')} (one scene, one "
        f"name or one look), {leakage.look_alike_photos:,} of them by their looks. A group stays whole on one side of "
        "the split, so that the model is not tested on what it has seen."
        if leakage.groups
        else "No photos were found that belong together: none look alike, and nothing says that some share a scene.",
    ]
    if leakage.expected_leaks:
        sentences.append(
            f"In a plain random split, about {count(round(leakage.expected_leaks), 'validation or test photo')} would "
            "have had such a relative in training."
        )
    if leakage.random_split_accuracy is not None and leakage.grouped_split_accuracy is not None:
        gain = leakage.random_split_accuracy - leakage.grouped_split_accuracy
        verdict = f"a plain split flatters by {gain:.1%}" if gain > 0 else "a plain split would not have flattered"
        sentences.append(
            f"The linear head has {percent(leakage.random_split_accuracy)} in plain random splits and "
            f"{percent(leakage.grouped_split_accuracy)} in splits that keep groups together (means of 5): {verdict}."
        )
    told = (
        f"In the split that was used, {count(leakage.leaking_photos, 'validation or test photo')} have a relative in "
        "training."
        if leakage.leaking_photos
        else "In the split that was used, no validation or test photo has a relative in training."
    )
    return [*sentences, told]


def _timing(timing: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Stage, remark and time."""
    photos, views, tuning = int(timing["photos"]), int(timing["views"]), timing["finetune_s"]
    return [
        (
            "Features",
            f"{count(photos, 'photo')} read; {count(views, 'view')} through the network, the cache had the rest",
            seconds(timing["features_s"]),
        ),
        ("Heads", "the head and its linear reference", seconds(timing["head_s"])),
        *([("Fine-tuning", "the last blocks of the base, with the head", seconds(tuning))] if tuning else []),
        ("Everything", "from photos on disk to the tested model", seconds(timing["total_s"])),
    ]


def _environment(placement: PreparedData) -> dict[str, str]:
    """What the numbers were computed with and from."""
    import hashlib
    import platform

    from roadclear.utils.threads import available_cores

    packages = ("numpy", "scikit-learn", "onnx", "openvino", "pillow")
    labelled = sorted(
        f"{sha256} {photo.label}" for sha256, photo in zip(placement.hashes, placement.photos, strict=True)
    )
    return {
        "photos and labels": f"SHA-256 {hashlib.sha256(chr(10).join(labelled).encode()).hexdigest()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor cores": str(available_cores()),
    }


def _clean(value: Any) -> Any:
    """What the page shows of any text that is not ours."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
