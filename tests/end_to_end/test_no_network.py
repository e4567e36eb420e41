"""Nothing but what is about the network touches it: not our code, not a library's, not a library's telemetry."""

import shutil
import signal
import sys
from pathlib import Path

import no_sockets
import pytest
from process import QUICK, START, Argument, Ended, run
from scenes import write_scenes

pytestmark = [
    pytest.mark.skipif(not no_sockets.supported(), reason="needs seccomp on Linux, x86-64 or 64-bit ARM"),
    pytest.mark.slow,
]

GUARD = (sys.executable, no_sockets.__file__)


def guarded(*command: Argument, **settings: object) -> Ended:
    return run([*GUARD, *command], **settings)  # type: ignore[arg-type]


class TestTheGuard:
    @pytest.mark.parametrize(
        "program",
        [
            "import socket; socket.socket()",
            "import socket; socket.socketpair()",
            "import socket; socket.create_connection(('127.0.0.1', 9))",
            "import ctypes; ctypes.CDLL(None).socket(1, 1, 0)",
            "import subprocess; subprocess.run(['true'])",
            "import os; os.fork()",
        ],
        ids=["socket", "socket pair", "connection", "native", "a command", "a fork"],
    )
    def test_a_socket_is_deadly_and_so_is_a_process_that_could_open_one(self, program: str) -> None:
        ended = guarded(sys.executable, "-c", program)
        assert ended.code == -signal.SIGSYS, ended

    def test_a_program_that_is_not_ours_dies_as_well(self) -> None:
        if (bash := shutil.which("bash")) is None:
            pytest.skip("there is no bash here")
        assert guarded(bash, "-c", "exec 3<>/dev/tcp/127.0.0.1/9").code == -signal.SIGSYS

    def test_anything_else_is_left_alone(self) -> None:
        program = "import threading; t = threading.Thread(target=print, args=['fine']); t.start(); t.join()"
        assert guarded(sys.executable, "-c", program) == Ended(0, b"fine\n", "")


class TestCommands:
    """In a home of their own, in which nothing may appear: no telemetry consent, no configuration, no cache."""

    @pytest.fixture(scope="class")
    @staticmethod
    def home(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A home whose neighbour is a run that was trained from there, with a cold cache."""
        folder = tmp_path_factory.mktemp("offline")
        (folder / "home").mkdir()
        ended = from_home(folder / "home", "train", drawn_photos, "--out", folder / "run", *QUICK)
        assert ended.code == 0, ended
        return folder / "home"

    def test_training_opens_no_socket(self, home: Path) -> None:
        assert (home.parent / "run" / "model.onnx").is_file()
        assert list(home.rglob("*")) == []

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_predicting_opens_no_socket(self, home: Path, drawn_photos: Path, engine: str) -> None:
        ended = from_home(home, "predict", home.parent / "run", drawn_photos, "--engine", engine)
        assert (ended.code, ended.err) == (0, "")
        assert list(home.rglob("*")) == []

    @pytest.mark.parametrize(
        "arguments",
        [
            ["evaluate", "{run}", "{others}", "--json"],
            ["info", "{run}"],
            ["cache", "info"],
            ["split", "{photos}", "--out", "{out}"],
            ["clean", "{photos}", "--dry-run"],
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_neither_does_any_other_command(
        self, home: Path, drawn_photos: Path, tmp_path: Path, arguments: list[str]
    ) -> None:
        places = {"{run}": home.parent / "run", "{photos}": drawn_photos, "{out}": tmp_path / "split.csv"}
        places["{others}"] = write_scenes(tmp_path / "others", per_label=4, seed=7)
        ended = from_home(home, *(places.get(word, word) for word in arguments))
        assert (ended.code, ended.err) == (0, "")
        assert list(home.rglob("*")) == []

    def test_telemetry_is_never_loaded(self, home: Path, drawn_photos: Path) -> None:
        program = (
            "import atexit, sys\n"
            "atexit.register(lambda: print([m for m in sys.modules if 'telemetry' in m], file=sys.stderr))\n"
            + START[-1]
        )
        command = [*START[:-1], program, "predict", home.parent / "run", drawn_photos]
        ended = run(command, env={"CI": None})
        assert (ended.code, ended.err) == (0, "[]\n")


def from_home(home: Path, *arguments: Argument) -> Ended:
    """Run `roadclear` under guard, with a home folder and a cache of its own."""
    env: dict[str, str | None] = {"HOME": str(home), "ROADCLEAR_CACHE_DIR": str(home.parent / "cache")}
    env |= dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ORT_DISABLE_TELEMETRY", "CI"))
    return guarded(*START, *arguments, env=env)
