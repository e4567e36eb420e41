"""Whether the strongest evidence for the positive label is on a person, in photos with known places of people.

The pointing game of Zhang et al. (2018, "Top-down Neural Attention by Excitation Backprop", section 4.2), by places
of the heatmap instead of pixels.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.model.prediction import Explanation
from roadclear.model.predictor import Model
from roadclear.utils.tables import read_records

Boxes = dict[str, NDArray[np.float64]]
"""Photo name, without its folder, -> boxes of people [k, 4]: x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Pointing:
    """How often heatmaps point at people.

    Attributes:
        photos: number of photos with people that could be read.
        hits: number of photos whose strongest place touches a person.
        chance: share of all places that touch a person, in [0, 1]: the expected hits of a random place.
    """

    photos: int
    hits: int
    chance: float


def read_boxes(table: Path) -> Boxes:
    """Read the boxes.csv of drawn scenes by file name, because a photo may have moved to another label folder."""
    boxes: defaultdict[str, list[list[float]]] = defaultdict(list)
    for row in read_records(table)[1]:
        boxes[PurePosixPath(row["file"]).name].append([float(row[edge]) for edge in ("x0", "y0", "x1", "y1")])
    return {name: np.array(those) for name, those in boxes.items()}


def point(model: Model, photos: Sequence[Path], boxes: Boxes) -> Pointing:
    """Explain the photos with people, and count the photos whose strongest place touches a person."""
    shown = [photo for photo in photos if photo.name in boxes]
    explained = [
        (photo, one)
        for photo, one in zip(shown, model.explain_many(shown), strict=True)
        if isinstance(one, Explanation)
    ]
    hits, shares = 0, []
    for photo, one in explained:
        with Image.open(photo) as image:
            touched = touched_places(boxes[photo.name], image.size, one.heatmap.shape)
        hits += bool(touched.flat[int(one.heatmap.argmax())])
        shares.append(float(touched.mean()))
    return Pointing(len(explained), hits, float(np.mean(shares)) if shares else 0.0)


def touched_places(boxes: NDArray[np.float64], size: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Find the places of a heatmap that touch a box. The heatmap covers the whole photo.

    Args:
        boxes: float64 [k, 4], see `Boxes`.
        size: width and height of the photo in pixels.
        shape: rows and columns of the heatmap.

    Returns:
        bool [rows, columns].
    """
    rows, columns = shape
    x, y = np.arange(columns) * size[0] / columns, np.arange(rows) * size[1] / rows
    across = (boxes[:, :1] < x + size[0] / columns) & (boxes[:, 2:3] > x)
    down = (boxes[:, 1:2] < y + size[1] / rows) & (boxes[:, 3:] > y)
    return np.asarray((down[:, :, None] & across[:, None, :]).any(axis=0))
