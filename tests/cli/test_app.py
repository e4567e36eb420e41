"""What holds for every command: help, exit codes, one line for an error, and a quick start."""

import ast
import inspect
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from process import QUICK, START, Argument, roadclear, run
from typer.models import CommandInfo

from roadclear.cli.commands import app

pytestmark = pytest.mark.slow

COMMANDS = (
    "run",
    "collect",
    "clean",
    "split",
    "train",
    "validate",
    "triage",
    "evaluate",
    "compare",
    "predict",
    "show",
    "info",
    "scenes",
    "demo",
    "cache",
    "cache info",
    "cache clear",
)
HEAVY = ("cv2", "httpx", "onnx", "onnxruntime", "openvino", "PIL", "scipy", "sklearn", "sqlite3")


class TestHelp:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_every_command_explains_itself_without_loading_anything_heavy(self, command: str) -> None:
        program = (
            "import atexit, sys\n"
            f"loaded = lambda: [name for name in {HEAVY!r} if name in sys.modules]\n"
            "atexit.register(lambda: print('loaded:', *loaded(), file=sys.stderr))\n" + START[-1]
        )
        ended = run([sys.executable, "-c", program, *command.split(), "--help"])
        assert ended.code == 0
        assert b"Usage:" in ended.out
        assert ended.err == "loaded:\n"

    def test_the_version_is_told(self) -> None:
        ended = roadclear("--version")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith(b"roadclear ")

    def test_the_installed_script_is_the_same_program(self) -> None:
        script = shutil.which("roadclear", path=os.path.dirname(sys.executable))  # noqa: PTH120
        if script is None:
            pytest.skip("the package is not installed in this environment")
        assert run([script, "--version"]) == roadclear("--version")


class TestCommands:
    @pytest.mark.parametrize("command", app.registered_commands, ids=lambda command: command.callback.__name__)
    def test_each_is_short_beside_its_options(self, command: CommandInfo) -> None:
        """A command parses, calls one function and prints; a longer one does the work of a room below."""
        assert command.callback is not None
        (function,) = ast.parse(inspect.getsource(inspect.unwrap(command.callback))).body
        assert isinstance(function, ast.FunctionDef)
        description, first = function.body[:2]
        assert isinstance(description, ast.Expr)
        assert (function.end_lineno or 0) - first.lineno + 1 < 40


class TestErrors:
    """Exit codes: 1 failed, 2 wrong usage. Nothing on stdout, one line on stderr."""

    FAILED: tuple[tuple[str, list[Argument], str], ...] = (
        ("no photos", ["train", "nowhere"], "expected a folder"),
        ("a file for photos", ["train", "{model}"], "expected a folder"),
        ("no labels", ["train", "{empty}"], "expected two label folders"),
        ("run is there", ["train", "{photos}", "--out", "{run}"], "is already there"),
        ("no model", ["evaluate", "nowhere", "{photos}"], "expected a model file"),
        ("a photo for a model", ["info", "{photo}"], "expected an ONNX model"),
        ("no photos in it", ["predict", "{run}", "{empty}"], "expected photos, found none"),
        ("other labels", ["evaluate", "{run}", "{other}"], "expected label folders 'crossing' and 'empty'"),
        ("no folder", ["evaluate", "{run}", "nowhere"], "expected a folder"),
        ("no split table", ["train", "{photos}", "--split", "nowhere.csv"], "expected a split table"),
        ("nothing to split", ["split", "{empty}", "--out", "split.csv"], "expected two label folders"),
    )
    WRONG: tuple[tuple[str, list[Argument], str], ...] = (
        ("no run or photos", ["predict", "nowhere", "{photos}"], "expected a run, a model or photos, found nothing"),
        ("two aims", ["train", "{photos}", "--min-recall", "0.9", "--cost-fn", "2"], "expected one aim"),
        ("coverage", ["train", "{photos}", "--coverage", "1"], "coverage must be at least 0.5 and below 1"),
        ("nothing to train on", ["train"], "expected a folder of photos, found none"),
        ("size", ["train", "{photos}", "--size", "100"], "size must be a multiple of 32"),
        ("views", ["train", "{photos}", "--views", "-1"], "views must be between 0 and 64"),
        ("head", ["train", "{photos}", "--head", "deep"], "head must be one of dense, linear"),
        ("zoom", ["train", "{photos}", "--zoom", "nan"], "zoom must be"),
        ("positive", ["train", "{photos}", "--positive", "people"], "must be one of 'crossing' and 'empty'"),
        ("group-by", ["train", "{photos}", "--group-by", "("], "must be a regular expression"),
        ("weights", ["train", "{photos}", "--weights", "vgg"], "vgg"),
        ("engine", ["predict", "{run}", "{photos}", "--engine", "torch"], "one of openvino, onnxruntime"),
        ("no config", ["train", "--config", "nowhere.toml"], "expected a config.toml"),
        ("a config that is none", ["train", "--config", "{model}"], "expected a config.toml"),
        ("a folder for config", ["train", "--config", "{run}"], "expected a config.toml"),
    )

    @pytest.fixture(scope="class")
    @staticmethod
    def places(trained_run: Path, drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("places")
        (folder / "empty").mkdir()
        (folder / "other" / "dogs").mkdir(parents=True)
        return {
            "{run}": trained_run,
            "{model}": trained_run / "model.onnx",
            "{photos}": drawn_photos,
            "{photo}": next(drawn_photos.glob("*/*.jpg")),
            "{empty}": folder / "empty",
            "{other}": folder / "other",
        }

    @pytest.mark.parametrize(
        ("code", "arguments", "message"),
        [*((1, a, m) for _, a, m in FAILED), *((2, a, m) for _, a, m in WRONG)],
        ids=[name for name, _, _ in (*FAILED, *WRONG)],
    )
    def test_one_line_says_what_was_expected(
        self, places: dict[str, Path], tmp_path: Path, code: int, arguments: list[str], message: str
    ) -> None:
        ended = roadclear(*(places.get(argument, argument) for argument in arguments), cwd=tmp_path)
        assert ended.code == code, ended
        assert message in ended.error()
        assert ended.error().startswith("roadclear: ")
        assert ended.out == b""
        assert not any(tmp_path.rglob("*.*"))

    @pytest.mark.parametrize(
        "arguments",
        [
            ["fly"],
            ["train", "--wings"],
            ["train", "photos", "--size", "large"],
            ["train", "photos", "more photos"],
            ["predict"],
            ["predict", "run", "photo", "--format", "xml"],
            ["evaluate", "run"],
            ["split", "photos"],
            ["cache", "burn"],
        ],
        ids=" ".join,
    )
    def test_a_command_line_that_makes_no_sense_is_wrong_usage(self, arguments: list[str]) -> None:
        ended = roadclear(*arguments)
        assert ended.code == 2
        assert ended.out == b""
        assert "Usage:" in ended.err
        assert "Traceback" not in ended.err

    @pytest.mark.parametrize(
        ("arguments", "code"), [(["info", "nowhere"], 1), (["train", "nowhere", "--size", "100"], 2)]
    )
    def test_debug_adds_the_traceback(self, arguments: list[str], code: int) -> None:
        ended = roadclear("--debug", *arguments)
        assert ended.code == code
        assert "Traceback (most recent call last)" in ended.err
        assert roadclear(*arguments).error().removeprefix("roadclear: ") in ended.err


class TestCache:
    def test_info_counts_what_training_put_there(self, trained_run: Path) -> None:
        ended = roadclear("cache", "info", "--json")
        info = json.loads(ended.out)
        assert ended.code == 0
        assert info["photos"] >= 48
        assert info["features"] >= info["photos"]
        assert info["bytes"] > info["photos"] * 1280 * 4
        assert Path(info["path"]).parent == Path(os.environ["ROADCLEAR_CACHE_DIR"])
        for_people = roadclear("cache", "info")
        assert f"{info['photos']:,} photos, {info['features']:,} features" in for_people.out.decode()

    def test_clear_deletes_it_and_it_starts_anew(self, drawn_photos: Path, tmp_path: Path) -> None:
        own = {"ROADCLEAR_CACHE_DIR": str(tmp_path)}
        assert (
            roadclear("train", drawn_photos, "--out", tmp_path / "run", "--size", "64", "--views", "0", env=own).code
            == 0
        )
        assert json.loads(roadclear("cache", "info", "--json", env=own).out)["photos"] == 48
        assert roadclear("cache", "clear", env=own).code == 0
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
        assert json.loads(roadclear("cache", "info", "--json", env=own).out)["photos"] == 0
        assert roadclear("cache", "clear", env=own).code == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
    def test_a_folder_that_cannot_be_written_is_a_warning_with_advice(self, drawn_photos: Path, tmp_path: Path) -> None:
        nowhere = {"ROADCLEAR_CACHE_DIR": "/proc/roadclear"}
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", *QUICK, env=nowhere)
        assert ended.code == 0
        assert "ROADCLEAR_CACHE_DIR" in ended.error()
        assert "0 photos" in roadclear("cache", "info", env=nowhere).out.decode()

    def test_a_damaged_cache_is_a_warning_with_advice_that_works(self, drawn_photos: Path, tmp_path: Path) -> None:
        own = {"ROADCLEAR_CACHE_DIR": str(tmp_path)}
        (tmp_path / "features.sqlite").write_bytes(b"not a database" * 100)
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", *QUICK, env=own)
        assert ended.code == 0
        assert "roadclear cache clear" in ended.error()
        assert roadclear("cache", "clear", env=own).code == 0
        assert roadclear("cache", "info", env=own).code == 0
