"""What every test may ask for: real photos, drawn photos, and a feature cache that is not the user's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from scenes import write_scenes

# Tests that use ONNX Runtime on their own must not report to its makers either. Read when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# As roadclear sets it before it imports PyTorch; tests that import it on their own are slow on busy cores without.
os.environ["OMP_WAIT_POLICY"] = "passive"

# A slow machine is no fault of the code. Mutation tests (nox -s mutants) run a test several times in one process.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.differing_executors])
settings.load_profile("patient")

SHARED_ROADS = Path(__file__).resolve().parents[2] / "shared" / "data" / "roads"


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The feature cache of the whole test session, also of the processes it starts."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("ROADCLEAR_CACHE_DIR")
    os.environ["ROADCLEAR_CACHE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["ROADCLEAR_CACHE_DIR"]
    else:
        os.environ["ROADCLEAR_CACHE_DIR"] = before


@pytest.fixture(scope="session")
def roads() -> Path:
    """A folder of real photos, crossing/ and empty/, that is not part of the repository."""
    if not (SHARED_ROADS / "crossing").is_dir():
        pytest.skip("the real road photos are not here: expected ../shared/data/roads beside the repository")
    return SHARED_ROADS


@pytest.fixture(scope="session")
def drawn_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set, crossing/ and empty/ with 24 JPEGs each. For reading only: copy it to change it."""
    return write_scenes(tmp_path_factory.mktemp("drawn") / "photos", per_label=24)
