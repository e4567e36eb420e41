"""Inference engines: run an ONNX graph on the processor by OpenVINO (the default) or ONNX Runtime.

An engine computes one photo per call, on one thread, and may be called from many threads at once. A thread pool of the
caller keeps all cores busy: one photo is decoded while another is in the network. So a photo's numbers do not depend on
the number of threads, nor on other photos in a batch.
"""

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from roadclear.errors import EngineError, OptionError
from roadclear.utils.kept import keep, kept_path, read_kept
from roadclear.utils.threads import available_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from roadclear.features.settings import ENGINES, PRECISIONS

# Read when ONNX Runtime is imported. Set now, because no thread may change the environment while another decodes a
# photo: libjpeg reads the environment.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_first_use = threading.Lock()


class Engine(Protocol):
    """Graph that is ready to run. Thread-safe."""

    def infer(self, photo: "NDArray[np.uint8]") -> "Mapping[str, NDArray[Any]]":
        """Run the graph on one photo.

        Args:
            photo: uint8 [S, S, 3] RGB, where S is the graph's input size.

        Returns:
            Requested outputs by name, float32, without the batch axis.
        """
        ...


def open_engine(
    graph: bytes | os.PathLike[str],
    outputs: Sequence[str],
    name: str = "openvino",
    precision: str = "f32",
    sha256: str | None = None,
) -> Engine:
    """Load a graph into an engine.

    Args:
        graph: serialized ONNX model with input `photo` uint8 [N, S, S, 3], or the path of its file.
        outputs: names of the outputs to compute.
        name: "openvino" or "onnxruntime".
        precision: "f32", or "bf16" with OpenVINO only. Inputs and outputs are float32 in both.
        sha256: SHA-256 of the graph, in hex. With it, OpenVINO's compiled graph is kept in the cache folder, so that
            the next process starts faster.

    Raises:
        OptionError: the engine or precision is unknown, or the engine does not have the precision.
        EngineError: the engine is not installed, the processor has no bfloat16, or the engine refuses the graph.
    """
    check_engine(name, precision)
    if precision == "bf16" and not has_native_bf16():
        raise EngineError("bf16 needs a processor with bfloat16 instructions, this one has none: use precision f32")
    source = graph if isinstance(graph, bytes) else os.fspath(graph)
    try:
        if name == "openvino":
            return _OpenVino(source, outputs, precision, sha256)
        return _OnnxRuntime(source, outputs)
    except ImportError as error:
        raise EngineError(f"engine {name!r} is not installed: pip install {name}") from error
    except Exception as error:  # ONNX Runtime's errors have no narrower base class
        reason = str(error).strip().splitlines()[-1]
        raise EngineError(f"engine {name!r} cannot run this graph: {reason}") from error


def check_engine(name: str, precision: str) -> None:
    """Refuse an unknown engine or precision, and bf16 with ONNX Runtime.

    Raises:
        OptionError: the engine or precision is refused.
    """
    if name not in ENGINES:
        raise OptionError(f"the engine must be one of {', '.join(ENGINES)}, got {name!r}")
    if precision not in PRECISIONS:
        raise OptionError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if name == "onnxruntime" and precision != "f32":
        raise OptionError(f"engine 'onnxruntime' computes in f32 only, got precision {precision!r}")


@cache
def engine_key(name: str, precision: str) -> str:
    """Key of an engine for the cache: name, version and precision, which may change a graph's numbers."""
    from importlib.metadata import version  # here, because predicting needs no key and must start fast

    return f"{name}-{version(name)}/{precision}"


def has_native_bf16() -> bool:
    """Whether this processor has bfloat16 instructions that OpenVINO uses."""
    return "BF16" in openvino_module().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def openvino_module() -> Any:
    """Import OpenVINO without its telemetry, and prepare it for many threads."""
    converter = "openvino.tools.ovc"
    with _first_use:
        if "openvino" not in sys.modules:
            # Importing OpenVINO's converter sends telemetry over the network and takes 0.1 s. It is optional.
            sys.modules[converter] = None  # type: ignore[assignment]
            try:
                import openvino
            finally:
                del sys.modules[converter]
        import openvino

        # Two tables, from its types to NumPy's and back, are filled on first use. Threads that do so at the same time
        # can deadlock (seen in OpenVINO 2026.4): one waits for the table, and the other for Python's lock.
        openvino.Type(openvino.Type.u8.to_dtype())
    return openvino


class _OpenVino:
    """Engine with one stream per core and one thread per stream."""

    def __init__(self, graph: bytes | str, outputs: Sequence[str], precision: str, sha256: str | None) -> None:
        openvino = openvino_module()
        self._core = openvino.Core()
        streams = str(available_cores())
        self._options = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "INFERENCE_PRECISION_HINT": precision,
            # Processes that pin their threads choose the same cores: two processes of one thread would share a core.
            "ENABLE_CPU_PINNING": "NO",
        }
        self._outputs = tuple(outputs)
        self._compiled = self._compile(graph) if sha256 is None else self._load(graph, sha256)
        self._local = threading.local()

    def _load(self, graph: bytes | str, sha256: str) -> Any:
        """Load the graph as an earlier process compiled it, or compile and keep it."""
        place = kept_path("compiled", *self._processor(), *self._options.values(), *self._outputs, sha256)
        content = read_kept(place)
        if content is not None:
            with suppress(RuntimeError):  # OpenVINO refuses a file that it cannot use here
                return self._core.import_model(content, "CPU", self._options)
        compiled = self._compile(graph)
        keep(place, compiled.export_model().getvalue())
        return compiled

    def _processor(self) -> tuple[str, ...]:
        """Version of the engine, name of the processor, and what the processor can do."""
        name = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return openvino_module().__version__, name, *sorted(capabilities)

    def _compile(self, graph: bytes | str) -> Any:
        openvino = openvino_module()
        network = self._core.read_model(graph)
        cut = openvino.Model([network.output(name) for name in self._outputs], network.get_parameters())
        # A batch of known size runs faster, and the first photo does not wait for the engine to prepare the size.
        cut.reshape([1, *list(cut.input(0).partial_shape)[1:]])
        return self._core.compile_model(cut, "CPU", self._options)

    def infer(self, photo: "NDArray[np.uint8]") -> "dict[str, NDArray[Any]]":
        request: Any = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        request.infer([photo[None]], share_inputs=True)
        return {name: request.get_tensor(name).data[0].copy() for name in self._outputs}


class _OnnxRuntime:
    def __init__(self, graph: bytes | str, outputs: Sequence[str]) -> None:
        import onnxruntime

        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = 1
        session_options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, session_options, providers=["CPUExecutionProvider"])
        self._outputs = list(outputs)
        unknown = set(outputs) - {output.name for output in self._session.get_outputs()}
        if unknown:
            raise ValueError(f"it has no output {', '.join(sorted(unknown))}")

    def infer(self, photo: "NDArray[np.uint8]") -> "dict[str, NDArray[Any]]":
        results = self._session.run(self._outputs, {"photo": photo[None]})
        return {name: result[0] for name, result in zip(self._outputs, results, strict=True)}
