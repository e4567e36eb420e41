"""Splits of a training: prescribed ones, or drawn ones in which no photo that the start has seen is held out."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.split import TRAIN, assign_splits
from roadclear.errors import DatasetError
from roadclear.utils.arrays import Bools, Indices


@dataclass(frozen=True, eq=False)
class Draw:
    """Draw of the splits.

    Attributes:
        labels: [n] labels of the photos.
        groups: int [n], group numbers.
        hashes: [n] SHA-256 of the photos' files.
        seed: random seed.
        shares: split -> requested share of the photos.
    """

    labels: Sequence[str]
    groups: Indices
    hashes: Sequence[str]
    seed: int
    shares: Mapping[str, float]

    def splits(self, fixed: Sequence[str] | None, seen: Bools) -> list[str]:
        """Draw the splits: [n] names.

        Prescribed splits are kept. Otherwise whole groups with seen photos come to the training photos, and the other
        splits keep their numbers of photos, as far as a third of the unseen photos goes for each. Where the unseen
        photos do not suffice for every split, all photos are drawn alike, and `PreparedData.seen` tells which.

        Args:
            fixed: [n] prescribed splits, or None.
            seen: bool [n], photos that the start was trained on.

        Raises:
            DatasetError: a split would have no photo of a label.
        """
        if fixed is None and seen.any():
            with suppress(DatasetError):
                return self._around(np.isin(self.groups, self.groups[seen]))
        return assign_splits(self.labels, self.groups, self.seed, fixed, self.shares, self.hashes)

    def _around(self, seen: Bools) -> list[str]:
        """Draw the splits of unseen groups, beside seen groups [n] for training."""
        unseen = np.flatnonzero(~seen)
        total, most = sum(self.shares.values()), 1 / len(self.shares)
        wider = len(self.groups) / max(len(unseen), 1) / total
        shares = {name: min(share * wider, most) for name, share in self.shares.items() if name != TRAIN}
        splits = np.full(len(self.groups), TRAIN, dtype=object)
        labels, hashes = ([values[i] for i in unseen.tolist()] for values in (self.labels, self.hashes))
        if set(labels) != set(self.labels):
            raise DatasetError("expected unseen photos of both labels, found those of one: add photos")
        drawn = {TRAIN: 1 - sum(shares.values()), **shares}
        splits[unseen] = assign_splits(labels, self.groups[unseen], self.seed, None, drawn, hashes)
        return [str(name) for name in splits]


def prescribed_splits(photos: Sequence[LabelledPhoto]) -> list[str] | None:
    """Return the split that is prescribed for each usable photo, or None where no split is prescribed.

    Raises:
        DatasetError: a split is prescribed for some photos and not for others.
    """
    prescribed = [photo.split for photo in photos if photo.split is not None]
    if prescribed and len(prescribed) != len(photos):
        first = next(photo.file for photo in photos if photo.split is None)
        raise DatasetError(
            f"expected a split for every photo, found none for {len(photos) - len(prescribed)} of {len(photos)}, the "
            f"first being {first!r}: make the table anew with roadclear split"
        )
    return prescribed or None
