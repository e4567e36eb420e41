"""The part of the view that matters: the rest is covered, and the picture is cut to what is left.

The cover has the mean colour of ImageNet, which the network's normalisation maps to zero. Cutting makes people in the
zone larger for the network. docs/watch.md compares this with other ways.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from roadclear.errors import OptionError
from roadclear.utils.text import printable

_COVER = (124, 116, 104)
_MOST_POINTS = 1_000
_MOST_BYTES = 1_000_000
_LEAST_SIDE = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Zone:
    """Polygon in a view.

    Attributes:
        points: corners, at least three: x from the left and y from the top. As shares of width and height, 0 to 1, or
            in pixels.
        pixels: whether the corners are in pixels.
    """

    points: tuple[Point, ...]
    pixels: bool = False

    def apply(self, picture: Image.Image) -> Image.Image:
        """Return the part of a picture inside the zone, RGB. What lies around the polygon is covered.

        Raises:
            OptionError: less than 8 pixels of the picture's width or height lie in the zone.
        """
        box, mask = _mask(self, picture.size)
        part = picture.crop(box)
        return Image.composite(part, Image.new("RGB", part.size, _COVER), mask)

    def outline(self, size: tuple[int, int]) -> list[Point]:
        """Return the corners in pixels of a picture of a size."""
        width, height = (1, 1) if self.pixels else size
        return [(x * width, y * height) for x, y in self.points]


def read_zone(text: str) -> Zone:
    """Read a zone: "x,y x,y x,y ...", or the name of a JSON file with [[x, y], ...].

    Numbers up to 1 are shares of the picture's width and height. If a number is above 1, all are pixels.

    Raises:
        OptionError: the text is no polygon, or the file cannot be read.
    """
    if text.strip().startswith("[") or Path(text).suffix.lower() == ".json":
        points = _from_json(text)
    else:
        points = [_point(word) for word in text.split()]
    return _checked(points)


def _point(word: str) -> Point:
    x, _, y = word.partition(",")
    try:
        return float(x), float(y)
    except ValueError:
        raise OptionError(f"--zone needs points such as 0.1,0.5, found {printable(word)[:40]!r}") from None


def _from_json(text: str) -> list[Point]:
    try:
        if not text.strip().startswith("["):
            with Path(text).open("rb") as file:
                text = file.read(_MOST_BYTES).decode()
        values = json.loads(text)
        values = values["zone"] if isinstance(values, dict) else values
        return [(float(x), float(y)) for x, y in values]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected [[x, y], [x, y], [x, y]]"
        raise OptionError(f"--zone cannot be read as JSON: {reason}") from None


def _checked(points: list[Point]) -> Zone:
    if not 3 <= len(points) <= _MOST_POINTS:
        raise OptionError(f"--zone needs 3 to {_MOST_POINTS:,} points, got {len(points)}")
    if not all(math.isfinite(number) and number >= 0 for point in points for number in point):
        raise OptionError("--zone needs numbers of 0 or above: shares of width and height, or pixels")
    return Zone(tuple(points), pixels=any(number > 1 for point in points for number in point))


@cache
def _mask(zone: Zone, size: tuple[int, int]) -> tuple[tuple[int, int, int, int], Image.Image]:
    """Return the box around a zone in a picture of a size, and the mask of the zone in the box."""
    outline = zone.outline(size)
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
    right, bottom = min(size[0], math.ceil(max(xs))), min(size[1], math.ceil(max(ys)))
    if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
        raise OptionError(
            f"--zone needs {_LEAST_SIDE} pixels of the picture of {size[0]} x {size[1]}, found fewer in it"
        )
    mask = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=255)
    return (left, top, right, bottom), mask
