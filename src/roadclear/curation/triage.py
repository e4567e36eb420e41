"""Triage: which photos of a labelled folder a person should look at, by out-of-fold predictions."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.cases import Case, OutOfFold, list_cases
from roadclear.curation.evidence import evidence_maps
from roadclear.curation.expert import Answered, open_expert
from roadclear.curation.triage_page import LARGE, Subject, render_page
from roadclear.curation.unlabelled import Proposals
from roadclear.data.dataset import Dataset
from roadclear.errors import OptionError, OutputError
from roadclear.features.cache import FeatureCache
from roadclear.features.settings import FeatureSettings
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.label_issues import LabelIssues, find_label_issues
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import (
    FOLDS,
    REPEATS,
    CrossValidation,
    CrossValidationData,
    cross_validate,
)
from roadclear.training.prepare import PreparedData, prepare
from roadclear.training.validation import validate
from roadclear.utils.files import check_free, lies_in, write_folder
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.tables import csv_bytes

TABLE_FILE = "triage.csv"
PAGE_FILE = "triage.html"

_COLUMNS = ("rank", "reason", "file", "label", "suggested", "probability", "decision", "sha256")


@dataclass(frozen=True, eq=False)
class Triage:
    """Result of triage.

    Attributes:
        photos: number of photos that were predicted.
        labels: the negative and the positive label.
        cases: cases to look at, in order.
        label_issues: label issues of the photos, see `roadclear.metrics.label_issues`.
        skipped: photos that cannot be used, with reasons.
        maps: evidence maps of the first 100 listed photos by file, see `roadclear.curation.evidence`.
        by_model: number of photos that an earlier model had a say about; None without one.
    """

    photos: int
    labels: tuple[str, str]
    cases: tuple[Case, ...]
    label_issues: LabelIssues
    skipped: tuple[UnreadablePhoto, ...]
    maps: Mapping[str, NDArray[np.float32]]
    by_model: int | None = None


def triage(
    dataset: Dataset,
    settings: TrainSettings,
    cache: FeatureCache,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
) -> Triage:
    """Predict every photo by heads that saw neither the photo nor its group, and list the photos to look at.

    Nothing is written in the folder. Heads are trained on plain photos, without augmented views. With `unfreeze` blocks
    are fine-tuned in every fold, under a dense head and with the augmented views of the settings.

    An earlier model has a say about the photos that it was not trained on, see `roadclear.curation.expert`.

    Args:
        dataset: photos of the folder. Split folders are pooled.
        settings: settings of the training. Head, seed, engine, grouping and fine-tuning are used. `weights` may name an
            earlier model. The positive label is that of the model, or the second one where neither `positive` nor the
            names of the labels say which label is positive.
        cache: cache of the embeddings.
        folds: number of folds.
        repeats: number of repetitions with other folds.
        progress: callback for progress.

    Raises:
        DatasetError: too few photos of a label, or too few groups for so many folds.
        OptionError: blocks are to be fine-tuned and there is an earlier model.
        ModelFileError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    expert = open_expert(dataset.labels, settings, cache)
    if expert is not None:
        if settings.unfreeze != 0:
            raise OptionError("expected an earlier model or blocks to fine-tune, found both: leave one of them out")
        settings = replace(settings, weights=FeatureSettings().weights, positive=expert.start.facts.positive)
    data, crossed = _cross_validate(dataset, settings, cache, folds, repeats, progress)
    answered = expert.answer(data, crossed, progress) if expert is not None else Answered.of(crossed)
    positive, labels = data.targets == 1, (data.negative, data.positive)
    issues = find_label_issues(positive, answered.probability)
    known = OutOfFold(
        data.photos, data.hashes, data.look_alikes, labels, answered.probability, answered.threshold, issues
    )
    cases = list_cases(known)
    listed = {entry.photo.file for case in cases for entry in case.entries if entry.rank <= LARGE}
    of_model = {photo.file for photo, by_model in zip(data.photos, answered.by_model, strict=True) if by_model}
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    maps = evidence_maps(data, sample, settings, folds, listed - of_model, progress)
    if expert is not None:
        maps |= expert.maps([photo for photo in data.photos if photo.file in listed & of_model], progress)
    return Triage(
        len(data.photos), labels, cases, issues, data.skipped, maps, len(of_model) if expert is not None else None
    )


def _cross_validate(
    dataset: Dataset,
    settings: TrainSettings,
    cache: FeatureCache,
    folds: int,
    repeats: int,
    progress: ProgressCallback,
) -> tuple[PreparedData, CrossValidation]:
    """Predict every photo by heads on the frozen base, or by a base that is fine-tuned in every fold."""
    if settings.unfreeze != 0:
        validated = validate(dataset, replace(settings, head="dense"), cache, folds, repeats, progress)
        return validated.data, validated.crossed
    data = prepare(dataset, replace(settings, views=0), cache, progress)
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    return data, cross_validate(sample, settings, folds, repeats, progress)


def write_triage(out: Path, folder: Path, found: Triage, overwrite: bool) -> None:
    """Write triage.csv and triage.html into a folder, which appears whole or not at all.

    Raises:
        OutputError: see `check_out`.
    """
    files = {
        TABLE_FILE: triage_table(found.cases),
        PAGE_FILE: render_page(Subject(found.photos, found.labels, folder), found.cases, found.maps),
    }
    check_out(out, folder, overwrite)
    write_folder(out, files, overwrite)


def write_proposals(out: Path, folder: Path | None, found: Proposals, overwrite: bool) -> None:
    """Write triage.csv and triage.html of unlabelled photos into a folder, which appears whole or not at all.

    Args:
        out: folder to write.
        folder: folder that decided photos will go to; None where none is named yet.
        found: photos to decide on.
        overwrite: whether an earlier triage is replaced.

    Raises:
        OutputError: see `check_out`.
    """
    subject = Subject(found.photos, found.labels, folder, found.unlabelled, found.model)
    files = {TABLE_FILE: triage_table(found.cases), PAGE_FILE: render_page(subject, found.cases, found.maps)}
    for photos in filter(None, (folder, found.unlabelled)):
        check_out(out, photos, overwrite)
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
    """Refuse, before any work is done, to write among the photos or over anything but a triage.

    Raises:
        OutputError: the output folder lies among the photos, where it would pass for a label; or it exists and must
            not be replaced, or holds no triage; or it cannot be written.
    """
    out = Path(out)
    if lies_in(out, folder):
        raise OutputError(f"the folder {str(out)!r} would lie among the photos: choose another with --out")
    check_free(out, overwrite)
    if out.is_dir() and any(out.iterdir()) and not (out / TABLE_FILE).is_file():
        raise OutputError(f"{str(out)!r} holds other things than a triage, and is left alone: choose another name")
