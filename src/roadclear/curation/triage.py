"""A labelled folder -> what a person should look at, by heads that never saw the photo that they judge."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from roadclear.curation.cases import Case, OutOfFold, list_cases
from roadclear.curation.triage_page import render_page
from roadclear.data.dataset import Dataset
from roadclear.data.labels import choose_positive
from roadclear.errors import OptionError, OutputError
from roadclear.features.cache import FeatureCache
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.label_issues import LabelIssues, find_label_issues
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import FOLDS, REPEATS, CrossValidationData, cross_validate
from roadclear.training.prepare import prepare
from roadclear.utils.files import check_free, write_folder
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.tables import csv_bytes

TABLE_FILE = "triage.csv"
PAGE_FILE = "triage.html"

_COLUMNS = ("rank", "reason", "file", "label", "suggested", "probability", "decision", "sha256")


@dataclass(frozen=True, eq=False)
class Triage:
    """What triage found.

    Attributes:
        photos: how many photos were judged.
        labels: the negative label and the positive one.
        cases: what to look at, in order.
        label_issues: of the labels, see `roadclear.metrics.label_issues`.
        skipped: photos that cannot be used, and why.
    """

    photos: int
    labels: tuple[str, str]
    cases: tuple[Case, ...]
    label_issues: LabelIssues
    skipped: tuple[UnreadablePhoto, ...]


def triage(
    dataset: Dataset,
    settings: TrainSettings,
    cache: FeatureCache,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
) -> Triage:
    """Judge every photo by heads that saw neither it nor what belongs with it, and list what to look at.

    Nothing is written in the folder. Heads are trained on plain photos, without augmented views.

    Args:
        dataset: the folder; its parts, where it has such, are pooled.
        settings: head, seed, engine and grouping are used. Where neither `positive` nor the names tell the positive
            label, the second one is.
        cache: where embeddings are kept.
        folds: in how many the photos are parted.
        repeats: how often.
        progress: called with the stage, what is done, and what there is.

    Raises:
        DatasetError: too few photos of a label, or too few groups for so many folds.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    data = prepare(dataset, replace(settings, positive=_positive_label(dataset, settings.positive)), cache, progress)
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    crossed = cross_validate(sample, settings, settings.head, folds, repeats, progress)
    positive, labels = data.targets == 1, (data.negative, data.positive)
    issues = find_label_issues(positive, crossed.probability)
    judged = OutOfFold(
        data.photos, data.hashes, data.look_alikes, labels, crossed.probability, crossed.threshold, issues
    )
    return Triage(len(data.photos), labels, list_cases(judged), issues, data.skipped)


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


def triage_table(cases: Iterable[Case]) -> bytes:
    """Write triage.csv: the entries in the order of looking, with a column to fill in.

    The column `probability` is the probability of the positive label. File names that are not UTF-8 keep their bytes.
    """
    rows = (
        (e.rank, e.reason, e.photo.file, e.photo.label, e.suggested or "", f"{e.probability:.4f}", "", e.sha256)
        for case in cases
        for e in case.entries
    )
    return csv_bytes(_COLUMNS, rows)


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


def _positive_label(dataset: Dataset, positive: str | None) -> str:
    """The positive label. Which label is positive changes no finding, so none need be named."""
    try:
        return choose_positive(dataset.labels, positive)
    except OptionError:
        if positive is not None:
            raise
        return dataset.labels[1]
