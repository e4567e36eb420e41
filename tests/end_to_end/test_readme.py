"""What the README and the first guides tell people to type works as it stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import no_sockets
import pytest
from process import START, environment, run
from scenes import write_scenes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/tour.md", ROOT / "docs/python.md"]
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line.split(" #")[0].strip()
    for language, block in BLOCKS
    if language in ("", "sh", "console")
    for line in block.splitlines()
    # These need the network, a video, a browser, or have tests of their own.
    if re.match(r"roadclear (?!collect|run|watch|export|serve|studio|demo)", line) and "--allow-download" not in line
]


@pytest.fixture(scope="module")
def desk(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which there is everything that the README speaks of, as its commands would leave it."""
    desk = tmp_path_factory.mktemp("desk")
    for name in ("PHOTOS", "photos"):
        shutil.copytree(drawn_photos, desk / name)
    write_scenes(desk / "MORE_PHOTOS", per_label=5, seed=7)
    photo = next(drawn_photos.glob("crossing/*.jpg"))
    for name in ("photo.jpg", "folder/photo.jpg", "more/photo.png"):
        (desk / name).parent.mkdir(exist_ok=True)
        shutil.copy(photo, desk / name)
    shutil.make_archive(str(desk / "photos"), "zip", desk / "folder")
    return desk


def test_its_commands_run_one_after_the_other(desk: Path) -> None:
    """In a shell, in a folder that holds the photos they speak of; none of them may open a connection."""
    assert any(line.startswith("roadclear train") for line in COMMANDS)
    guard = [sys.executable, no_sockets.__file__] if no_sockets.supported() else []
    script = "\n".join(["set -e", "roadclear() { " + shlex.join([*guard, *START]) + ' "$@"; }', *COMMANDS])
    ended = run(["sh", "-c", script], cwd=desk, wait=600)
    assert ended.code == 0, ended.err
    assert set(ended.err.splitlines()) == {
        "Heatmaps: maps",
        "No run was named: this is the stock model (roadclear info stock).",
    }
    made = ("runs/first/model.onnx", "runs/first/report.html", "triage/triage.html", "grid.png")
    assert [name for name in made if not (desk / name).is_file()] == []


@pytest.mark.parametrize("code", PYTHON, ids=[f"block {n}" for n in range(1, len(PYTHON) + 1)])
def test_its_python_runs(desk: Path, code: str) -> None:
    """In the order of the page: what one block saves, the next may load. `paths` and `labels` are given."""
    given = (
        "from pathlib import Path\n"
        "paths = sorted(Path('photos').glob('*/*.jpg'))\n"
        "labels = [path.parent.name for path in paths]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", given + code], cwd=desk, env=environment({}), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_the_strangers_code_knows_nothing_of_ours() -> None:
    (stranger,) = [code for code in PYTHON if "onnxruntime" in code]
    assert "import roadclear" not in stranger and "from roadclear" not in stranger
