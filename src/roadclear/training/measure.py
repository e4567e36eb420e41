"""Measurement of a trained model: metrics, reliability, leakage, sources, and the model file with its facts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from roadclear.data.split import SPLITS, TEST, TRAIN, VALIDATION
from roadclear.errors import EngineError
from roadclear.metrics.classification import Evaluation, evaluate
from roadclear.metrics.intervals import Estimate, share_of
from roadclear.metrics.reliability import Answers, Reliability, measure_reliability
from roadclear.model.content_filter import ContentFilter
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.heads import probabilities
from roadclear.model.metadata import ModelFacts
from roadclear.model.onnx_file import build_model_file
from roadclear.training.config import TrainSettings
from roadclear.training.decide import Decision
from roadclear.training.finetune.blocks import FinetuneResult
from roadclear.training.heads import TrainedHeads
from roadclear.training.leakage import find_label_conflicts, measure_leakage
from roadclear.training.prepare import PreparedData
from roadclear.training.result import RECIPE, CrossValidated, TrainingResult
from roadclear.utils.arrays import Bools, Probabilities


def measure(
    data: PreparedData, heads: TrainedHeads, tuned: FinetuneResult, decision: Decision, settings: TrainSettings
) -> TrainingResult:
    """Evaluate a model on the validation and test photos, and build its file.

    Args:
        data: prepared photos.
        heads: heads on the frozen base; the linear head is the reference.
        tuned: network of the model.
        decision: decision rules of the model.
        settings: settings of the training, with `positive` and `unfreeze` resolved.

    Returns:
        Result without times: `timing` is empty.

    Raises:
        EngineError: a probability is NaN.
    """
    probability = probabilities(decision.head.head, tuned.embeddings)
    if not np.isfinite(probability).all():
        raise EngineError("expected probabilities, found NaN: run roadclear cache clear, and train again")
    evaluations = _evaluate_splits(data, probability, decision.head.threshold)
    facts = _facts(data, tuned, decision, evaluations, settings)
    linear = calibrate(heads.linear, data.select(VALIDATION), settings)
    by_linear = probabilities(linear.head, data.embeddings)
    return TrainingResult(
        model=build_model_file(tuned.weights, decision.head.head, decision.ood, facts),
        weights=tuned.weights,
        facts=facts,
        settings=settings,
        data=data,
        probabilities=probability,
        distances=decision.distances,
        evaluations=evaluations,
        reliability=_reliability(
            data, probabilities(decision.head.trained.head, tuned.embeddings), probability, decision
        ),
        per_source=_per_source(data, probability, decision.head.threshold),
        linear=_evaluate_splits(data, by_linear, linear.threshold),
        leakage=measure_leakage(data, settings.seed),
        label_conflicts=find_label_conflicts(data),
        trials=tuned.trials,
        head=decision.head,
        ood=decision.ood,
        timing={},
        cross_validated=None if decision.crossed is None else CrossValidated.of_folds(decision.crossed, RECIPE),
    )


def _evaluate_splits(data: PreparedData, probability: Probabilities, threshold: float) -> dict[str, Evaluation]:
    """Evaluate the validation and the test split, by the probabilities [n] of all photos."""
    return {
        name: evaluate(data.targets[chosen] == 1, probability[chosen], threshold, data.groups[chosen])
        for name, chosen in _held_out(data).items()
    }


def _held_out(data: PreparedData) -> dict[str, Bools]:
    """Find the photos of the validation and the test split: bool [n] each."""
    return {name: data.is_in(name) for name in SPLITS if name != TRAIN and name in data.splits}


def _reliability(
    data: PreparedData, before: Probabilities, after: Probabilities, decision: Decision
) -> dict[str, Reliability]:
    """Measure calibration and the shares of unsure and unfamiliar photos, by split.

    Args:
        data: prepared photos.
        before: probabilities before calibration, [n].
        after: probabilities of the model, [n].
        decision: decision rules of the model.
    """
    head = decision.head
    unsure, unfamiliar = head.band.covers(after), decision.distances > decision.ood.limit
    return {
        name: measure_reliability(
            data.targets[chosen] == 1,
            before[chosen],
            after[chosen],
            Answers(after[chosen] >= head.threshold, unsure[chosen], unfamiliar[chosen]),
            (data.positive, data.negative),
            data.groups[chosen],
        )
        for name, chosen in _held_out(data).items()
    }


def _per_source(data: PreparedData, probability: Probabilities, threshold: float) -> dict[str, Estimate]:
    """Measure the test accuracy by source; empty where no photo has a source."""
    by_source: dict[str, list[int]] = {}
    for number in data.numbers(TEST).tolist():
        source = data.photos[number].source
        if source is not None:
            by_source.setdefault(source, []).append(number)
    correct = (probability >= threshold) == (data.targets == 1)
    return {source: share_of(correct[chosen], data.groups[chosen]) for source, chosen in sorted(by_source.items())}


def _facts(
    data: PreparedData,
    tuned: FinetuneResult,
    decision: Decision,
    evaluations: Mapping[str, Evaluation],
    settings: TrainSettings,
) -> ModelFacts:
    """Collect the facts for the model file."""
    head = decision.head
    summary = {
        "roadclear": version("roadclear"),
        "photos": dict(Counter(data.splits)),
        "best_epoch": head.trained.best_epoch,
        "accuracy": {name: asdict(result.metrics["accuracy"]) for name, result in evaluations.items()},
        "options": asdict(settings),
        **({"start": {"name": data.start.name, "sha256": data.start.sha256}} if data.start is not None else {}),
    }
    return ModelFacts(
        positive=data.positive,
        negative=data.negative,
        threshold=head.threshold,
        aim=settings.aim,
        temperature=head.temperature,
        band=head.band,
        distance_limit=decision.ood.limit,
        size=data.extractor.space.size,
        head=settings.head,
        weights_name=tuned.weights.name,
        weights_sha256=tuned.weights.sha256,
        weights_origin=tuned.weights.origin,
        training=summary,
        trained_on=ContentFilter.from_hashes(
            (sha256 for sha256, split in zip(data.hashes, data.splits, strict=True) if split in (TRAIN, VALIDATION)),
            data.start.facts.trained_on if data.start is not None else None,
        ),
        validation=head.scores.thinned(),
        promise=head.promise,
    )
