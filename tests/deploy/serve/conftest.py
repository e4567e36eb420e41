"""A small model, and a server that answers by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from heads import drawn_model
from servers import Running, running

from roadclear.model.predictor import Model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "model.onnx"
    path.write_bytes(drawn_model(band=(0.3, 0.7)))
    return path


@pytest.fixture(scope="session")
def model(model_file: Path) -> Model:
    return Model(model_file.read_bytes())


@pytest.fixture(scope="session")
def photos(drawn_photos: Path) -> list[Path]:
    """Two drawn photos of each label."""
    return [path for label in ("crossing", "empty") for path in sorted((drawn_photos / label).iterdir())[:2]]


@pytest.fixture(scope="session")
def server(model_file: Path) -> Iterator[Running]:
    """A server with the default settings, but for a body limit of 1 MB, so that tests of the limit are quick."""
    with running(model_file, max_body=1.0) as found:
        yield found
