"""Exports of a drawn model: the files run, answer like the model, and are written only where they may be."""

import importlib.util
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from heads import drawn_model

from roadclear.data.dataset import load_folder
from roadclear.deploy.export import export as module
from roadclear.deploy.export.check import CheckPhotos
from roadclear.deploy.export.export import ExportJob, export
from roadclear.deploy.export.litert.flatbuffer import schema
from roadclear.deploy.export.made import Made
from roadclear.deploy.export.runners import EngineRunner
from roadclear.deploy.export.settings import ExportSettings
from roadclear.errors import EngineError, OptionError, OutputError
from roadclear.features.engine import openvino_module
from roadclear.model.predictor import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture
def job(drawn_photos: Path, tmp_path: Path) -> ExportJob:
    photos = load_folder(drawn_photos).photos[::4]
    on = CheckPhotos(photos, None, "drawn photos")
    return ExportJob("openvino", tmp_path / "out", on, [photo.path for photo in photos], ExportSettings())


def named(job: ExportJob, **changes: object) -> ExportJob:
    return ExportJob(**{**vars(job), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "package", "files"),
    [("openvino", "openvino", ["model.bin", "model.xml"]), ("litert", "ai_edge_litert", ["model.tflite"])],
)
def test_an_export_answers_like_the_model_and_its_readme_runs(
    to: str,
    package: str,
    files: list[str],
    model: Model,
    job: ExportJob,
    drawn_photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(package)
    result = export(model, named(job, to=to))
    assert result.refused is None and result.check.exported.largest_change < 1e-4
    assert sorted(path.name for path in job.out.iterdir()) == ["README.md", "export.json", *files]
    report = json.loads((job.out / "export.json").read_text())
    assert report["to"] == to and report["photos"] == 12 and report["refused"] is None
    (code,) = re.findall("```python\n(.*?)```", (job.out / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 5
    photo = next((drawn_photos / "crossing").iterdir())
    shutil.copy(photo, job.out / "photo.jpg")
    (job.out / "code.py").write_text(code)
    monkeypatch.chdir(job.out)
    runpy.run_path("code.py")
    assert capsys.readouterr().out.split() == [model.predict(photo).label]


def test_a_model_repository_has_the_layout_of_its_servers(model: Model, job: ExportJob) -> None:
    job = named(job, to="model-repository", settings=ExportSettings(name="road-1"))
    assert export(model, job).refused is None
    files = sorted(path.relative_to(job.out).as_posix() for path in job.out.rglob("*") if path.is_file())
    assert files == ["README.md", "export.json", "road-1/1/model.onnx", "road-1/config.pbtxt"]
    assert (job.out / "road-1/1/model.onnx").read_bytes() == model.data
    config = (job.out / "road-1/config.pbtxt").read_text()
    assert config.startswith('name: "road-1"\nbackend: "onnxruntime"\nmax_batch_size: 0\n')
    graph = onnx.ModelProto.FromString(model.data).graph
    types = {
        onnx.TensorProto.UINT8: "TYPE_UINT8",
        onnx.TensorProto.FLOAT: "TYPE_FP32",
        onnx.TensorProto.BOOL: "TYPE_BOOL",
    }
    found = re.findall(r'(\w+) \[ \{ name: "(\w+)" data_type: (\w+) dims: \[ ([-\d, ]+) \] \} \]', config)
    expected = [
        (kind, value.name, types[value.type.tensor_type.elem_type], [-1, *sides[1:]])
        for kind, values in (("input", graph.input), ("output", graph.output))
        for value in values
        for sides in [[side.dim_value for side in value.type.tensor_type.shape.dim]]
    ]
    assert [
        (kind, name, data_type, list(map(int, dims.split(", ")))) for kind, name, data_type, dims in found
    ] == expected


def test_the_configuration_of_a_model_repository_is_what_triton_defines(model: Model, job: ExportJob) -> None:
    """Read config.pbtxt by the schema in Triton's client. Its package grpc is passed by, since it needs a server."""
    client = pytest.importorskip("tritonclient", reason="needs Triton's client: pip install tritonclient")
    text_format = pytest.importorskip("google.protobuf.text_format")
    place = Path(client.__file__).parent / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", place)
    assert spec is not None and spec.loader is not None
    schema_of_triton = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema_of_triton)
    export(model, named(job, to="model-repository"))
    text = (job.out / "roadclear/config.pbtxt").read_text()
    config = text_format.Parse(text, schema_of_triton.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("roadclear", "onnxruntime", 0)
    graph = onnx.ModelProto.FromString(model.data).graph
    assert [one.name for one in (*config.input, *config.output)] == [one.name for one in (*graph.input, *graph.output)]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "ä"])
def test_names_that_are_no_folder_are_refused(name: str, model: Model, job: ExportJob) -> None:
    with pytest.raises(OptionError, match="--name must be"):
        export(model, named(job, to="model-repository", settings=ExportSettings(name=name)))
    assert not job.out.exists()


def test_nothing_is_overwritten_unasked(model: Model, job: ExportJob) -> None:
    job.out.mkdir()
    (job.out / "mine").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        export(model, job)
    assert [path.name for path in job.out.iterdir()] == ["mine"]
    assert export(model, named(job, overwrite=True)).refused is None
    assert not (job.out / "mine").exists()


def test_a_broken_export_is_refused_and_not_written(
    model: Model, job: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = drawn_model(seed=1)

    def broken(*_: object) -> Made:
        return Made(
            {"model.onnx": other}, ("model.onnx",), True, lambda folder: EngineRunner(folder / "model.onnx", 96)
        )

    monkeypatch.setattr(module, "_MAKERS", {"openvino": broken})
    result = export(model, job)
    assert result.refused is not None and "expected logits within 0.05" in result.refused
    assert not job.out.exists()


@pytest.mark.parametrize("to", ["litert-f16", "litert-int8"])
def test_litert_with_smaller_weights_is_checked_by_its_labels(to: str, model: Model, job: ExportJob) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs LiteRT: pip install 'roadclear[litert]'")
    result = export(model, named(job, to=to, settings=ExportSettings(max_drop=100)))
    row = result.check.exported
    assert result.refused is None and row.residual < 1e-4 and row.largest_change > 0
    assert row.megabytes < 0.6 * result.check.original.megabytes


@pytest.mark.parametrize(
    ("to", "package", "extra"),
    [("openvino-int8", "nncf", "export"), ("litert", "ai_edge_litert", "litert")],
)
def test_a_format_names_the_extra_that_is_missing(
    to: str, package: str, extra: str, model: Model, job: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=rf"pip install 'roadclear\[{extra}\]'"):
        export(model, named(job, to=to))
    assert not job.out.exists()


@pytest.mark.slow
def test_int8_quantizes_convolutions_alone(model: Model, job: ExportJob) -> None:
    pytest.importorskip("nncf", reason="needs NNCF: pip install 'roadclear[export]'")
    result = export(model, named(job, to="openvino-int8", settings=ExportSettings(max_drop=100)))
    assert result.refused is None and result.check.exported.residual < 1e-3
    assert np.isfinite(result.check.exported.largest_change) and result.check.exported.largest_change > 0
    behind = {
        user.get_node().get_type_name()
        for operation in openvino_module().Core().read_model(job.out / "model.xml").get_ops()
        if operation.get_type_name() == "FakeQuantize"
        for user in operation.output(0).get_target_inputs()
    }
    assert behind and "MatMul" not in behind
