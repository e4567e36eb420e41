"""Reader of PyTorch checkpoints: tensors as NumPy arrays, without PyTorch and without running a pickle.

A checkpoint (`torch.save`) is a pickle that describes tensors as views of raw storages, and the storages. Up to PyTorch
1.5 the file is one stream: magic number, protocol, system facts, description, keys and values of the storages. Since
1.6 the file is a zip archive: ``<name>/data.pkl`` and ``<name>/data/<key>``.

No number in a file is trusted. Sizes, offsets and strides are checked against the storages, storages against the file.
"""

import io
import math
import struct
import zipfile
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from roadclear.errors import WeightsError
from roadclear.features.backbone.torchpickle import PickledTensor, interpret, quote

Tensors: TypeAlias = dict[str, NDArray[Any]]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MOST_DIMENSIONS = 4
_ZIP_START = b"PK\x03\x04"

# Errors of the standard library's parsers on malformed bytes.
_MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    OSError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


def read_tensors(data: bytes) -> Tensors:
    """Read the state dict of a checkpoint: name -> array, read-only.

    Raises:
        WeightsError: the bytes are not a checkpoint, are truncated, or hold anything but tensors. The caller adds the
            file's name to the message.
    """
    try:
        return _read_zip(data) if data.startswith(_ZIP_START) else _read_legacy(data)
    except WeightsError:
        raise
    except _MALFORMED as error:
        raise WeightsError("expected a PyTorch checkpoint, found a damaged or truncated one") from error


def _read_zip(data: bytes) -> Tensors:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        # PyTorch never compresses. Stored members cannot unpack to more than the file, unless members overlap.
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > len(data):
            raise WeightsError("expected uncompressed members only, as PyTorch writes them, found others")
        descriptions = [member.filename for member in members if member.filename.endswith("/data.pkl")]
        if len(descriptions) != 1:
            raise WeightsError(f"expected one data.pkl in the archive, found {len(descriptions)}")
        folder = descriptions[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise WeightsError("expected little-endian storages, found others")
        state = _state_dict(interpret(archive.read(descriptions[0]), 0)[0])
        storages = {
            key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)
            for key, dtype in _storage_dtypes(state).items()
        }
    return {name: _view(name, tensor, storages[tensor.storage.key]) for name, tensor in state.items()}


def _read_legacy(data: bytes) -> Tensors:
    magic, position = interpret(data, 0)
    if magic != _LEGACY_MAGIC:
        raise WeightsError("expected a PyTorch checkpoint, found something else")
    protocol, position = interpret(data, position)
    system, position = interpret(data, position)
    if protocol != _LEGACY_PROTOCOL or system["little_endian"] is not True:
        raise WeightsError(f"expected a little-endian checkpoint of protocol {_LEGACY_PROTOCOL}, found another")
    pickled, position = interpret(data, position)
    state = _state_dict(pickled)
    keys, position = interpret(data, position)
    dtypes = _storage_dtypes(state)
    storages: Tensors = {}
    for key in keys:
        length = int.from_bytes(data[position : position + 8], "little")
        storages[key] = np.frombuffer(data, dtypes[key], count=length, offset=position + 8)
        position += 8 + storages[key].nbytes
    return {name: _view(name, tensor, storages[tensor.storage.key]) for name, tensor in state.items()}


def _state_dict(pickled: object) -> dict[str, PickledTensor]:
    if not isinstance(pickled, dict):
        raise WeightsError("expected a dict of named tensors in the checkpoint, found something else")
    for name, value in pickled.items():
        if not isinstance(value, PickledTensor):
            raise WeightsError(f"expected tensors only in the checkpoint, found another thing as {quote(name)}")
    return pickled


def _storage_dtypes(state: dict[str, PickledTensor]) -> dict[str, np.dtype[Any]]:
    return {tensor.storage.key: tensor.storage.dtype for tensor in state.values()}


def _view(name: str, tensor: PickledTensor, storage: NDArray[Any]) -> NDArray[Any]:
    expected = tensor.storage
    if storage.dtype != expected.dtype or len(storage) != expected.length:
        raise WeightsError(
            f"expected {expected.length} {expected.dtype} values in the storage of {quote(name)}, "
            f"found {len(storage)} {storage.dtype}"
        )
    if not len(tensor.size) == len(tensor.stride) <= _MOST_DIMENSIONS:
        raise WeightsError(f"expected a stride for each of at most {_MOST_DIMENSIONS} sizes of {quote(name)}")
    if any(type(number) is not int or number < 0 for number in (tensor.offset, *tensor.size, *tensor.stride)):
        raise WeightsError(f"expected an offset, sizes and strides >= 0 for {quote(name)}, found others")
    count = math.prod(tensor.size)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    # A stride of 0 repeats values: without the bound on the count, a small file could become a huge array.
    if not 0 < count <= len(storage) or last >= len(storage):
        raise WeightsError(f"expected {quote(name)} to lie within its storage, found that it reaches beyond")
    strides = [step * storage.itemsize for step in tensor.stride]
    return as_strided(storage[tensor.offset :], tensor.size, strides, writeable=False)
