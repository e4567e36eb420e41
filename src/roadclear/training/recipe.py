"""The recipe: labelled photos -> embeddings -> split -> head [-> last blocks] -> threshold -> one model file."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.groups import GroupingRule
from roadclear.data.split import SHARES, SPLITS, TEST, TRAIN, VALIDATION
from roadclear.features.backbone.weights import BackboneWeights, load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import FeatureExtractor, FeatureSpace
from roadclear.images.augment import AugmentationPolicy
from roadclear.metrics.classification import Estimate, Evaluation, evaluate, proportion
from roadclear.metrics.reliability import Reliability, measure_reliability
from roadclear.model.decision.ood import Familiarity, familiar_tensor, fit_familiarity
from roadclear.model.fit import Fit, calibrate, fit_head
from roadclear.model.heads import Embeddings, FittedHead, Targets, probabilities
from roadclear.model.onnx_file import ModelFacts, build_model_file
from roadclear.training.config import AUTO, TrainingOptions
from roadclear.training.finetune.depth_search import Trial, unfreeze_best
from roadclear.training.finetune.stage import Frozen, Unfrozen, unfreeze
from roadclear.training.leakage import Leakage, measure_leakage
from roadclear.training.prepare import Placement, Report, extract_placed, place


@dataclass(frozen=True, eq=False)
class Training:
    """What a training gives.

    Attributes:
        model: content of the model file.
        weights: of its backbone.
        facts: what the model file says of itself.
        options: that it was trained with, `positive` and `unfreeze` resolved.
        placement: the usable photos with their parts, and the skipped ones.
        probabilities: float64 [n] of the positive class, for the usable photos.
        distances: float32 [n] to the training photos, for the usable photos.
        evaluations: of the parts beside train, by name, at the chosen threshold.
        reliability: of the parts beside train, by name.
        per_source: test accuracy by source, where sources are told.
        linear: evaluations of the linear reference head on the frozen base, at a threshold of its own.
        leakage: how much a split that parts groups would flatter.
        trials: of numbers of blocks to unfreeze, where that was left to us; the chosen one is in `options`.
        fit: the head, with the history of its training, or of the fine-tuning where blocks were unfrozen.
        familiarity: what the model knows of its training photos.
        timing: seconds by stage (`decode_s` summed over threads), and counts of photos and computed views.
    """

    model: bytes
    weights: BackboneWeights
    facts: ModelFacts
    options: TrainingOptions
    placement: Placement
    probabilities: NDArray[np.float64]
    distances: NDArray[np.float32]
    evaluations: Mapping[str, Evaluation]
    reliability: Mapping[str, Reliability]
    per_source: Mapping[str, Estimate]
    linear: Mapping[str, Evaluation]
    leakage: Leakage
    trials: tuple[Trial, ...]
    fit: Fit
    familiarity: Familiarity
    timing: Mapping[str, float]


def train(
    photos: Sequence[LabelledPhoto],
    labels: tuple[str, str],
    positive: str,
    options: TrainingOptions,
    cache: FeatureCache,
    shares: Mapping[str, float] = SHARES,
    report: Report = lambda stage, done, total: None,
) -> Training:
    """Train on labelled photos.

    Photos that cannot be used are skipped and listed. The same photos, options and machine give the same
    model, whether the cache is cold or warm.

    Args:
        photos: all photos, with their labels.
        labels: the two labels.
        positive: one of them.
        options: how to train.
        cache: where embeddings are kept.
        shares: part -> its share of the photos; "train" and "validation" are needed.
        report: told about progress.

    Raises:
        DatasetError: too few photos of a label, or no split can be made.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    started = time.perf_counter()
    options = replace(options, positive=positive)
    if options.unfreeze:
        from roadclear.training.finetune import check_ready

        check_ready(options.device)
    weights_file = Path(options.weights_file) if options.weights_file is not None else None
    weights = load_weights(options.weights, weights_file, options.download_weights)
    space = FeatureSpace(weights, options.size, options.engine, options.precision)
    policy = AugmentationPolicy(options.rotation, options.zoom, options.flip)
    extractor = FeatureExtractor(space, policy, cache)
    rule = GroupingRule(options.group_by, options.group_by_page, options.group_by_author)
    placement = place(photos, labels, extractor, rule, options.seed, shares, report)
    views = _augmented_views(placement, extractor, options.views, report)

    data = _Data(
        embeddings=placement.embeddings,
        targets=np.array([photo.label == positive for photo in placement.photos], dtype=np.int64),
        parts=np.array(placement.parts),
    )
    head_started = time.perf_counter()
    fitted, linear = _fit_heads(data, views, options, report)
    linear_evaluations = _judge(calibrate(linear, data.of(VALIDATION), options), data).evaluations
    head_s = time.perf_counter() - head_started
    finetune_started, features_before_s = time.perf_counter(), extractor.effort.features_s
    unfrozen, trials = _unfreeze(fitted, Frozen(fitted.head, placement, data.targets, extractor), options, report)
    options = replace(options, unfreeze=unfrozen.blocks if unfrozen is not None else 0)
    if unfrozen is not None:
        weights, fitted, data = unfrozen.weights, unfrozen.fitted, replace(data, embeddings=unfrozen.embeddings)
    features_meanwhile_s = extractor.effort.features_s - features_before_s
    finetune_s = time.perf_counter() - finetune_started - features_meanwhile_s
    chosen = calibrate(fitted, data.of(VALIDATION), options)
    verdict = _judge(chosen, data)
    vectors = unfrozen.vectors if unfrozen is not None else data.embeddings
    familiarity = fit_familiarity(
        vectors[data.parts == TRAIN],
        vectors[data.parts == VALIDATION],
        options.seed,
        familiar_tensor(unfrozen.blocks if unfrozen is not None else 0),
    )
    distances = familiarity.distances(vectors)
    facts = _facts(weights, positive, labels, options, chosen, familiarity.limit, verdict, Counter(placement.parts))
    if unfrozen is not None:
        unfrozen.checkpoint.unlink(missing_ok=True)
    return Training(
        weights=weights,
        model=build_model_file(weights, chosen.head, familiarity, facts),
        facts=facts,
        options=options,
        placement=placement,
        probabilities=verdict.probabilities,
        distances=distances,
        evaluations=verdict.evaluations,
        reliability=_reliability(chosen, data, verdict, distances > familiarity.limit, (positive, facts.negative)),
        per_source=_per_source(placement, data, verdict),
        linear=linear_evaluations,
        leakage=measure_leakage(
            placement.embeddings,
            data.targets,
            placement.groups,
            placement.look_alikes,
            placement.parts,
            shares,
            options.seed,
        ),
        trials=trials,
        fit=chosen,
        familiarity=familiarity,
        timing={
            "photos": len(photos),
            "views": extractor.effort.inferences,
            "decode_s": extractor.effort.decode_s,
            "features_s": extractor.effort.features_s,
            "head_s": head_s,
            "finetune_s": finetune_s,
            "total_s": time.perf_counter() - started,
        },
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """Plain embeddings [n, 1280], targets [n] (1 for the positive class) and parts [n] of the usable photos."""

    embeddings: Embeddings
    targets: Targets
    parts: NDArray[np.str_]

    def of(self, part: str) -> tuple[Embeddings, Targets]:
        chosen = self.parts == part
        return self.embeddings[chosen], self.targets[chosen]


@dataclass(frozen=True, eq=False)
class _Verdict:
    """A head's threshold, its probabilities [n] for all photos, and its metrics on the parts beside train."""

    threshold: float
    probabilities: NDArray[np.float64]
    evaluations: Mapping[str, Evaluation]


def _augmented_views(placement: Placement, extractor: FeatureExtractor, count: int, report: Report) -> list[Embeddings]:
    """Embeddings [n, 1280] of the training photos' views 1 to `count`."""
    if count == 0:
        return []
    chosen = [i for i, part in enumerate(placement.parts) if part == TRAIN]
    hashes = extract_placed(placement, chosen, extractor, range(1, count + 1), partial(report, "Augmenting"))
    return [extractor.load(hashes, k) for k in range(1, count + 1)]


def _fit_heads(
    data: _Data, views: Sequence[Embeddings], options: TrainingOptions, report: Report
) -> tuple[FittedHead, FittedHead]:
    """The head that is asked for, and the linear one: the reference in any case."""
    embeddings, targets = data.of(TRAIN)
    fit_as = partial(
        fit_head, views=[embeddings, *views], targets=targets, validation=data.of(VALIDATION), options=options
    )
    linear = fit_as("linear")
    if options.head == "linear":
        return linear, linear
    return fit_as("dense", on_epoch=lambda epoch: report("Training", epoch.epoch, options.epochs)), linear


def _unfreeze(
    fitted: FittedHead, frozen: Frozen, options: TrainingOptions, report: Report
) -> tuple[Unfrozen | None, tuple[Trial, ...]]:
    """The second phase, if there is one; with it, what was tried where the number of blocks was not told."""
    if options.unfreeze == AUTO:
        return unfreeze_best(fitted, frozen, options, report)
    blocks = int(options.unfreeze)
    return (unfreeze(blocks, frozen, options, report) if blocks else None), ()


def _judge(chosen: Fit, data: _Data) -> _Verdict:
    """Measure every part that was not trained on."""
    probability = probabilities(chosen.head, data.embeddings)
    positive = data.targets == 1
    held_out = [part for part in SPLITS if part != TRAIN and part in data.parts]
    evaluations = {
        part: evaluate(positive[data.parts == part], probability[data.parts == part], chosen.threshold)
        for part in held_out
    }
    return _Verdict(chosen.threshold, probability, evaluations)


def _reliability(
    chosen: Fit, data: _Data, verdict: _Verdict, unfamiliar: NDArray[np.bool_], labels: tuple[str, str]
) -> dict[str, Reliability]:
    """What may be relied upon, on the parts beside train; labels are the positive and the negative."""
    before = probabilities(chosen.fitted.head, data.embeddings)
    result = {}
    for part in verdict.evaluations:
        among = data.parts == part
        positive, after = data.targets[among] == 1, verdict.probabilities[among]
        result[part] = measure_reliability(
            positive, before[among], after, verdict.threshold, chosen.band, unfamiliar[among], labels
        )
    return result


def _per_source(placement: Placement, data: _Data, verdict: _Verdict) -> dict[str, Estimate]:
    """Test accuracy of each source's photos; empty where no source is told."""
    correct = (verdict.probabilities >= verdict.threshold) == (data.targets == 1)
    by_source: dict[str, list[bool]] = {}
    for photo, part, right in zip(placement.photos, placement.parts, correct.tolist(), strict=True):
        if photo.source is not None and part == TEST:
            by_source.setdefault(photo.source, []).append(right)
    return {source: proportion(sum(right), len(right)) for source, right in sorted(by_source.items())}


def _facts(
    weights: BackboneWeights,
    positive: str,
    labels: tuple[str, str],
    options: TrainingOptions,
    chosen: Fit,
    distance_limit: float,
    verdict: _Verdict,
    counts: Counter[str],
) -> ModelFacts:
    summary = {
        "roadclear": version("roadclear"),
        "photos": dict(counts),
        "best_epoch": chosen.fitted.best_epoch,
        "accuracy": {part: asdict(result.metrics["accuracy"]) for part, result in verdict.evaluations.items()},
        "options": asdict(options),
    }
    return ModelFacts(
        positive=positive,
        negative=next(label for label in labels if label != positive),
        threshold=verdict.threshold,
        aim=str(options.aim),
        temperature=chosen.temperature,
        band=chosen.band,
        distance_limit=distance_limit,
        size=options.size,
        head=options.head,
        weights_name=weights.name,
        weights_sha256=weights.sha256,
        weights_origin=weights.origin,
        training=summary,
    )
