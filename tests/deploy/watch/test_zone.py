"""Zones: read from text and JSON, and applied to pictures of any size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roadclear.deploy.watch.zone import Zone, read_zone
from roadclear.errors import OptionError

SQUARE = "0.25,0.5 0.75,0.5 0.75,1 0.25,1"


def test_text_and_json_give_the_same_zone(tmp_path: Path) -> None:
    zone = read_zone(SQUARE)
    assert zone == Zone(((0.25, 0.5), (0.75, 0.5), (0.75, 1), (0.25, 1)))
    points = "[[0.25, 0.5], [0.75, 0.5], [0.75, 1], [0.25, 1]]"
    assert read_zone(points) == zone
    for name, text in (("list.json", points), ("named.json", f'{{"zone": {points}}}')):
        (tmp_path / name).write_text(text)
        assert read_zone(str(tmp_path / name)) == zone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "3 to 1,000 points, got 0"),
        ("0,0 1,1", "got 2"),
        ("0,0 1,1 x,2", "found 'x,2'"),
        ("0,0 1,1 -1,2", "numbers of 0 or above"),
        ("0,0 1,1 nan,2", "numbers of 0 or above"),
        ("[[0, 1], 2]", "expected \\[\\[x, y\\]"),
        ("nowhere.json", "No such file"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        read_zone(text)


@pytest.mark.parametrize("size", [(160, 120), (33, 47), (1920, 1080)])
def test_what_lies_outside_is_cut_or_covered(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, (200, 10, 10))
    part = np.asarray(read_zone("0.25,0.5 0.75,0.5 0.75,1").apply(picture))
    assert part.shape[1] == pytest.approx(size[0] / 2, abs=2)
    assert part.shape[0] == pytest.approx(size[1] / 2, abs=2)
    inside = (part == (200, 10, 10)).all(axis=2)
    assert inside.mean() == pytest.approx(0.5, abs=0.06), "half of the box is the triangle"
    assert inside[1, -3]
    assert not inside[-2, 1]
    assert (part[~inside] == (124, 116, 104)).all()


def test_pixels_are_those_of_the_picture() -> None:
    zone = read_zone("40,60 120,60 120,120 40,120")
    assert zone.pixels
    assert zone.apply(Image.new("RGB", (160, 120))).size == (80, 60)
    assert zone.outline((999, 999))[0] == (40, 60)
    with pytest.raises(OptionError, match="found fewer in it"):
        zone.apply(Image.new("RGB", (44, 64)))
