"""`roadclear info`: a model file -> its classes, threshold, weights and training."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from roadclear.cli.console import console, table
from roadclear.cli.options import JsonOption, RunArgument
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadclear.model.metadata import ModelFacts
    from roadclear.model.predictor import Model


def info(run: RunArgument, json: JsonOption = False) -> None:
    """Show what is in a model file: classes, threshold, weights, and how the model was trained."""
    from roadclear.model.predictor import load
    from roadclear.utils.tables import to_json

    model = load(run)
    if json:
        print(to_json(_values(model.facts)))
        return
    rows = table("", "")
    rows.show_header = False
    for name, value in _rows(model).items():
        rows.add_row(printable(name), printable(value))
    console().print(rows)


def _values(facts: "ModelFacts") -> dict[str, Any]:
    """Convert facts to plain values. Of the filter and the validation scores only their numbers are of interest."""
    known, scores = facts.trained_on, facts.validation
    earlier = {"earlier": [each.photos for each in known.earlier]} if known is not None and known.earlier else {}
    return asdict(facts) | {
        "trained_on": None if known is None else {"photos": known.photos, **earlier},
        "validation": None if scores is None else {"positive": len(scores.positive), "negative": len(scores.negative)},
    }


def _rows(model: "Model") -> dict[str, str]:
    from roadclear.report.messages import promise_sentence

    facts, training, band = model.facts, model.facts.training, model.facts.band
    unsure = f"probability {band.low:.4f} to {band.high:.4f}"
    accuracy = training.get("accuracy", {})
    return {
        "positive class": f"{facts.positive} (probability at least {facts.threshold:.4f}; aim: {facts.aim})",
        "negative class": facts.negative,
        "input": f"photo: uint8 [N, {facts.size}, {facts.size}, 3], RGB",
        "outputs": "probability, logit, embedding, heatmap, offset, distance, unsure, unfamiliar",
        "unsure": unsure if band.low < band.high else "never",
        "promise": promise_sentence(facts) or "none",
        "unfamiliar": f"distance above {facts.distance_limit:.4f}",
        "head": facts.head,
        "backbone": f"MobileNetV2 1.0, weights {facts.weights_name!r}",
        "weights' origin": facts.weights_origin,
        "weights' SHA-256": facts.weights_sha256,
        **_start(training),
        "trained on": ", ".join(f"{n} {split} photos" for split, n in training.get("photos", {}).items()),
        "recognises": _recognised(facts),
        **{
            f"{split} accuracy": f"{a['value']:.3f} (95% interval {a['ci95'][0]:.3f} to {a['ci95'][1]:.3f}, n={a['n']})"
            for split, a in accuracy.items()
        },
        "options": ", ".join(f"{k}={v}" for k, v in training.get("options", {}).items() if v is not None),
        "model card": training.get("card", "report.html of the run"),
        "made by": f"roadclear {training.get('roadclear', '')}",
        "size on disk": f"{len(model.data) / 1e6:.1f} MB",
    }


def _start(training: "Mapping[str, Any]") -> dict[str, str]:
    """Name the model that the training started from, where there was one."""
    start = training.get("start")
    if not isinstance(start, dict):
        return {}
    return {"started from": f"{start.get('name')}, SHA-256 {start.get('sha256')}"}


def _recognised(facts: "ModelFacts") -> str:
    """Say whether the file tells which photos were seen in training."""
    from roadclear.model.content_filter import FALSE_POSITIVES

    if facts.trained_on is None:
        return "no photos: the file does not say which photos were seen in training"
    known = facts.trained_on
    more = f", and those of {len(known.earlier):,} earlier trainings" if known.earlier else ""
    chance = round(1 / FALSE_POSITIVES / known.filters)
    return f"{known.photos:,} photos of the training{more}; others by chance: 1 in {chance:,}"
