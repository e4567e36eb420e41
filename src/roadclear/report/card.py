"""The model card: what the model is for, what it is not for, and what it rests on.

Its headings are those of Mitchell et al. 2019, "Model Cards for Model Reporting", section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.report.data import Data
from roadclear.report.words import count, interval, percent
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.blocks import DepthTrial
from roadclear.training.result import TrainingResult

NOT_FOR_VEHICLES = (
    "Not for vehicle control. It must not decide whether a vehicle moves, brakes or steers, nor whether it is safe to "
    "cross a road."
)


@dataclass(frozen=True)
class Entry:
    """One heading of the card with its statements; the `warning` is set apart."""

    heading: str
    statements: tuple[str, ...]
    warning: str | None = None


def _tuned(options: TrainSettings) -> str:
    views = count(options.finetune_views, "augmented view")
    return f" Then fine-tuned with AdamW and smoothed labels, on {views} of each, mirrored at times."


def _tried(trials: Sequence[DepthTrial]) -> str:
    """How the number of blocks was chosen, where it was left to us."""
    if not trials:
        return ""
    losses = ", ".join(f"{trial.validation_loss:.3f} with {count(trial.blocks, 'block')}" for trial in trials)
    return f" The number of blocks to fine-tune was chosen by the validation loss: {losses}."


def model_card(training: TrainingResult, data: Data) -> list[Entry]:
    """The card of a training's model."""
    facts, options = training.facts, training.settings
    parts = {row.part: row for row in data.splits}
    test = training.evaluations[TEST].metrics
    unfrozen = int(options.unfreeze)
    base = f"frozen but for its last {count(unfrozen, 'block')} and its last convolution" if unfrozen else "frozen"
    tuned = _tuned(options) if unfrozen else ""
    head = "Dense(512, ReLU) and Dense(1, sigmoid)" if facts.head == "dense" else "logistic regression"
    return [
        Entry(
            "Model details",
            (
                f"Photo classifier for two classes: {facts.positive} (positive) and {facts.negative}. Made with "
                f"roadclear {facts.training['roadclear']}, Apache-2.0.",
                f"MobileNetV2 1.0 (Sandler et al. 2018), {base}, global average pooling, {head}; {facts.size} x "
                f"{facts.size} pixels. The whole photo is squashed to the square.",
                f"Weights of the base: {facts.weights_origin}. SHA-256 {facts.weights_sha256}.",
                (
                    "Trained with Adam and binary cross-entropy, both labels weighing the same, on "
                    if facts.head == "dense"
                    else "Fitted with balanced weights and an L2 penalty chosen on validation, on "
                )
                + f"{count(options.views, 'augmented view')} of each training photo beside the plain one."
                + tuned
                + _tried(training.trials),
            ),
        ),
        Entry(
            "Intended use",
            (
                f"Sorting and counting photos like those that it was trained on: which show “{facts.positive}”, which "
                f"“{facts.negative}”. For statistics, for finding photos, and as a first look before a person's.",
                "By people who know its error rate on their own photos: test it on some before relying on it "
                "(roadclear evaluate).",
            ),
        ),
        Entry(
            "Out of scope",
            (
                "Anything where a single mistake can harm someone. Photos of another kind than it was trained on: "
                "other cameras, night, weather or places that were not in the training photos.",
                "It says whether, not how many, who or where; it neither counts nor recognises people.",
            ),
            NOT_FOR_VEHICLES,
        ),
        Entry(
            "Factors",
            (
                "How well it does depends on the place, the distance and size of what is to be seen, the light and the "
                "camera. Small and far things vanish in the average over the photo.",
                "Accuracy by source is in the table above."
                if training.per_source
                else "No source of the photos is told, so accuracy by source cannot be given.",
            ),
        ),
        Entry(
            "Metrics",
            (
                *(
                    f"Test {name}: {percent(test[name].value)} (95% interval {interval(test[name])}, "
                    f"{count(test[name].n, 'photo')})."
                    for name in ("accuracy", "recall", "specificity")
                ),
                f"Photos at or above the probability {facts.threshold:.3f} are called {facts.positive}.",
            ),
        ),
        Entry(
            "Training and evaluation data",
            (
                f"{count(parts[TRAIN].total, 'photo')} to train on, {parts[VALIDATION].total:,} to stop and to choose "
                f"the threshold by, {parts[TEST].total:,} to test on, touched once. Photos that look alike or belong "
                "together are on one side of the split.",
                _origins(data),
                "ImageNet, on which the base was trained, is a collection of web photos with biases of its own.",
            ),
        ),
        Entry(
            "Ethical considerations",
            (
                "The photos may show people who were not asked. This page embeds some of them: share it with the same "
                "care as the photos.",
                "Whether the model does equally well for people of every age, skin colour, clothing or aid to walk was "
                "not measured: no such labels exist here. Watching public places may need a permission by law.",
            ),
        ),
        Entry(
            "Caveats",
            (
                "Labels are taken as they are. The intervals tell of chance alone, not of wrong labels, nor "
                "of photos from elsewhere, on which less is to be expected.",
            ),
        ),
    ]


def _origins(data: Data) -> str:
    if not data.sources:
        return "Where the photos come from is not told: keep a sources.csv beside them."
    licences = f"; {count(len(data.licences), 'licence')} told" if data.licences else "; no licence told"
    return f"The photos come from {count(data.sources, 'source')}{licences} (see Data)."
