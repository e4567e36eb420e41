"""Undecided frames, kept for a person to label: few, of both labels, spread in time, and of different looks.

One sure frame of each label every 20 seconds fills the places that undecided frames leave. So a camera whose frames are
undecided under one label alone still gets both.

The frames lie in two folders by their more probable label, as `roadclear train` reads them. A person moves the wrong
ones to the other folder. manifest.csv gives the frames of 20 seconds one scene, so that they stay on one side of a
split.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.deploy.watch.events import State
from roadclear.images.phash import fingerprint
from roadclear.images.thumbnails import jpeg_bytes
from roadclear.utils.files import write_file
from roadclear.utils.tables import csv_bytes, read_records

UNDECIDED = 0.3, 0.7
"""Beliefs between which a frame is undecided."""

_QUALITY = 92
_SIDE = 256
_NEAR_COPY = 3
_BITS_A_DOUBLING = 4.0
"""Bits of the fingerprint that count like a doubling of the time between two frames."""

_COPY_S, _SCENE_S = 60.0, 20.0
"""Seconds within which a near copy is left out, and seconds of one scene."""

_MANIFEST = "manifest.csv"
_COLUMNS = "file", "label", "scene", "source_repo"


@dataclass(eq=False)
class _Kept:
    """Frame that is kept: name, time in seconds, fingerprint, doubt from 0 to 1, if it is decided, if it is on disk."""

    name: str
    time: float
    look: int
    doubt: float
    sure: bool = False
    on_disk: bool = False

    @property
    def label(self) -> str:
        """Label under which the frame lies."""
        return self.name.partition("/")[0]


def is_undecided(state: State, label_says_on: bool) -> bool:
    """Whether a frame is worth a person's look.

    Args:
        state: decided state of the frame.
        label_says_on: whether the model gives the frame the positive label by itself.
    """
    answer = state.answer
    doubted = UNDECIDED[0] < state.belief < UNDECIDED[1] or label_says_on != state.on
    return answer.unsure or answer.unfamiliar or doubted


def look_of(picture: Image.Image) -> int:
    """Return the fingerprint of a picture, 64 bits."""
    square = picture.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return int(fingerprint(np.asarray(square, np.uint8))[0])


class Keeper:
    """Folder of at most so many undecided frames.

    Args:
        folder: folder with one subfolder a label. Frames of earlier watches in it are left alone.
        at_most: number of frames that this watch keeps.
        labels: negative and positive label.
        source: name of the source, for the manifest.
        stamp: word that the names of this watch's frames begin with.
    """

    def __init__(self, folder: Path, at_most: int, labels: tuple[str, str], source: str, stamp: str) -> None:
        self._folder, self._at_most, self._labels = folder, at_most, labels
        self._source, self._stamp = source, stamp
        self._kept: list[_Kept] = []
        self._next_sure: dict[str, float] = {}
        manifest = folder / _MANIFEST
        self._columns, self._earlier = read_records(manifest) if manifest.is_file() else ([], [])

    @property
    def count(self) -> int:
        """Number of frames that are kept now."""
        return len(self._kept)

    @property
    def missing(self) -> set[float]:
        """Times of kept frames whose picture is not on disk yet."""
        return {one.time for one in self._kept if not one.on_disk}

    def offer(self, state: State, look: int, picture: Image.Image | None, sure: bool = False) -> None:
        """Keep a frame if it differs more from the kept ones than they do from each other.

        Args:
            state: decided state of the frame.
            look: fingerprint of the picture, from `look_of`.
            picture: what the model saw, RGB; None where `fill` will give it later.
            sure: whether the frame is decided. One of each label every 20 seconds is taken, the others are not.

        Raises:
            OutputError: the frame cannot be written.
        """
        label = self._labels[state.on]
        if sure and state.answer.time < self._next_sure.get(label, 0.0):
            return
        name = f"{label}/{self._stamp}-{state.answer.time:010.2f}.jpg"
        new = _Kept(name, state.answer.time, look, 1 - abs(2 * state.belief - 1), sure)
        if any(
            (look ^ old.look).bit_count() <= _NEAR_COPY and abs(new.time - old.time) < _COPY_S for old in self._kept
        ):
            return
        if sure:
            self._next_sure[label] = new.time + _SCENE_S
        candidates = [*self._kept, new]
        dropped = _most_like_another(candidates) if len(candidates) > self._at_most else None
        if dropped is new:
            return
        if dropped is not None and dropped.on_disk:
            (self._folder / dropped.name).unlink(missing_ok=True)
        self._kept = [one for one in candidates if one is not dropped]
        if picture is not None:
            self.fill(new.time, picture)

    def fill(self, time: float, picture: Image.Image) -> None:
        """Write the picture of a kept frame, by its time.

        Raises:
            OutputError: the frame cannot be written.
        """
        for one in self._kept:
            if one.time == time and not one.on_disk:
                data = jpeg_bytes(picture, _QUALITY, sharp_colour=True)
                write_file(self._folder / one.name, data, overwrite=False)
                one.on_disk = True
                self._write_manifest()

    def _write_manifest(self) -> None:
        """Write the rows that were there, with all their columns, and a row for each kept frame."""
        columns = [*self._columns, *(column for column in _COLUMNS if column not in self._columns)]
        rows = [[row.get(column) or "" for column in columns] for row in self._earlier]
        for one in sorted((one for one in self._kept if one.on_disk), key=lambda one: one.time):
            scene = f"{self._stamp}-{int(one.time // _SCENE_S)}"
            new = dict(zip(_COLUMNS, (one.name, one.label, scene, self._source), strict=True))
            rows.append([new.get(column, "") for column in columns])
        write_file(self._folder / _MANIFEST, csv_bytes(columns, rows))


def _most_like_another(kept: list[_Kept]) -> _Kept:
    """Return the frame to leave out: of the two most alike under the more frequent label, the one less in doubt.

    Frames that are decided are left out first.
    """
    frequent, _ = Counter(one.label for one in kept).most_common(1)[0]
    kept = [one for one in kept if one.label == frequent]
    kept = [one for one in kept if one.sure] or kept
    if len(kept) == 1:
        return kept[0]
    looks: NDArray[np.uint64] = np.array([one.look for one in kept], np.uint64)
    times = np.array([one.time for one in kept])
    bits = np.bitwise_count(looks[:, None] ^ looks[None])
    apart = bits + _BITS_A_DOUBLING * np.log2(1 + np.abs(times[:, None] - times[None]))
    np.fill_diagonal(apart, np.inf)
    i, j = np.unravel_index(int(np.argmin(apart)), apart.shape)
    return min(kept[i], kept[j], key=lambda one: one.doubt)
