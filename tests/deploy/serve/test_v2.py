"""The Open Inference Protocol by an independent client: `tritonclient` with its default settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import Running

from roadclear.images.decode import read_photo
from roadclear.model.predictor import Model

pytestmark = pytest.mark.slow
triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient: pip install 'tritonclient[http]'")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Any]:
    made = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield made
    made.close()


def pixels(model: Model, photos: list[Path], binary: bool = True) -> Any:
    array = np.stack([read_photo(photo, model.facts.size) for photo in photos])
    tensor = triton.InferInput("photo", list(array.shape), "UINT8")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def files(photos: list[Path]) -> Any:
    array = np.array([photo.read_bytes() for photo in photos], dtype=object)
    tensor = triton.InferInput("photo", [len(photos)], "BYTES")
    tensor.set_data_from_numpy(array)
    return tensor


def check(found: Any, model: Model, photos: list[Path]) -> None:
    said = [model.predict(photo) for photo in photos]
    assert found.as_numpy("probability").tolist() == [one.probability for one in said]
    assert [text.decode() for text in found.as_numpy("label")] == [one.label for one in said]
    assert [text.decode() for text in found.as_numpy("answer")] == [one.answer for one in said]
    assert found.as_numpy("unsure").tolist() == [one.unsure for one in said]
    assert found.as_numpy("unfamiliar").tolist() == [one.unfamiliar for one in said]


def test_health_and_metadata(client: Any, model: Model) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("roadclear") and client.is_model_ready("roadclear", "1")
    assert not client.is_model_ready("other") and not client.is_model_ready("roadclear", "2")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    size = model.facts.size
    (photo,) = client.get_model_metadata("roadclear")["inputs"]
    assert (photo["name"], photo["datatype"], photo["shape"]) == ("photo", "UINT8", [-1, size, size, 3])


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_default_settings_get_the_answers_of_predict(
    packed: str | None, client: Any, model: Model, photos: list[Path]
) -> None:
    for tensor in (pixels(model, photos), files(photos)):
        found = client.infer("roadclear", [tensor], request_id="a", request_compression_algorithm=packed)
        check(found, model, photos)
        assert found.get_response()["id"] == "a"
        maps = found.as_numpy("heatmap")
        assert maps.shape == (len(photos), 3, 3)
        sums = maps.sum((1, 2)) + found.as_numpy("offset")
        assert sums == pytest.approx(found.as_numpy("logit"), abs=1e-4)


def test_json_in_and_named_outputs_in_either_form(client: Any, model: Model, photos: list[Path]) -> None:
    tensor = pixels(model, photos[:2], binary=False)
    names = ("probability", "label", "answer", "unsure", "unfamiliar")
    for binary in (False, True):
        outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
        found = client.infer("roadclear", [tensor], outputs=outputs, model_version="1")
        check_text = found.get_response()["outputs"]
        assert [output["name"] for output in check_text] == list(names)
        said = [model.predict(photo) for photo in photos[:2]]
        assert found.as_numpy("probability").astype(np.float32).tolist() == [one.probability for one in said]


def test_what_is_wrong_is_an_error_of_the_client(client: Any, model: Model, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(b"words")
    for tensor, name, message in (
        (files([photos[0], tmp_path / "none.jpg"]), "roadclear", "photo 1: a text file"),
        (files(photos), "other", "expected the model 'roadclear'"),
        (files([tmp_path / "none.jpg"] * 65), "roadclear", "1 to 64 photos"),
    ):
        with pytest.raises(InferenceServerException, match=message):
            client.infer(name, [tensor])
