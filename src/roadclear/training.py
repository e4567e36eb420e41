"""The recipe: labelled photos -> embeddings -> split -> head -> threshold -> one model file and its numbers."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.augment import PLAIN_VIEW, AugmentationPolicy
from roadclear.backbone import BackboneWeights, load_weights
from roadclear.cache import FeatureCache
from roadclear.dataset import LabelledPhoto, check_enough
from roadclear.engine import has_native_bf16
from roadclear.errors import DatasetError, PhotoError
from roadclear.evaluation import Evaluation, choose_threshold, evaluate
from roadclear.features import FeatureExtractor, FeatureSpace
from roadclear.head import Embeddings, FittedHead, Head, Targets, fit_dense, fit_linear
from roadclear.model import Unreadable
from roadclear.modelfile import ModelFacts, build_model_file
from roadclear.options import AUTO, TrainingOptions
from roadclear.split import SHARES, SPLITS, TRAIN, VALIDATION, group_ids, split

Report = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Placed:
    """A usable photo with its place in the split and what the model says of it.

    Attributes:
        photo: the file and its label.
        split: its part.
        group: number of the group that it is in; groups do not straddle parts.
        probability: of the positive class.
    """

    photo: LabelledPhoto
    split: str
    group: int
    probability: float


@dataclass(frozen=True)
class Training:
    """What a training gives.

    Attributes:
        model: content of the model file.
        facts: what the model file says of itself.
        options: that it was trained with, `positive` resolved.
        photos: all usable photos, in the order given.
        skipped: the others, and why.
        evaluations: of the parts beside train, by name, at the chosen threshold.
        linear: the same of the linear reference head, at a threshold of its own.
        fitted: head, history and best epoch.
        timing: seconds by stage, and counts of photos and views; see `metrics.json` in the documentation.
    """

    model: bytes
    facts: ModelFacts
    options: TrainingOptions
    photos: tuple[Placed, ...]
    skipped: tuple[Unreadable, ...]
    evaluations: Mapping[str, Evaluation]
    linear: Mapping[str, Evaluation]
    fitted: FittedHead
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
    weights_file = Path(options.weights_file) if options.weights_file is not None else None
    weights = load_weights(options.weights, weights_file, options.download_weights)
    plain, augmented = _extractors(weights, options, cache)

    usable, hashes, skipped = _read(photos, plain, report)
    check_enough([photo.label for photo in usable], labels)
    groups = group_ids([_ties(photo, sha256) for photo, sha256 in zip(usable, hashes, strict=True)])
    parts = split([photo.label for photo in usable], groups, options.seed, _folder_parts(usable), shares)

    data = _Data(
        embeddings=plain.load(hashes, PLAIN_VIEW),
        targets=np.array([photo.label == positive for photo in usable], dtype=np.int64),
        parts=np.array(parts),
    )
    views = _augmented_views(usable, hashes, parts, augmented, options.views, report)
    head_started = time.perf_counter()
    dense, linear = _fit(data, views, options, report)
    head_s = time.perf_counter() - head_started

    fitted = dense if dense is not None else linear
    verdict = _judge(fitted.head, data, options.min_recall)
    facts = _facts(weights, positive, labels, options, fitted, verdict, Counter(parts))
    model = build_model_file(weights, fitted.head, facts)
    placed = zip(usable, parts, groups.tolist(), verdict.probabilities.tolist(), strict=True)
    return Training(
        model=model,
        facts=facts,
        options=replace(options, positive=positive),
        photos=tuple(Placed(photo, part, group, probability) for photo, part, group, probability in placed),
        skipped=skipped,
        evaluations=verdict.evaluations,
        linear=_judge(linear.head, data, options.min_recall).evaluations,
        fitted=fitted,
        timing={
            "photos": len(photos),
            "views": plain.effort.inferences + augmented.effort.inferences,
            "decode_s": plain.effort.decode_s + augmented.effort.decode_s,
            "features_s": plain.effort.features_s + augmented.effort.features_s,
            "head_s": head_s,
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


def _extractors(
    weights: BackboneWeights, options: TrainingOptions, cache: FeatureCache
) -> tuple[FeatureExtractor, FeatureExtractor]:
    """One for plain photos and one for augmented views, which differ only where the precision is "auto".

    Everything that is measured then is computed in f32, as the model file computes it anywhere. A view that is
    only trained on is a random draw, next to which the rounding of bf16 is nothing.
    """
    policy = AugmentationPolicy(options.rotation, options.zoom, options.flip)
    measured = trained_on = options.precision
    if options.precision == AUTO:
        measured = "f32"
        trained_on = "bf16" if options.engine == "openvino" and has_native_bf16() else "f32"
    plain, augmented = (
        FeatureExtractor(FeatureSpace(weights, options.size, options.engine, precision), policy, cache)
        for precision in (measured, trained_on)
    )
    return plain, augmented


def _read(
    photos: Sequence[LabelledPhoto], extractor: FeatureExtractor, report: Report
) -> tuple[list[LabelledPhoto], list[str], tuple[Unreadable, ...]]:
    """Extract plain embeddings: the usable photos, their SHA-256, and the others with their reasons."""
    usable: list[LabelledPhoto] = []
    hashes: list[str] = []
    skipped: list[Unreadable] = []
    progress = partial(report, "Reading photos")
    results = extractor.extract([photo.path for photo in photos], [PLAIN_VIEW], progress)
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, PhotoError):
            skipped.append(Unreadable(Path(photo.file), result.reason))
        else:
            usable.append(photo)
            hashes.append(result)
    return usable, hashes, tuple(skipped)


def _ties(photo: LabelledPhoto, sha256: str) -> list[tuple[str, str]]:
    """What keeps a photo on one side of the split with others: its content, and its scene."""
    return [("content", sha256)] + ([("scene", photo.scene)] if photo.scene is not None else [])


def _folder_parts(photos: Sequence[LabelledPhoto]) -> list[str] | None:
    """The parts that the folders put the photos in, if they do."""
    parts = [photo.split for photo in photos if photo.split is not None]
    return parts if len(parts) == len(photos) else None


def _augmented_views(
    usable: Sequence[LabelledPhoto],
    hashes: Sequence[str],
    parts: Sequence[str],
    extractor: FeatureExtractor,
    count: int,
    report: Report,
) -> list[Embeddings]:
    """Embeddings [n, 1280] of the training photos' views 1 to `count`."""
    if count == 0:
        return []
    train_photos = [i for i, part in enumerate(parts) if part == TRAIN]
    progress = partial(report, "Augmenting")
    paths = [usable[i].path for i in train_photos]
    for i, result in zip(train_photos, extractor.extract(paths, range(1, count + 1), progress), strict=True):
        if result != hashes[i]:
            raise DatasetError(f"{usable[i].file!r} changed during the training: start it again")
    return [extractor.load([hashes[i] for i in train_photos], k) for k in range(1, count + 1)]


def _fit(
    data: _Data, views: Sequence[Embeddings], options: TrainingOptions, report: Report
) -> tuple[FittedHead | None, FittedHead]:
    """The dense head where it is asked for, and the linear one: the reference in any case."""
    embeddings, targets = data.of(TRAIN)
    training_views = [embeddings, *views]
    linear = fit_linear(training_views, targets, data.of(VALIDATION), seed=options.seed)
    if options.head == "linear":
        return None, linear
    dense = fit_dense(
        training_views,
        targets,
        data.of(VALIDATION),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        epochs=options.epochs,
        patience=options.patience,
        seed=options.seed,
        on_epoch=lambda epoch: report("Training", epoch.epoch, options.epochs),
    )
    return dense, linear


def _judge(head: Head, data: _Data, min_recall: float | None) -> _Verdict:
    """Choose the threshold on validation, then measure every part that was not trained on."""
    probabilities = 1 / (1 + np.exp(-head.logits(data.embeddings).astype(np.float64)))
    positive = data.targets == 1
    validation = data.parts == VALIDATION
    threshold = choose_threshold(positive[validation], probabilities[validation], min_recall)
    held_out = [part for part in SPLITS if part != TRAIN and part in data.parts]
    evaluations = {
        part: evaluate(positive[data.parts == part], probabilities[data.parts == part], threshold) for part in held_out
    }
    return _Verdict(threshold, probabilities, evaluations)


def _facts(
    weights: BackboneWeights,
    positive: str,
    labels: tuple[str, str],
    options: TrainingOptions,
    fitted: FittedHead,
    verdict: _Verdict,
    counts: Counter[str],
) -> ModelFacts:
    summary = {
        "roadclear": version("roadclear"),
        "photos": dict(counts),
        "best_epoch": fitted.best_epoch,
        "accuracy": {part: asdict(result.metrics["accuracy"]) for part, result in verdict.evaluations.items()},
        "options": asdict(options),
    }
    return ModelFacts(
        positive=positive,
        negative=next(label for label in labels if label != positive),
        threshold=verdict.threshold,
        size=options.size,
        head=options.head,
        weights_name=weights.name,
        weights_sha256=weights.sha256,
        weights_origin=weights.origin,
        training=summary,
    )
