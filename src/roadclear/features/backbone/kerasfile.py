"""Reads the tensors of a Keras weights file (HDF5) as NumPy arrays, without Keras.

The layout is the one that Keras calls legacy and that its official weights files have: an attribute
``layer_names``, and in each layer's group an attribute ``weight_names``. A file that Keras writes today for
a whole model (``model.save("x.h5")``) has the same below ``model_weights``. Layers are counted, not named:
Keras too loads such a file by the order of its layers, and the layer names in the official MobileNetV2 files
(``mobl1_conv_1_expand``) are not those of today's Keras (``block_1_expand``).

Links and datasets that lead out of the file are never followed. The HDF5 library itself is C code that has
had its own faults with crafted files: that is a reason to take a Keras file only from its publisher.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import WeightsError

_MOST_BYTES = 64 * 2**20
_MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, RuntimeError, MemoryError)


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Read the weights in the bytes of an HDF5 file: ``layer <n>/<weight>`` -> array.

    `n` counts the layers that have weights from 0. Kernels are turned from ``[k, k, in, out]``, or for
    depthwise convolutions ``[k, k, channels, 1]``, to ``[out, in / groups, k, k]``.

    Raises:
        WeightsError: h5py is not installed, or the file is not HDF5, is damaged, or leads out of itself. The
            message does not name the file.
    """
    try:
        import h5py
    except ImportError as error:
        raise WeightsError("expected h5py, found none: pip install 'roadclear[keras]'") from error
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            # Visits hard links only, so nothing in here lies outside the file except what a dataset declares.
            objects: dict[str, Any] = {"": file}
            file.visititems(objects.__setitem__)
            _check({path: found for path, found in objects.items() if isinstance(found, h5py.Dataset)})
            return _layers(objects, "model_weights" if "model_weights" in objects else "")
    except WeightsError:
        raise
    except _MALFORMED as error:
        raise WeightsError("expected a Keras HDF5 weights file, found a damaged or another one") from error


def _check(datasets: dict[str, Any]) -> None:
    for path, dataset in datasets.items():
        if dataset.external is not None or dataset.is_virtual:
            raise WeightsError(f"expected all values in the file, found {path[:80]!r} outside: an unsafe file")
    # Compressed or unwritten values take no room in the file, but in memory they do.
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
            # Taken out, so that no file makes us read the same values twice.
            values = np.asarray(objects.pop(f"{group}/{weight}")[()])
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
