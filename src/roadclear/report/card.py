"""The model card: what the model is for, what the model is not for, and how the model was made.

The headings come from Mitchell et al. 2019, "Model Cards for Model Reporting", section 4.
"""

from dataclasses import dataclass

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.model.metadata import ModelFacts
from roadclear.report.data import Data
from roadclear.report.messages import (
    depth_sentences,
    lower_promise_sentence,
    promise_sentence,
    share_with_interval,
    threshold_sentence,
)
from roadclear.report.starts import start_sentences
from roadclear.report.words import count
from roadclear.training.result import TrainingResult

NOT_FOR_VEHICLES = (
    "Not for vehicle control. The model must not decide whether a vehicle moves, brakes or steers, nor whether it is "
    "safe to cross a road."
)


@dataclass(frozen=True)
class Entry:
    """A heading of the card with its statements, and a warning that is printed in bold."""

    heading: str
    statements: tuple[str, ...]
    warning: str | None = None


def model_card(training: TrainingResult, data: Data) -> list[Entry]:
    """Write the model card of a training."""
    return [
        Entry("Model details", _details(training)),
        Entry("Intended use", _intended_use(training.facts)),
        Entry("Out of scope", _OUT_OF_SCOPE, NOT_FOR_VEHICLES),
        Entry("Factors", _factors(training)),
        Entry("Metrics", _metrics(training)),
        Entry("Training and evaluation data", _data(training, data)),
        Entry("Ethical considerations", _ETHICS),
        Entry("Caveats", _CAVEATS),
    ]


_OUT_OF_SCOPE = (
    "Anything where a single mistake can harm someone. Photos unlike the training photos: other cameras, night, "
    "weather or places that are missing there.",
    "The model answers for the photo as a whole. The model neither counts nor locates nor recognises people.",
)
_ETHICS = (
    "The photos may show people who did not consent. This page contains some of the photos: share the page with the "
    "same care as the photos.",
    "Accuracy for people of different ages, skin colours, clothing or walking aids was not measured, because the "
    "photos have no such labels. Watching public places may need a permit by law.",
)
_CAVEATS = (
    "The labels of the photos are assumed to be right. The intervals cover chance alone: they cover neither wrong "
    "labels nor photos from elsewhere, where accuracy is probably lower.",
)


def _details(training: TrainingResult) -> tuple[str, ...]:
    facts, settings = training.facts, training.settings
    unfrozen = int(settings.unfreeze)
    base = f"frozen except for the last {count(unfrozen, 'block')} and the last convolution" if unfrozen else "frozen"
    dense = facts.head == "dense"
    head = "Dense(512, ReLU) and Dense(1, sigmoid)" if dense else "logistic regression"
    fitted = (
        "Trained with Adam and binary cross-entropy, with equal weight for both labels"
        if dense
        else "Fitted with equal weight for both labels and an L2 penalty chosen on validation photos"
    )
    tuned = (
        f"Fine-tuned with AdamW and smoothed labels on {count(settings.finetune_views, 'augmented view')} of each "
        "training photo, some views mirrored."
    )
    return (
        f"Photo classifier for two classes: {facts.positive} (positive) and {facts.negative} (negative). Made with "
        f"roadclear {facts.training['roadclear']}, Apache-2.0.",
        f"MobileNetV2 1.0 (Sandler et al. 2018), {base}, global average pooling, {head}; {facts.size} x {facts.size} "
        "pixels. The whole photo is resized to the square without cropping.",
        f"Weights of the base network: {facts.weights_origin}. SHA-256 {facts.weights_sha256}.",
        f"{fitted}, on each training photo and {count(settings.views, 'augmented view')} of the photo.",
        *([tuned] if unfrozen else []),
        *([depth_sentences(training)] if training.trials else []),
        *([start_sentences(training)] if training.data.start is not None else []),
    )


def _intended_use(facts: ModelFacts) -> tuple[str, ...]:
    return (
        f"Sorting photos like the training photos into {facts.positive} and {facts.negative}: for statistics, for "
        "finding photos, and as a first look before a person decides.",
        "For people who know the error rate on their own photos. Measure the error rate with roadclear evaluate before "
        "relying on the model.",
    )


def _factors(training: TrainingResult) -> tuple[str, ...]:
    return (
        "Accuracy depends on the place, the light, the camera, and the size and distance of what a photo shows. Small "
        "and distant objects vanish in the average over the photo.",
        "Accuracy by source is in the section By source."
        if training.per_source
        else "The sources of the photos are unknown, so accuracy by source was not measured.",
    )


def _metrics(training: TrainingResult) -> tuple[str, ...]:
    facts, test = training.facts, training.evaluations[TEST].metrics
    measured = (f"Test {name}: {share_with_interval(test[name])}." for name in ("accuracy", "recall", "specificity"))
    promise = promise_sentence(facts), lower_promise_sentence(facts)
    rules = threshold_sentence(facts.positive, facts.threshold), *promise
    return (*measured, *(rule for rule in rules if rule))


def _data(training: TrainingResult, data: Data) -> tuple[str, ...]:
    n = {row.split: row.total for row in data.splits}
    exception = ", except for the photos named under Split and leakage" if training.leakage.leaking_photos else ""
    return (
        f"{count(n[TRAIN], 'training photo')}, {count(n[VALIDATION], 'validation photo')} to stop training and to "
        f"choose the threshold, {count(n[TEST], 'test photo')} used once. Each group of photos of one scene, name or "
        f"look is in one split{exception}.",
        _origins(data),
        "The base network was trained on ImageNet, a collection of web photos with biases of its own.",
    )


def _origins(data: Data) -> str:
    if not data.sources:
        return "The sources of the photos are unknown. A sources.csv beside the photos would name them."
    licences = count(len(data.licences), "licence") if data.licences else "unknown licences"
    return f"The photos come from {count(data.sources, 'source')}, under {licences} (see Data)."
