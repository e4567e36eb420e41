"""Reader of Keras weights files (HDF5): tensors as NumPy arrays, without Keras.

The layout is Keras' legacy layout, which the official weights files have: an attribute ``layer_names``, and in each
layer's group an attribute ``weight_names``. A whole model (``model.save("x.h5")``) has the layout below
``model_weights``.

Layers are counted, because names differ: ``mobl1_conv_1_expand`` in official MobileNetV2 files, ``block_1_expand`` in
today's Keras. Keras itself loads legacy files by the order of layers.

Links and datasets that lead out of the file are never followed. The HDF5 library is C code, and crafted files have
made it crash and hang. The library therefore runs in a process of its own, with limits of time and memory.
"""

import importlib.util
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import WeightsError
from roadclear.utils.worker import Message, WorkerError, WorkerPool

_MOST_BYTES = 64 * 2**20
# The official file of 9 MB takes a second, most of which starts the process.
_MOST_SECONDS = 10
_MOST_MEMORY = 2_000_000_000
_NUMBERS = "biuf"
_DAMAGED = "expected a Keras HDF5 weights file, found a damaged or another one"
_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError, RuntimeError, MemoryError)


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Read the weights of an HDF5 file: ``layer <n>/<weight>`` -> array.

    `n` counts layers with weights, from 0. Kernels are transposed from ``[k, k, in, out]``, or ``[k, k, channels, 1]``
    of depthwise convolutions, to ``[out, in / groups, k, k]``.

    Raises:
        WeightsError: h5py is not installed; the file is not HDF5, is damaged, or refers to other files; the HDF5
            library took too much time or memory. The caller adds the file's name to the message.
    """
    if importlib.util.find_spec("h5py") is None:
        raise WeightsError("expected h5py, found none: pip install 'roadclear[keras]'")
    workers = WorkerPool(f"{__name__}:answer", _MOST_SECONDS, _MOST_MEMORY, _MOST_BYTES)
    try:
        values, content = workers.call({}, data)
    except WorkerError as error:
        found = f"one that takes longer than {_MOST_SECONDS} s" if error.late else "one that ends its reader"
        raise WeightsError(f"expected a Keras HDF5 weights file, found {found}: a damaged or unsafe file") from error
    finally:
        workers.close()
    if "error" in values:
        raise WeightsError(str(values["error"]))
    try:
        return _unpacked(values["tensors"], content)
    except _MALFORMED as error:
        raise WeightsError(_DAMAGED) from error


def answer(values: dict[str, Any], data: bytes) -> Message:
    """Answer a request in the worker: with names, types and shapes, and the values one after another."""
    try:
        tensors = _read(data)
    except WeightsError as error:
        return {"error": str(error)}, b""
    except _MALFORMED:
        return {"error": _DAMAGED}, b""
    described = [[name, tensor.dtype.str, tensor.shape] for name, tensor in tensors.items()]
    return {"tensors": described}, b"".join(tensor.tobytes() for tensor in tensors.values())


def _unpacked(described: list[Any], content: bytes) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    position = 0
    for name, type_name, shape in described:
        dtype = np.dtype(type_name)
        if dtype.kind not in _NUMBERS:
            raise ValueError(f"expected numbers, got {dtype}")
        count = math.prod(shape)
        tensors[name] = np.frombuffer(content, dtype, count, position).reshape(shape).copy()
        position += count * dtype.itemsize
    return tensors


def _read(data: bytes) -> dict[str, NDArray[Any]]:
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        # `visititems` follows hard links only. Datasets may still refer to other files; `_check` refuses them.
        objects: dict[str, Any] = {"": file}
        file.visititems(objects.__setitem__)
        _check({path: found for path, found in objects.items() if isinstance(found, h5py.Dataset)})
        return _layers(objects, "model_weights" if "model_weights" in objects else "")


def _check(datasets: dict[str, Any]) -> None:
    for path, dataset in datasets.items():
        if dataset.external is not None or dataset.is_virtual:
            raise WeightsError(f"expected all values in the file, found {path[:80]!r} outside: an unsafe file")
    # Compressed and unwritten values need memory that the size of the file does not show.
    total = sum(dataset.nbytes for dataset in datasets.values())
    if total > _MOST_BYTES:
        raise WeightsError(f"expected at most {_MOST_BYTES} bytes of values, found {total}: a wrong file")


def _layers(objects: dict[str, Any], root: str) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    position = 0
    for layer in map(_text, objects[root].attrs["layer_names"]):
        group = f"{root}/{layer}".lstrip("/")
        weights = [_text(weight) for weight in objects[group].attrs["weight_names"]]
        for weight in weights:
            kind = weight.split("/")[-1].removesuffix(":0").removeprefix("depthwise_")
            # Removed from the mapping, so that a crafted file cannot have the same values read twice.
            values = np.asarray(objects.pop(f"{group}/{weight}")[()])
            if values.dtype.kind not in _NUMBERS:
                raise ValueError(f"expected numbers, got {values.dtype}")
            tensors[f"layer {position}/{kind}"] = _turn(values) if kind == "kernel" else values
        position += bool(weights)
    return tensors


def _turn(kernel: NDArray[Any]) -> NDArray[Any]:
    if kernel.ndim != 4:
        return kernel
    depthwise = kernel.shape[3] == 1
    return kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
