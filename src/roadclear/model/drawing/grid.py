"""Photos side by side with what the model says of them; the wrong ones stand out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from roadclear.errors import OptionError
from roadclear.images.decode import UnreadablePhoto
from roadclear.images.thumbnails import at_size
from roadclear.model.drawing.lettering import fit, font
from roadclear.model.drawing.overlay import NEGATIVE, POSITIVE
from roadclear.model.metadata import ModelFacts
from roadclear.model.prediction import Prediction

MOST_COLUMNS = 16
CELL_WIDTH, CELL_HEIGHT = 232, 174
"""The space that a photo is shown in, in pixels."""

_GAP, _FRAME = 16, 6
_LARGE, _SMALL = 17, 13
_TEXT = 66
_HEADING = 44
_BADGE = 17
_INK, _SOFT, _PAPER, _MOUNT = (27, 27, 27), (90, 90, 90), (255, 255, 255), (238, 238, 238)
_WRONG, _UNSURE = POSITIVE, NEGATIVE


@dataclass(frozen=True, eq=False)
class Cell:
    """One photo of a grid.

    Attributes:
        photo: RGB, upright, in its own proportions; None where it cannot be read.
        result: what the model says of it, or why it cannot be read.
        true_label: where it is known.
    """

    photo: Image.Image | None
    result: Prediction | UnreadablePhoto
    true_label: str | None = None


def prediction_grid(items: Sequence[Cell], facts: ModelFacts, columns: int = 4) -> Image.Image:
    """Draw photos in rows, each with the label and probability that the model gives, and the true label.

    A wrong prediction has a frame in vermilion and a cross on the photo, an unsure one a question mark; right ones have
    neither.

    Args:
        items: at least one.
        facts: of the model.
        columns: photos in a row, 1 to 16.

    Returns:
        RGB; 16 + 248 pixels a column wide, 44 + 256 a row high.

    Raises:
        OptionError: there is nothing to show, or the columns are out of their range.
    """
    if not items:
        raise OptionError("expected photos to show, found none: name at least one")
    if not 1 <= columns <= MOST_COLUMNS:
        raise OptionError(f"columns must be between 1 and {MOST_COLUMNS}, got {columns}")
    columns = min(columns, len(items))
    rows = math.ceil(len(items) / columns)
    width, height = CELL_WIDTH + _GAP, CELL_HEIGHT + _TEXT + _GAP
    picture = Image.new("RGB", (_GAP + columns * width, _HEADING + rows * height), _PAPER)
    draw = ImageDraw.Draw(picture)
    heading = fit(_heading(items), _LARGE, picture.width - 2 * _GAP)
    draw.text((_GAP, _GAP), heading, _INK, font(_LARGE), "lt")
    for k, item in enumerate(items):
        row, column = divmod(k, columns)
        _draw_cell(picture, draw, (_GAP + column * width, _HEADING + row * height), item, facts)
    return picture


def is_wrong(item: Cell) -> bool:
    """Whether the model gives a label, and it is not the true one; who is unsure is not wrong."""
    if not isinstance(item.result, Prediction) or item.true_label is None or item.result.unsure:
        return False
    return item.result.label != item.true_label


def _heading(items: Sequence[Cell]) -> str:
    """How many there are, and what the signs on them mean."""
    parts = ["1 photo" if len(items) == 1 else f"{len(items):,} photos"]
    if any(item.photo is not None and item.true_label is not None for item in items):
        wrong = sum(map(is_wrong, items))
        parts.append(f"{wrong} wrong" + (" (framed, with a cross)" if wrong else ""))
    unsure = sum(map(_is_unsure, items))
    if unsure:
        parts.append(f"{unsure} unsure (with a question mark)")
    return ", ".join(parts)


def _is_unsure(item: Cell) -> bool:
    return isinstance(item.result, Prediction) and item.result.unsure


def _draw_cell(
    picture: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], item: Cell, facts: ModelFacts
) -> None:
    left, top = at
    right, bottom = left + CELL_WIDTH - 1, top + CELL_HEIGHT - 1
    draw.rectangle((left, top, right, bottom), _MOUNT)
    if item.photo is not None:
        photo = ImageOps.contain(at_size(item.photo, CELL_WIDTH), (CELL_WIDTH, CELL_HEIGHT))
        picture.paste(photo, (left + (CELL_WIDTH - photo.width) // 2, top + (CELL_HEIGHT - photo.height) // 2))
    if is_wrong(item):
        draw.rectangle((left - _FRAME, top - _FRAME, right + _FRAME, bottom + _FRAME), outline=_WRONG, width=_FRAME)
        x, y = _draw_badge(draw, right, top, _WRONG)
        arm = _BADGE // 2
        draw.line((x - arm, y - arm, x + arm, y + arm), _PAPER, 4)
        draw.line((x - arm, y + arm, x + arm, y - arm), _PAPER, 4)
    elif _is_unsure(item):
        draw.text(_draw_badge(draw, right, top, _UNSURE), "?", _PAPER, font(26), "mm")
    for line, (text, size, ink) in enumerate(_lines(item, facts)):
        draw.text((left, bottom + 8 + 19 * line), fit(text, size, CELL_WIDTH), ink, font(size), "la")


def _draw_badge(draw: ImageDraw.ImageDraw, right: int, top: int, colour: tuple[int, int, int]) -> tuple[int, int]:
    """A disc for a white sign in the upper right corner of a photo; gives its centre."""
    x, y = right - _BADGE - 4, top + _BADGE + 4
    draw.ellipse((x - _BADGE, y - _BADGE, x + _BADGE, y + _BADGE), colour, _PAPER, 2)
    return x, y


def _lines(item: Cell, facts: ModelFacts) -> list[tuple[str, int, tuple[int, int, int]]]:
    """Three lines below a photo, with size and colour: what the model says, what is known, the file's name."""
    if isinstance(item.result, Prediction):
        said = f"{item.result.answer}   P({facts.positive}) = {item.result.probability:.3f}"
        known = ["" if item.true_label is None else f"true label: {item.true_label}"]
        known += ["unfamiliar"] if item.result.unfamiliar else []
        detail = ", ".join(filter(None, known))
    else:
        said, detail = "cannot be read", item.result.reason
    name = "" if item.result.file is None else item.result.file.name
    return [(said, _LARGE, _INK), (detail, _SMALL, _INK), (name, _SMALL, _SOFT)]
