"""Heatmap pictures: what the model explains, under any name and in any shape."""

from pathlib import Path

import numpy as np
import pytest
from heads import KINDS, drawn_model
from PIL import Image, ImageChops
from predictions import LONG_NAME, NAMES, explained, peak, said

from roadclear import Model, Prediction
from roadclear.images.thumbnails import view_photo
from roadclear.model.drawing.heatmap import heatmap_picture
from roadclear.model.drawing.overlay import lay_over, scale_ticks


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[Path]:
    return sorted(drawn_photos.glob("*/*.jpg"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_a_model_explains(photos: list[Path], kind: str) -> None:
    explaining = Model(drawn_model(kind))
    explanation = explaining.explain(photos[0])
    photo = view_photo(photos[0])
    picture = heatmap_picture(photo, explanation, explaining.facts, "crossing")
    assert (picture.mode, picture.width) == ("RGB", 688)
    left = 24 + (640 - photo.width) // 2
    limit = scale_ticks(explanation.heatmap)[-1]
    drawn = picture.crop((left, 24, left + photo.width, 24 + photo.height))
    assert ImageChops.difference(drawn, lay_over(photo, explanation.heatmap, limit)).getbbox() is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (640, 1), (1, 900), (250, 160)])
def test_any_name_and_any_shape_can_be_drawn(model: Model, name: str, size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, "green")
    picture = heatmap_picture(photo, explained(peak(0.3), said(name)), model.facts, LONG_NAME)
    assert picture.width == 688
    margins = np.concatenate([np.asarray(picture)[:, :3], np.asarray(picture)[:, -3:]])
    assert (margins == 255).all()
    assert photo.size == size


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("empty", None), ("crossing", None)),
        (("empty", None), ("empty", "empty")),
        (("empty", "crossing"), ("empty", "empty")),
    ],
)
def test_labels_are_told(model: Model, one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    photo = Image.new("RGB", (640, 400))
    first, second = (
        heatmap_picture(photo, explained(peak(0.3), said(label=label)), model.facts, true)
        for label, true in (one, other)
    )
    changed = ImageChops.difference(first, second).getbbox()
    assert changed is not None and changed[1] > 24 + 400


def test_an_unfamiliar_photo_is_told(model: Model) -> None:
    photo = Image.new("RGB", (640, 400))
    near, far = (
        heatmap_picture(
            photo, explained(peak(0.3), Prediction(Path("a"), "empty", 0.1, False, 0.1, unfamiliar)), model.facts
        )
        for unfamiliar in (False, True)
    )
    changed = ImageChops.difference(near, far).getbbox()
    assert changed is not None and changed[1] > 24 + 400
