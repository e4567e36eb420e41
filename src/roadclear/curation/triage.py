"""A labelled folder -> what a person should look at, by heads that never saw the photo that they judge."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadclear.curation.cases import Case, Judged, list_cases
from roadclear.curation.triage_page import render_page
from roadclear.curation.triage_table import triage_table
from roadclear.data.dataset import Dataset, choose_positive
from roadclear.data.groups import GroupingRule
from roadclear.data.split import SHARES
from roadclear.errors import OptionError, OutputError
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import default_extractor
from roadclear.metrics.label_issues import Suspicion, suspects
from roadclear.model.predictor import Unreadable
from roadclear.training.config import TrainingOptions
from roadclear.training.cross_validation import FOLDS, REPEATS, Sample, cross_validate
from roadclear.training.prepare import Report, place
from roadclear.utils.files import check_free, write_folder

TABLE_FILE = "triage.csv"
PAGE_FILE = "triage.html"


@dataclass(frozen=True, eq=False)
class Triage:
    """What triage found.

    Attributes:
        photos: how many photos were judged.
        labels: the negative label and the positive one.
        cases: what to look at, in order.
        suspicion: of the labels, see `roadclear.metrics.label_issues`.
        skipped: photos that cannot be used, and why.
    """

    photos: int
    labels: tuple[str, str]
    cases: tuple[Case, ...]
    suspicion: Suspicion
    skipped: tuple[Unreadable, ...]


def triage(
    dataset: Dataset,
    options: TrainingOptions,
    cache: FeatureCache,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    report: Report = lambda stage, done, total: None,
) -> Triage:
    """Judge every photo by heads that saw neither it nor what belongs with it, and list what to look at.

    Nothing is written in the folder. Heads are trained on plain photos, without augmented views.

    Args:
        dataset: the folder; its parts, where it has such, are pooled.
        options: head, seed, engine and grouping are used. Where neither `positive` nor the names tell the positive
            label, the second one is.
        cache: where embeddings are kept.
        folds: in how many the photos are parted.
        repeats: how often.
        report: told about progress.

    Raises:
        DatasetError: too few photos of a label, or too few groups for so many folds.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    labels = _ordered_labels(dataset.labels, options.positive)
    rule = GroupingRule(options.group_by, options.group_by_page, options.group_by_author)
    extractor = default_extractor(cache, options.engine)
    placement = place(dataset.photos, dataset.labels, extractor, rule, options.seed, SHARES, report)
    positive = np.array([photo.label == labels[1] for photo in placement.photos])
    sample = Sample(placement.embeddings, (), positive.astype(np.int64), placement.groups)
    judged = cross_validate(sample, options, options.head, folds, repeats, report)
    suspicion = suspects(positive, judged.probability)
    found = Judged(
        placement.photos,
        placement.hashes,
        placement.look_alikes,
        labels,
        judged.probability,
        judged.threshold,
        suspicion,
    )
    return Triage(len(placement.photos), labels, list_cases(found), suspicion, placement.skipped)


def write_triage(out: Path, folder: Path, found: Triage, overwrite: bool) -> None:
    """Write triage.csv and triage.html into a folder, which appears whole or not at all.

    Raises:
        OutputError: see `check_out`.
    """
    files = {
        TABLE_FILE: triage_table(found.cases),
        PAGE_FILE: render_page(folder, found.cases, found.labels, found.photos),
    }
    check_out(out, folder, overwrite)
    write_folder(out, files, overwrite)


def check_out(out: str | os.PathLike[str], folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work is done for it, to write among the photos or over what no triage left there.

    Raises:
        OutputError: the folder lies among the photos, where it would be taken for a label; something is there and
            must not be replaced, or is no triage; or it cannot be written.
    """
    out = Path(out)
    if out.resolve().is_relative_to(Path(folder).resolve()):
        raise OutputError(f"the folder {str(out)!r} would lie among the photos: choose another with --out")
    check_free(out, overwrite)
    if out.is_dir() and any(out.iterdir()) and not (out / TABLE_FILE).is_file():
        raise OutputError(f"{str(out)!r} holds other things than a triage, and is left alone: choose another name")


def _ordered_labels(labels: tuple[str, str], positive: str | None) -> tuple[str, str]:
    """The negative label and the positive one. Which is which changes no finding, so that none need be named."""
    try:
        chosen = choose_positive(labels, positive)
    except OptionError:
        if positive is not None:
            raise
        chosen = labels[1]
    return (labels[0] if chosen == labels[1] else labels[1]), chosen
