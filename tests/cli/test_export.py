"""`roadclear export` as a process: the table, the files, and what is refused in one line."""

import json
from pathlib import Path

import pytest
from process import roadclear

pytestmark = pytest.mark.slow


def test_a_run_is_checked_on_its_own_photos_and_exported(trained_run: Path, tmp_path: Path) -> None:
    ended = roadclear("export", trained_run, "--to", "openvino", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    table = ended.out.decode()
    assert "model.onnx" in table and "openvino" in table and "validation and test photos of the run" in table
    report = json.loads((tmp_path / "out" / "export.json").read_text())
    assert [row["format"] for row in report["formats"]] == ["model.onnx", "openvino"]
    assert report["formats"][1]["flips"] == 0
    again = roadclear("export", trained_run, "--to", "openvino", "--out", tmp_path / "out")
    assert again.code == 1 and "choose another name, or add --overwrite" in again.error()


def test_other_photos_can_be_named(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
    model = trained_run / "model.onnx"
    ended = roadclear(
        "export", model, "--to", "model-repository", "--check", drawn_photos, "-o", tmp_path / "out", "-q"
    )
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "out" / "export.json").read_text())["photos"] == 48


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["stock", "--to", "openvino"], 2, "name them by --check PHOTOS"),
        (["stock", "--to", "coreml"], 2, "--to must be one of openvino, openvino-int8"),
        (["stock", "--to", "openvino", "--max-drop", "-1"], 2, "max_drop must be"),
        (["nowhere", "--to", "openvino"], 1, "expected a model file"),
    ],
)
def test_mistakes_end_with_one_line(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    ended = roadclear("export", *words, cwd=tmp_path)
    assert ended.code == code, ended.err
    assert message in ended.error()
    assert list(tmp_path.iterdir()) == []
