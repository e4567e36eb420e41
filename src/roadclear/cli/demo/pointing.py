"""Whether the place that speaks most for the positive label is on a person, where it is known where people are.

The pointing game of Zhang et al. (2018, "Top-down Neural Attention by Excitation Backprop", section 4.2), by places
of the heatmap instead of pixels.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.model.prediction import Explanation
from roadclear.model.predictor import Model

Boxes = dict[str, NDArray[np.float64]]
"""Photo name, without its folder, -> boxes of people [k, 4]: x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Pointing:
    """How often heatmaps point at people.

    Attributes:
        photos: with people, that were looked at.
        hits: photos whose strongest place touches a person.
        chance: share of all places that touch one, in [0, 1]: what pointing blindly would hit.
    """

    photos: int
    hits: int
    chance: float


def read_boxes(table: Path) -> Boxes:
    """Read the boxes.csv of drawn scenes; by names alone, since a label's folder may have been changed."""
    boxes: defaultdict[str, list[list[float]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            boxes[PurePosixPath(row["file"]).name].append([float(row[edge]) for edge in ("x0", "y0", "x1", "y1")])
    return {name: np.array(those) for name, those in boxes.items()}


def point(model: Model, photos: Sequence[Path], boxes: Boxes) -> Pointing:
    """Explain the photos that show people, and count in how many the strongest place touches one."""
    explained = [
        one for one in model.explain_many([p for p in photos if p.name in boxes]) if isinstance(one, Explanation)
    ]
    hits, shares = 0, []
    for one in explained:
        with Image.open(one.prediction.file) as image:
            touched = touched_places(boxes[one.prediction.file.name], image.size, one.heatmap.shape)
        hits += bool(touched.flat[int(one.heatmap.argmax())])
        shares.append(float(touched.mean()))
    return Pointing(len(explained), hits, float(np.mean(shares)) if shares else 0.0)


def touched_places(boxes: NDArray[np.float64], size: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which places of a heatmap, which is laid over the whole photo, touch a box.

    Args:
        boxes: [k, 4], see `Boxes`.
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
