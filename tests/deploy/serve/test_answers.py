"""Answers without HTTP: those of `predict`, to the last digit, in plain values."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roadclear.deploy.serve.answers import Answerer, answer_values, model_values
from roadclear.errors import PhotoError
from roadclear.images.decode import read_photo
from roadclear.model.predictor import Model


@pytest.fixture(scope="module")
def answerer(model: Model) -> Answerer:
    return Answerer(model)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_bytes_get_the_answer_of_predict(kind: str, answerer: Answerer, model: Model, photos: list[Path]) -> None:
    content = BytesIO()
    Image.open(photos[0]).rotate(3).save(content, kind)
    for explain in (False, True):
        answer = answerer.answer(content.getvalue(), explain)
        assert answer.prediction == model.predict(content.getvalue())
        assert (answer.explanation is not None) == explain


def test_pixels_of_the_size_of_the_model_get_the_answer_of_the_file(
    answerer: Answerer, model: Model, photos: list[Path]
) -> None:
    for photo in photos:
        pixels = read_photo(photo, model.facts.size)
        assert answerer.answer(pixels).prediction == replace(model.predict(photo), file=None)


@pytest.mark.parametrize("data", [b"", b"no photo", b"\xff\xd8\xff" + bytes(100)])
def test_what_is_no_photo_has_its_reason(data: bytes, answerer: Answerer) -> None:
    with pytest.raises(PhotoError) as error:
        answerer.answer(data)
    assert error.value.reason


def test_the_values_add_up_and_name_the_model(answerer: Answerer, photos: list[Path]) -> None:
    answer = answerer.answer(photos[0].read_bytes(), explain=True)
    values = answer_values(answer, answerer.facts)
    assert values["answer"] in ("unsure", values["label"])
    assert np.sum(values["map"]["values"]) + values["map"]["offset"] == pytest.approx(values["map"]["logit"], abs=1e-4)
    assert "map" not in answer_values(replace(answer, explanation=None), answerer.facts)
    assert model_values(answerer)["sha256"] == answerer.sha256
