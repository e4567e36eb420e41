"""What is promised about answers against what comes, by method: over splits, with sources left out, and unsure photos.

    python benchmarks/promise.py PHOTOS [--splits 15] [--unsure FOLDER] [--judged NPZ ...] [--simulate 400]

PHOTOS has a manifest.csv with sources. Features come from the user's feature cache. Every NPZ holds one fold of
fine-tuned models with sources left out: arrays files, label and logit of the photos of the sources left out, and
validation_logits and validation_label of the photos that stopped the training.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.special import expit

from machine import describe
from roadclear.data.dataset import load_folder
from roadclear.data.folds import draw_folds
from roadclear.data.split import SPLITS, assign_splits
from roadclear.features.cache import open_cache
from roadclear.features.extractor import default_extractor
from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.model.decision.promise import promised_band, upper_bounds
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.fit import train_dense, train_linears
from roadclear.model.settings import HeadSettings, PromiseSettings
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import load_views, prepare
from roadclear.utils.paths import default_cache_path

MAX_ERROR, CONFIDENCE, MAX_UNSURE = 0.01, 0.9, 0.25
SOURCE_FOLDS = 5
OURS = "**bound, at most a quarter unsure (ours)**"
SIZES = (60, 150, 300, 900, 3000)
SIMULATED = ((1.2, 0.002), (1.6, 0.003), (2.2, 0.0), (3.0, 0.0), (3.0, 0.003), (4.0, 0.0), (5.0, 0.006))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=15)
    parser.add_argument("--unsure", type=Path, help="folder of photos of which a good model is unsure")
    parser.add_argument("--judged", nargs="*", default=[], help="folds of fine-tuned models, see above")
    parser.add_argument(
        "--simulate", type=int, default=0, help="trainings of each simulation; then nothing else is done"
    )
    arguments = parser.parse_args()
    print(describe())
    if arguments.simulate:
        simulate(arguments.simulate)
        return
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(arguments.photos), TrainSettings(), cache)
        views = data.embeddings, *load_views(data, range(len(data.photos)), 1)
        kept = sorted(arguments.unsure.glob("*.jpg")) if arguments.unsure else []
        extractor = default_extractor(cache)
        unsure = extractor.load([one for one in extractor.extract(kept, [0]) if isinstance(one, str)], 0)
    print("| model | test photos | method | wrong of answered | unsure | promised | unsure photos |")
    print("|---|---|---|---|---|---|---|")
    drawn = [np.array(assign_splits([p.label for p in data.photos], data.groups, s)) for s in range(arguments.splits)]
    for what, parts in (("same sources", drawn), ("sources left out", list(leave_sources_out(data)))):
        rows = defaultdict(list)
        for seed, part in enumerate(parts):
            frozen(data, views, unsure, part, seed, rows)
        report("frozen", what, rows)
    if arguments.judged:
        rows = defaultdict(list)
        groups = {photo.file: group for photo, group in zip(data.photos, data.groups.tolist(), strict=True)}
        tuned([np.load(name, allow_pickle=True) for name in arguments.judged], groups, rows)
        report("fine-tuned", "sources left out", rows)


def leave_sources_out(data):
    """Splits whose test photos are of sources that no other photo has: the largest source, then four equal parts."""
    sources = np.array([photo.source for photo in data.photos])
    names, sizes = np.unique(sources, return_counts=True)
    fold, load = {names[sizes.argmax()]: 0}, np.zeros(SOURCE_FOLDS - 1)
    for number in np.argsort(-sizes, kind="stable")[1:]:
        fold[names[number]] = 1 + int(load.argmin())
        load[load.argmin()] += sizes[number]
    numbers = np.array([fold[source] for source in sources])
    for number in range(SOURCE_FOLDS):
        unseen = numbers == number
        rest = np.flatnonzero(~unseen & ~np.isin(data.groups, data.groups[unseen]))
        labels, shares = data.targets[rest].astype(str).tolist(), {"train": 0.85, "validation": 0.15}
        part = np.where(unseen, "test", "none").astype(object)
        part[rest] = assign_splits(labels, data.groups[rest], number, shares=shares)
        yield part.astype(str)


def frozen(data, views, unsure, part, seed, rows) -> None:
    """Add rows of a dense head: bands by its validation photos, or by the cross-fitted linear head."""
    train, validation, test = (np.flatnonzero(part == name) for name in SPLITS)
    targets, groups, plain = data.targets, data.groups, views[0]
    trained = train_dense(
        [view[train] for view in views],
        targets[train],
        (plain[validation], targets[validation]),
        HeadSettings(seed=seed),
    )
    temperature = fit_temperature(trained.head.logits(plain[validation]), targets[validation])
    probability = expit(trained.head.logits(plain).astype(np.float64) / temperature)
    used = np.sort(np.concatenate([train, validation]))
    crossed = cross_fit_linear(plain[used], targets[used], groups[used], seed)
    of_unsure = expit(trained.head.logits(unsure).astype(np.float64) / temperature) if len(unsure) else np.zeros(0)
    held_out = {
        "validation": (targets[validation] == 1, probability[validation], groups[validation]),
        "out of fold": (targets[used] == 1, crossed, groups[used]),
    }
    add_rows(rows, held_out, (targets[test] == 1, probability[test]), of_unsure)


def cross_fit_linear(embeddings, targets, groups, seed):
    folds = draw_folds(targets, groups, 5, 1, seed)
    probability = np.empty(len(targets))
    heads = train_linears([embeddings], targets, [(fold.train, fold.validation) for fold in folds])
    for fold, trained in zip(folds, heads, strict=True):
        logits = trained.head.logits(embeddings)
        temperature = fit_temperature(logits[fold.validation], targets[fold.validation])
        probability[fold.test] = expit(logits[fold.test].astype(np.float64) / temperature)
    return probability


def tuned(folds, groups, rows) -> None:
    """Add rows of fine-tuned models: bands by the validation photos of a fold, or by the photos of the other folds."""
    for number, fold in enumerate(folds):
        stopped, others = fold["validation_label"], [each for k, each in enumerate(folds) if k != number]
        label, logit = (np.concatenate([each[name] for each in others]) for name in ("label", "logit"))
        group = np.array([groups[file] for each in others for file in each["files"]])
        logits = fold["validation_logits"]
        logits = (logits[:, -1] if logits.ndim > 1 else logits).astype(np.float32)
        for name, (truth, z, of) in {
            "validation": (stopped, logits, None),
            "out of fold": (label, logit.astype(np.float32), group),
        }.items():
            temperature = fit_temperature(z, truth)
            held_out = {name: (truth == 1, expit(z.astype(np.float64) / temperature), of)}
            add_rows(rows, held_out, (fold["label"] == 1, expit(fold["logit"] / temperature)), np.zeros(0))


def add_rows(rows, held_out, tested, of_unsure) -> None:
    """Answer test photos by every method: photos, answers, wrong answers, promise, share of unsure photos kept."""
    positive, probability = tested
    for origin, (truth, p, groups) in held_out.items():
        for method, (band, promised) in bands(truth, p, groups).items():
            answered = ~band.covers(probability)
            wrong = answered & ((probability >= 0.5) != positive)
            kept = band.covers(of_unsure).mean() if len(of_unsure) else np.nan
            rows[f"{method}, {origin}"].append((len(positive), answered.sum(), wrong.sum(), promised, kept))


def bands(truth, p, groups):
    """Bands of all methods around 1/2, with the share of wrong answers that each promises; nan for none."""
    settings = PromiseSettings(max_error=MAX_ERROR, confidence=CONFIDENCE, max_unsure=MAX_UNSURE)
    band, promise = promised_band(ValidationScores.of(truth, p, groups), 0.5, settings)
    order = np.argsort(-np.abs(p - 0.5), kind="stable")  # from the widest band on
    widths, answered = np.abs(p - 0.5)[order], np.arange(1, len(p) + 1)
    wrong = np.cumsum(((p >= 0.5) != truth)[order])
    # Geifman and El-Yaniv 2017 divide the error probability by the number of bands of a bisection.
    divided = 1 - (1 - CONFIDENCE) / np.ceil(np.log2(len(p)))
    return {
        "always answered": (UnsureBand(0.5, 0.5, 0.0), np.nan),
        "0.1 to 0.9": (UnsureBand(0.1, 0.9, 0.0), np.nan),
        "coverage 95% of each label": (unsure_band(truth, p, 0.5, 0.95), np.nan),
        "share of wrong answers itself": narrowest(widths, wrong / answered),
        "conformal risk control": narrowest(widths, (wrong + 1) / (answered + 1)),
        "bound, divided among bands": narrowest(widths, upper_bounds(wrong, answered, 1.0, divided)),
        OURS: (band, promise.stated),
    }


def narrowest(widths, risks):
    """The narrowest band whose risk is small enough; a band over everything where there is none."""
    kept = np.flatnonzero(risks <= MAX_ERROR)
    half = widths[kept[-1]] if len(kept) else 0.5
    return UnsureBand(0.5 - half + 1e-12, 0.5 + half - 1e-12, 0.0), MAX_ERROR


def simulate(times: int) -> None:
    """How often what is stated is false, with known truth: by our bound, and by conformal risk control."""
    print(f"| error, wrong labels | {' | '.join(f'{n} photos' for n in SIZES)} |\n|---|{'---|' * len(SIZES)}")
    for skill, noise in SIMULATED:
        _, p, chance = drawn(np.random.default_rng(0), 200_000, skill, noise)
        cells = []
        for n in SIZES:
            draw, false, tried = np.random.default_rng([n, int(10 * skill)]), np.zeros(2), np.zeros(2)
            for _ in range(times):
                positive, probability, _ = drawn(draw, n, skill, noise)
                found = bands(positive, probability, None)
                for at, name in enumerate((OURS, "conformal risk control")):
                    band, stated = found[name]
                    answered = ~band.covers(p)
                    tried[at] += answered.any()
                    false[at] += answered.any() and chance[answered].mean() > stated
            cells.append(" / ".join(f"{100 * one / max(many, 1):.1f}%" for one, many in zip(false, tried, strict=True)))
        print(f"| {chance.mean():.1%}, {noise:.1%} | {' | '.join(cells)} |", flush=True)


def drawn(draw, n, skill, noise):
    """Photos of calibrated probabilities, some labels wrong: truth, probability, true chance of a wrong answer."""
    sure = draw.gamma(2.2, skill, n)
    chance = expit(-sure) * (1 - noise) + expit(sure) * noise
    called = draw.random(n) < 0.5
    return called ^ (draw.random(n) < chance), expit(np.where(called, sure, -sure)), chance


def report(model, what, rows) -> None:
    for method, found in rows.items():
        n, answered, wrong, promised, kept = np.array(found, dtype=float).T
        share = (
            f"{wrong.sum() / answered.sum():.2%} ({wrong.sum():.0f} of {answered.sum():.0f})" if answered.sum() else "-"
        )
        stated = "-" if np.isnan(promised).any() else f"{promised.mean():.1%}"
        unsure = "-" if np.isnan(kept).any() else f"{kept.mean():.0%}"
        print(f"| {model} | {what} | {method} | {share} | {1 - answered.sum() / n.sum():.1%} | {stated} | {unsure} |")


if __name__ == "__main__":
    main()
