"""A run that the commands can work on."""

from pathlib import Path

import pytest
from process import QUICK, roadclear


@pytest.fixture(scope="session")
def trained_run(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `roadclear train` on the drawn photos. For reading only."""
    run = tmp_path_factory.mktemp("trained") / "run"
    ended = roadclear("train", drawn_photos, "--out", run, *QUICK)
    assert ended.code == 0, ended.err
    return run
