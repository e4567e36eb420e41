"""Model repository: the folder that Triton, KServe and OpenVINO Model Server read.

The layout is `<name>/config.pbtxt` and `<name>/1/model.onnx`. Triton and KServe's Triton runtime read both. OpenVINO
Model Server takes the shapes from model.onnx. Documentation: "Model Repository" of the NVIDIA Triton Inference Server,
and "Prepare a Model Repository" of OpenVINO.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from roadclear.deploy.export.made import Made
from roadclear.deploy.export.readme import repository_readme
from roadclear.deploy.export.runners import EngineRunner
from roadclear.errors import OptionError
from roadclear.model.graph_check import output_shapes
from roadclear.model.predictor import Model

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_BOOLEANS = ("unsure", "unfamiliar")


def make_repository(model: Model, name: str) -> Made:
    """Make a model repository with one version of one model.

    The check runs model.onnx by ONNX Runtime, as Triton does, or by OpenVINO where ONNX Runtime is not installed.

    Args:
        model: model to export.
        name: name under which a server offers the model.

    Raises:
        OptionError: the name cannot be a folder and a part of an address.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(f"--name must be letters, digits, '_', '-' and '.', got {name!r}")
    graph = f"{name}/1/model.onnx"
    files = {
        graph: model.data,
        f"{name}/config.pbtxt": _config(name, model.facts.size).encode(),
        "README.md": repository_readme(model.facts, name),
    }
    engine = "onnxruntime" if find_spec("onnxruntime") else "openvino"

    def open_files(folder: Path) -> EngineRunner:
        return EngineRunner(folder / graph, model.facts.size, engine)

    return Made(files, (graph, f"{name}/config.pbtxt"), True, open_files)


def _config(name: str, size: int) -> str:
    """Write Triton's model configuration. The first dimension of every tensor is the number of photos.

    Photos of several requests are not joined to batches: on processors a batch is hardly faster than single photos.
    """
    tensors = [_tensor("input", "photo", "TYPE_UINT8", (size, size, 3))]
    tensors += [
        _tensor("output", output, "TYPE_BOOL" if output in _BOOLEANS else "TYPE_FP32", shape)
        for output, shape in output_shapes(size).items()
    ]
    return f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 0\n' + "".join(tensors)


def _tensor(kind: str, name: str, data_type: str, shape: tuple[int, ...]) -> str:
    dims = ", ".join(map(str, (-1, *shape)))
    return f'{kind} [ {{ name: "{name}" data_type: {data_type} dims: [ {dims} ] }} ]\n'
