"""Grids of predictions: wrong ones stand out, and every photo has its place."""

import os
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_model
from PIL import Image, ImageChops
from predictions import LONG_NAME, NAMES, said

from roadclear import Model, UnreadablePhoto
from roadclear.errors import OptionError
from roadclear.images.thumbnails import view_photo
from roadclear.model.drawing.grid import Cell, prediction_grid
from roadclear.model.drawing.overlay import NEGATIVE, POSITIVE


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[Path]:
    return sorted(drawn_photos.glob("*/*.jpg"))


def count_pixels(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(picture) == colour).all(axis=-1).sum())


@pytest.mark.parametrize(
    ("count", "columns", "size"),
    [(1, 4, (264, 300)), (4, 4, (1008, 300)), (5, 4, (1008, 556)), (5, 1, (264, 1324)), (3, 16, (760, 300))],
)
def test_rows_are_filled(model: Model, count: int, columns: int, size: tuple[int, int]) -> None:
    cells = [Cell(Image.new("RGB", (30, 20)), said()) for _ in range(count)]
    assert prediction_grid(cells, model.facts, columns).size == size


@pytest.mark.parametrize(
    ("label", "unsure", "true", "framed", "marked"),
    [
        ("crossing", False, "crossing", False, False),
        ("crossing", False, "empty", True, False),
        ("empty", False, "crossing", True, False),
        ("empty", False, None, False, False),
        ("empty", True, "crossing", False, True),
        ("empty", True, "empty", False, True),
        ("empty", True, None, False, True),
    ],
)
def test_wrong_ones_are_framed_and_unsure_ones_marked(
    model: Model, label: str, unsure: bool, true: str | None, framed: bool, marked: bool
) -> None:
    cell = Cell(Image.new("RGB", (232, 174), "white"), said(label=label, unsure=unsure), true)
    picture = prediction_grid([cell], model.facts)
    assert (picture.getpixel((16 - 3, 100)) == POSITIVE) == framed
    assert (picture.getpixel((100, 44 - 3)) == POSITIVE) == framed
    corner = picture.crop((200, 44, 248, 92))
    assert (count_pixels(corner, POSITIVE) > 300) == framed
    assert (count_pixels(corner, NEGATIVE) > 300) == marked


def test_a_cross_marks_a_wrong_one_without_colours(model: Model) -> None:
    right, wrong = (
        prediction_grid([Cell(Image.new("RGB", (232, 174)), said(), true)], model.facts).convert("L")
        for true in ("crossing", "empty")
    )
    badge = (206, 48, 244, 86)
    assert right.crop(badge).getextrema() == (0, 0)
    assert wrong.crop(badge).getextrema()[1] == 255


def test_what_cannot_be_read_has_its_place(model: Model) -> None:
    cells = [
        Cell(None, UnreadablePhoto(Path("b.jpg"), "the file is empty"), "empty"),
        Cell(Image.new("RGB", (9, 9)), said()),
    ]
    assert prediction_grid(cells, model.facts).size == (512, 300)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (900, 1), (1, 900)])
def test_any_name_and_any_shape_can_be_drawn(model: Model, name: str, size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, "green")
    picture = prediction_grid([Cell(photo, said(name), LONG_NAME)], model.facts)
    assert photo.size == size
    assert count_pixels(picture, (0, 128, 0)) > 174 * 20


@pytest.mark.parametrize("columns", [0, -1, 17])
def test_columns_have_a_range(model: Model, columns: int) -> None:
    with pytest.raises(OptionError, match="between 1 and 16"):
        prediction_grid([Cell(None, UnreadablePhoto(Path("b.jpg"), "empty"))], model.facts, columns)


class TestShow:
    def test_it_is_the_grid_of_the_predictions(self, model: Model, photos: list[Path]) -> None:
        few = photos[::12]
        cells = [Cell(view_photo(path, 232), model.predict(path), "empty") for path in few]
        shown = model.show([os.fspath(path) for path in few], ["empty"] * len(few), columns=2)
        assert ImageChops.difference(shown, prediction_grid(cells, model.facts, 2)).getbbox() is None

    def test_a_photo_that_cannot_be_read_has_its_place(self, model: Model, photos: list[Path]) -> None:
        assert model.show([photos[0], photos[0].parent / "missing.jpg"]).size == (512, 300)

    @pytest.mark.parametrize(("count", "labels"), [(0, None), (2, ["empty"]), (0, ["empty"])])
    def test_photos_and_their_labels_are_needed(
        self, model: Model, photos: list[Path], count: int, labels: list[str] | None
    ) -> None:
        with pytest.raises(OptionError):
            model.show(photos[:count], labels)
