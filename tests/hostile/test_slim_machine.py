"""A machine without the graphics libraries that OpenCV's usual package needs, such as a slim container."""

import subprocess
import sys
from pathlib import Path

import pytest
from process import environment, roadclear

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="hides a library from the Linux loader")


@pytest.fixture
def without_libgl(tmp_path: Path) -> dict[str, str]:
    """An environment in which the loader finds an empty file in place of libGL."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libGL.so.1").touch()
    return {"LD_LIBRARY_PATH": str(tmp_path / "lib"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.mark.slow
def test_no_command_needs_libgl(without_libgl: dict[str, str], tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import cv2"]
    ended = subprocess.run(program, env=environment(without_libgl), capture_output=True, text=True)
    if ended.returncode == 0:
        pytest.skip("OpenCV is installed without graphics here")
    photos = tmp_path / "photos"
    for command in (
        ("scenes", photos, "--count", "60"),
        ("clean", photos),
        ("train", photos, "--out", tmp_path / "run", "--size", "64", "--no-report"),
        ("predict", tmp_path / "run", photos / "empty"),
    ):
        ended = roadclear(*command, env=without_libgl)
        assert ended.code == 0, ended.err


def test_opencv_is_never_imported(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[2] / "src"
    assert not [path for path in source.rglob("*.py") if "import cv2" in path.read_text(encoding="utf-8")]
