"""How well planted wrong labels are found: precision and recall of the rankings, for both heads.

    python benchmarks/triage.py PHOTOS [--seeds 5] [--wrong 0.05] [--heads linear dense] [--top 10] [--finetuned 0]

Labels are flipped in memory, at random, the same for every head; no file is touched. Labels of PHOTOS that are wrong
already count as right here, so that the real precision is a little better. Also lists the most doubtful photos as
they are.

With `--finetuned 3` the first three seeds are also ranked with the knowledge of fine-tuning (needs PyTorch, and some
minutes for each seed): four blocks are fine-tuned on the flipped labels of 70% of the photos, and then in five folds.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from machine import describe, spread, table
from roadclear.curation.expert import log_odds
from roadclear.data.dataset import Dataset, load_folder
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.metrics.label_issues import LabelIssues, find_label_issues
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidation, CrossValidationData, cross_validate
from roadclear.training.finetune.checkpoint import delete_checkpoint
from roadclear.training.finetune.stage import finetune
from roadclear.training.heads import fit_heads
from roadclear.training.prepare import PreparedData, prepare
from roadclear.training.validation import validate
from roadclear.utils.paths import default_cache_path
from roadclear.utils.progress import no_progress

RANKINGS = {
    # Northcutt et al. 2021, section 3.2. With two classes the normalised margin ranks alike.
    "self-confidence": lambda found, positive, cv: found.self_confidence,
    # Kuan and Mueller 2022, "Model-agnostic label quality scoring to detect real-world label errors".
    "self-confidence less its class's threshold": lambda found, positive, cv: (
        found.self_confidence - np.array(found.thresholds)[positive.astype(int)]
    ),
    "suggested first, then self-confidence": lambda found, positive, cv: found.self_confidence - found.suggested,
    "lowest self-confidence of the repeats": lambda found, positive, cv: np.where(
        positive, cv.by_repeat, 1 - cv.by_repeat
    ).min(axis=0),
    "self-confidence of one repeat": lambda found, positive, cv: np.where(
        positive, cv.by_repeat[0], 1 - cv.by_repeat[0]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--wrong", type=float, default=0.05)
    parser.add_argument("--heads", nargs="+", default=["linear", "dense"])
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--finetuned", type=int, default=0)
    arguments = parser.parse_args()

    print(describe("scikit-learn", "numpy", "openvino"))
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(arguments.photos), TrainSettings(), cache)
    positive = data.targets == 1
    for kind in arguments.heads:
        measure(data, positive, kind, arguments.seeds, arguments.wrong)
        as_it_is(data, positive, kind, arguments.top)
    if arguments.finetuned:
        with open_cache(default_cache_path()) as cache:
            measure_finetuned(load_folder(arguments.photos), cache, arguments.finetuned, arguments.wrong)


def measure(data: PreparedData, positive: np.ndarray, kind: str, seeds: int, wrong: float) -> None:
    n, planted = len(positive), round(wrong * len(positive))
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in RANKINGS}
    sets: list[tuple[float, ...]] = []
    for seed in range(seeds):
        flipped = np.zeros(n, dtype=bool)
        flipped[np.random.default_rng(seed).choice(n, planted, replace=False)] = True
        given = positive ^ flipped
        started = time.perf_counter()
        cv, found = judge(data, given, kind, seed)
        seconds = time.perf_counter() - started
        for name, score in RANKINGS.items():
            order = np.argsort(score(found, given, cv), kind="stable")
            hits = [flipped[order[: round(share * n)]].sum() for share in (wrong, 2 * wrong)]
            scores[name].append((hits[0] / round(wrong * n), hits[0] / planted,
                                 hits[1] / round(2 * wrong * n), hits[1] / planted))  # fmt: skip
        caught = flipped & found.suggested
        estimated = sum(
            share * count for share, count in zip(found.wrong_share, (np.sum(~given), np.sum(given)), strict=True)
        )
        sets.append(
            (
                found.suggested.sum(),
                caught.sum() / found.suggested.sum(),
                caught.sum() / planted,
                estimated / n,
                seconds,
            )
        )
    print(f"\n{kind} head: {planted} of {n} labels flipped, median (lowest to highest) of {seeds} seeds")
    tops = [f"{what}, top {share:.0%}" for share in (wrong, 2 * wrong) for what in ("precision", "recall")]
    rows = [[name, *(spread(column) for column in zip(*values, strict=True))] for name, values in scores.items()]
    print(table(["ranking", *tops], rows))
    size, precision, recall, estimated, seconds = (np.array(column) for column in zip(*sets, strict=True))
    print(
        f"suggested: {size.mean():.0f} photos, precision {spread(precision)}, recall {spread(recall)}; estimated share "
        f"of wrong labels {spread(estimated)}; {seconds.mean():.1f} s a cross-validation"
    )


def measure_finetuned(dataset: Dataset, cache: FeatureCache, seeds: int, wrong: float) -> None:
    """Rank by what fine-tuning knows. Photos of the validation and test splits are outside of the training."""
    scores: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        settings = TrainSettings(seed=seed, unfreeze=4)
        kept = prepare(dataset, settings, cache)
        flipped = np.zeros(len(kept.photos), dtype=bool)
        flipped[np.random.default_rng(seed).choice(len(flipped), round(wrong * len(flipped)), replace=False)] = True
        other = {kept.positive: kept.negative, kept.negative: kept.positive}
        photos = [
            replace(photo, label=other[photo.label]) if flip else photo
            for photo, flip in zip(kept.photos, flipped, strict=True)
        ]
        data = replace(kept, photos=tuple(photos))
        for name, odds in finetuned_rankings(data, settings, cache).items():
            order = np.argsort(np.where(data.targets == 1, odds, -odds), kind="stable")
            found = [flipped[order[: round(share * len(order))]].sum() / flipped.sum() for share in (wrong, 2 * wrong)]
            scores.setdefault(name, []).append((float(found[0]), float(found[1])))
            print(f"seed {seed}: {name}: {found[0]:.2f} {found[1]:.2f}", flush=True)
    print(f"\nfine-tuned: {wrong:.0%} of the labels flipped, median (lowest to highest) of {seeds} seeds")
    rows = [[name, *(spread(column) for column in zip(*values, strict=True))] for name, values in scores.items()]
    print(table(["ranking", f"recall, top {wrong:.0%}", f"recall, top {2 * wrong:.0%}"], rows))


def finetuned_rankings(data: PreparedData, settings: TrainSettings, cache: FeatureCache) -> dict[str, np.ndarray]:
    """Log-odds of the positive label [n], by what predicts."""

    def out_of_fold(embeddings: np.ndarray) -> np.ndarray:
        sample = CrossValidationData(embeddings, (), data.targets, data.groups)
        return log_odds(cross_validate(sample, replace(settings, head="linear")).probability)

    tuned = finetune(data, fit_heads(data, settings, no_progress).chosen, settings, no_progress)
    if tuned.checkpoint is not None:
        delete_checkpoint(tuned.checkpoint)
    frozen, own = out_of_fold(data.embeddings), tuned.head.head.logits(tuned.embeddings).astype(np.float64)
    dataset = Dataset(data.photos[0].path.parent, data.photos, (data.negative, data.positive))
    folds = validate(dataset, settings, cache, repeats=1)
    return {
        "heads on the frozen base": frozen,
        "the fine-tuned model itself": own,
        "heads on the fine-tuned backbone": out_of_fold(tuned.embeddings),
        "the model itself outside of its training, else the frozen base": np.where(data.is_in("train"), frozen, own),
        "**the mean outside of its training, else the frozen base** (`--model`)": np.where(
            data.is_in("train"), frozen, (frozen + own) / 2
        ),
        "**fine-tuned in every fold** (`--unfreeze 4`)": log_odds(folds.crossed.probability),
    }


def as_it_is(data: PreparedData, positive: np.ndarray, kind: str, top: int) -> None:
    cv, found = judge(data, positive, kind, 0)
    print(f"\n{kind} head, nothing planted: {found.suggested.sum()} labels suspected, wrong share {found.wrong_share}")
    for i in found.ranked[:top].tolist():
        print(f"  {data.photos[i].file}  P(positive) {cv.probability[i]:.3f}")


def judge(data: PreparedData, given: np.ndarray, kind: str, seed: int) -> tuple[CrossValidation, LabelIssues]:
    sample = CrossValidationData(data.embeddings, (), given.astype(np.int64), data.groups)
    cv = cross_validate(sample, TrainSettings(seed=seed, head=kind))
    return cv, find_label_issues(given, cv.probability)


if __name__ == "__main__":
    main()
