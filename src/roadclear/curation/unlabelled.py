"""Triage of unlabelled photos: which ones to label next, each with a prediction.

The predictions come from a linear head on the labelled photos, or from an earlier model. Near copies of labelled
photos, and of each other, come last. `selection` orders the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.evidence import map_photos
from roadclear.curation.expert import check_positive, open_plain_base
from roadclear.curation.mount import check_places
from roadclear.curation.selection import choose_next, first_of_groups, uncertainty_of
from roadclear.curation.triage_page import LARGE
from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.discovery import find_photos
from roadclear.data.labels import choose_positive
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.opening import is_sharded
from roadclear.data.sources import load_photos
from roadclear.data.unpacked import unpack_source
from roadclear.errors import DatasetError, OptionError
from roadclear.features.cache import FeatureCache
from roadclear.images.decode import UnreadablePhoto
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.heads import Head, LinearHead, balanced_weights, probabilities
from roadclear.model.logistic import Problems, solve
from roadclear.training.base import Base
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import ReadPhotos, read_photos
from roadclear.training.start import Start
from roadclear.utils.arrays import Bools, Floats
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.storage import name_of

AT_MOST = 50
"""Number of photos that are listed without an earlier model, if no other number is given."""

STRENGTH = 1e-2
"""Inverse L2 strength of the head. No strength from 0.0001 to 1 was better with 20 to 160 labels (docs/triage.md)."""

_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Proposals:
    """Unlabelled photos to decide on.

    Attributes:
        unlabelled: folder of unlabelled photos.
        photos: number of unlabelled photos that were predicted.
        labelled: number of labelled photos.
        labels: the negative and the positive label.
        model: name of the earlier model that predicts, or None.
        cases: photos to decide on, in order.
        copies: number of unlabelled photos that look like a labelled one, or like another unlabelled one.
        seen: number of unlabelled photos that the earlier model was trained on.
        skipped: photos that cannot be used, with reasons.
        maps: evidence maps of the first listed photos by file, see `roadclear.curation.evidence`.
    """

    unlabelled: Path
    photos: int
    labelled: int
    labels: tuple[str, str]
    model: str | None
    cases: tuple[Case, ...]
    copies: int
    seen: int
    skipped: tuple[UnreadablePhoto, ...]
    maps: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class _Judge:
    """What predicts unlabelled photos: a head on embeddings, its threshold, and its unsure band where it has one."""

    head: Head
    threshold: float
    band: UnsureBand | None


@dataclass(frozen=True, eq=False)
class _Pool:
    """Unlabelled photos with predictions.

    Attributes:
        read: photos that were read, the labelled ones included.
        unlabelled: bool [n], which of them are unlabelled.
        probability: float64 [n], probability of the positive label.
        uncertainty: float64 [n], see `uncertainty_of`.
        seen: bool [n], photos that the earlier model was trained on.
    """

    read: ReadPhotos
    unlabelled: Bools
    probability: Floats
    uncertainty: Floats
    seen: Bools


def propose(
    photos: Path | None,
    unlabelled: Path,
    settings: TrainSettings,
    cache: FeatureCache,
    at_most: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Proposals:
    """Predict unlabelled photos, and list those whose labels would help most. Nothing is written among the photos.

    Args:
        photos: labelled photos, as `roadclear.data.sources.load_photos` takes them. With an earlier model a folder may
            be missing or empty, or be None.
        unlabelled: folder of unlabelled photos, or shards or a remote source, whose photos are only listed.
        settings: settings of the training. `weights` names an earlier model, or the weights of the base network. The
            seed, the engine and the positive label are used.
        cache: cache of the embeddings.
        at_most: maximum number of listed photos. None lists 50, or with an earlier model all photos.
        progress: callback for progress.

    Raises:
        DatasetError: photos cannot be moved between the folders, the labels are not those of the earlier model, or
            there is no labelled or no unlabelled photo.
        OptionError, ModelFileError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    if not is_sharded(unlabelled) and (photos is None or not is_sharded(photos)):
        check_places(photos, unlabelled)
    base = open_plain_base(settings, cache)
    labels, labelled = _labels_and_photos(photos, base.start, settings)
    found, lost = _list_photos(unlabelled, settings)
    read = read_photos(Dataset(unlabelled, (*labelled, *found), labels, lost), base, progress)
    bare = np.array([not photo.label for photo in read.photos], dtype=np.bool_)
    if not bare.any():
        raise DatasetError(f"expected photos that can be read in {name_of(unlabelled)!r}, found none: check the name")
    judge = _judge(read, bare, labels, base.start)
    pool = _predict(read, bare, judge, base)
    count = at_most if at_most is not None else AT_MOST if base.start is None else len(read.photos)
    entries, copies = _entries(pool, judge, labels, min(count, int(bare.sum())), settings.seed)
    return Proposals(
        unlabelled=unlabelled,
        photos=int(bare.sum()),
        labelled=int((~bare).sum()),
        labels=labels,
        model=base.start.name if base.start is not None else None,
        cases=tuple(Case(entry.reason, (entry,)) for entry in entries),
        copies=copies,
        seen=int(pool.seen[bare].sum()),
        skipped=read.skipped,
        maps=_maps(entries[:LARGE], judge.head, base, progress),
    )


@dataclass(frozen=True, eq=False)
class Ranking:
    """Unlabelled photos in the order in which to label them.

    Attributes:
        entries: the photos, each with a prediction.
        head: head that predicts, trained on the labelled photos.
    """

    entries: tuple[Entry, ...]
    head: Head


def rank(read: ReadPhotos, labels: tuple[str, str], at_most: int, seed: int) -> Ranking:
    """Order unlabelled photos by how much their labels would help, as `propose` does without an earlier model.

    Args:
        read: photos that were read, labelled ones and unlabelled ones with an empty label.
        labels: the negative and the positive label.
        at_most: maximum number of listed photos.
        seed: random seed of the clusters.

    Raises:
        DatasetError: a label has no photo that can be read.
    """
    bare = np.array([not photo.label for photo in read.photos], dtype=np.bool_)
    judge = _judge(read, bare, labels, None)
    probability = probabilities(judge.head, read.embeddings)
    pool = _Pool(read, bare, probability, uncertainty_of(probability, judge.threshold), np.zeros(len(bare), np.bool_))
    entries, _ = _entries(pool, judge, labels, min(at_most, int(bare.sum())), seed)
    return Ranking(tuple(entries), judge.head)


def _labels_and_photos(
    photos: Path | None, start: Start | None, settings: TrainSettings
) -> tuple[tuple[str, str], tuple[LabelledPhoto, ...]]:
    """List the labelled photos, with the negative and the positive label."""
    if start is None:
        if photos is None:
            raise OptionError("expected labelled photos or an earlier model, found neither: give one of them")
        dataset = load_photos(photos, columns=settings)
        called = choose_positive(dataset.labels, settings.positive)
        return (next(label for label in dataset.labels if label != called), called), dataset.photos
    labels = start.facts.negative, start.facts.positive
    check_positive(settings.positive, start)
    if photos is None or not (is_sharded(photos) or _has_label_folders(photos)):
        return labels, ()
    return labels, load_photos(photos, sorted(labels), settings).photos


def _has_label_folders(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir())


def _list_photos(unlabelled: Path, columns: SourceSettings) -> tuple[list[LabelledPhoto], tuple[UnreadablePhoto, ...]]:
    """List photos, whatever their labels, and photos of shards that could not be read."""
    if is_sharded(unlabelled):
        unpacked = unpack_source(unlabelled, columns)
        return [LabelledPhoto(photo.path, photo.file, "") for photo in unpacked.photos], unpacked.skipped
    found = find_photos([unlabelled])
    return [LabelledPhoto(path, path.relative_to(unlabelled).as_posix(), "") for path in found], ()


def _judge(read: ReadPhotos, bare: Bools, labels: tuple[str, str], start: Start | None) -> _Judge:
    if start is not None:
        return _Judge(start.head, start.facts.threshold, start.facts.band)
    chosen = np.flatnonzero(~bare)
    targets = np.array([read.photos[i].label == labels[1] for i in chosen.tolist()], dtype=np.int64)
    for label, number in zip(labels, (0, 1), strict=True):
        if number not in targets:
            raise DatasetError(
                f"expected labelled photos of {label!r} that can be read, found none: label some by hand, or let an "
                "earlier model predict, by --model"
            )
    kernel, bias = solve(
        Problems([read.embeddings[chosen]], targets, balanced_weights(targets)[:, None], np.array([STRENGTH]))
    )
    return _Judge(LinearHead(kernel[:, 0].astype(np.float32), np.float32(bias[0])), _HALF, None)


def _predict(read: ReadPhotos, bare: Bools, judge: _Judge, base: Base) -> _Pool:
    probability = probabilities(judge.head, read.embeddings)
    uncertainty = uncertainty_of(probability, judge.threshold)
    return _Pool(read, bare, probability, uncertainty, base.has_seen(read.hashes))


def _entries(pool: _Pool, judge: _Judge, labels: tuple[str, str], count: int, seed: int) -> tuple[list[Entry], int]:
    """List photos in the order in which to label them. Return the number of near copies, too."""
    groups = pool.read.look_alikes
    firsts = np.flatnonzero(first_of_groups(groups, ~pool.unlabelled, pool.uncertainty))
    copies = np.setdiff1d(np.flatnonzero(pool.unlabelled), firsts)
    copies = copies[np.argsort(-pool.uncertainty[copies], kind="stable")]
    chosen = choose_next(pool.read.embeddings[firsts], pool.uncertainty[firsts], count, seed)
    order = [*firsts[chosen.order].tolist(), *copies.tolist()][:count]
    why = [
        *(_why_chosen(similar) for similar in chosen.similar.tolist()),
        *(_why_copy(pool, i) for i in copies.tolist()),
    ]
    entries = [
        _entry(pool, judge, labels, i, rank, words)
        for rank, (i, words) in enumerate(zip(order, why, strict=False), start=1)
    ]
    return entries, len(copies)


def _entry(pool: _Pool, judge: _Judge, labels: tuple[str, str], i: int, rank: int, why: str) -> Entry:
    probability = float(pool.probability[i])
    predicted = labels[int(probability >= judge.threshold)]
    reason = TriageReason.LABEL_NEXT
    if judge.band is not None:
        unsure = bool(judge.band.covers(pool.probability[[i]])[0])
        reason = TriageReason.UNSURE if unsure else TriageReason.PROPOSAL
    if pool.seen[i]:
        why = ", ".join(filter(None, [why, "seen in training"]))
    return Entry(rank, reason, pool.read.photos[i], pool.read.hashes[i], predicted, probability, why)


def _why_chosen(similar: int) -> str:
    """Say why a photo was chosen from a cluster of so many photos; nothing where there are no clusters."""
    if similar == 0:
        return ""
    return f"least certain of {similar:,} similar" if similar > 1 else "unlike the others"


def _why_copy(pool: _Pool, i: int) -> str:
    same = np.flatnonzero(pool.read.look_alikes == pool.read.look_alikes[i])
    labelled = [j for j in same.tolist() if not pool.unlabelled[j]]
    if labelled:
        return f"looks like {pool.read.photos[labelled[0]].file}, which has a label"
    first = max((j for j in same.tolist() if j != i), key=lambda j: float(pool.uncertainty[j]))
    return f"looks like {pool.read.photos[first].file}"


def _maps(
    entries: Sequence[Entry], head: Head, base: Base, progress: ProgressCallback
) -> dict[str, NDArray[np.float32]]:
    return map_photos([entry.photo for entry in entries], head, base.extractor.space, progress)
