"""Writes PyTorch checkpoints, sound and hostile, instruction by instruction and without PyTorch.

Format: the pickle protocol 2 of the standard library (`pickletools`), and what `torch.save` puts around it.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

PROTOCOL_2 = b"\x80\x02"
STOP = b"."
NONE = b"N"
EMPTY_DICT = b"}"
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
METADATA = b"}" + b"X\x09\x00\x00\x00_metadata" + ORDERED_DICT + b"sb"

_STORAGE_NAMES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def sequence(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + sequence(*arguments) + b"R"


def storage(key: str, length: int, kind: str = "FloatStorage", view: bytes = b"") -> bytes:
    parts = (text("storage"), named("torch", kind), text(key), text("cpu"), number(length))
    return sequence(*parts, *([view] if view else [])) + b"Q"


def tensor(stored: bytes, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    shape, steps = (sequence(*map(number, numbers)) for numbers in (size, stride))
    return call(
        named("torch._utils", "_rebuild_tensor_v2"),
        stored,
        number(offset),
        shape,
        steps,
        b"\x89",
        ORDERED_DICT,
    )


def mapping(items: Mapping[str, bytes], metadata: bytes = METADATA) -> bytes:
    return ORDERED_DICT + b"(" + b"".join(text(name) + value for name, value in items.items()) + b"u" + metadata


def pickled(instructions: bytes) -> bytes:
    return PROTOCOL_2 + instructions + STOP


def legacy(description: bytes, storages: Mapping[str, NDArray[Any]]) -> bytes:
    """The single stream that `torch.save` wrote up to PyTorch 1.5."""
    system = EMPTY_DICT + b"(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88" + b"u"
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    parts = [pickled(part) for part in (number(0x1950A86A20F9469CFC6C), number(1001), system, description, keys)]
    values = [struct.pack("<Q", array.size) + array.tobytes() for array in storages.values()]
    return b"".join(parts + values)


def zipped(
    description: bytes,
    storages: Mapping[str, NDArray[Any]],
    compression: int = zipfile.ZIP_STORED,
    order: str = "little",
) -> bytes:
    """The archive that `torch.save` writes since PyTorch 1.6."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("weights/data.pkl", pickled(description))
        archive.writestr("weights/byteorder", order)
        for key, array in storages.items():
            archive.writestr(f"weights/data/{key}", array.tobytes())
        archive.writestr("weights/version", "3\n")
    return buffer.getvalue()


CONTAINERS = {"legacy": legacy, "zipped": zipped}


def state_dict(arrays: Mapping[str, NDArray[Any]], container: str = "zipped") -> bytes:
    """A sound checkpoint of contiguous arrays, each in a storage of its own."""
    storages = {str(index): array for index, array in enumerate(arrays.values())}
    tensors = {
        name: tensor(
            storage(str(index), array.size, _STORAGE_NAMES[array.dtype.str[1:]]),
            array.shape,
            tuple(step // array.itemsize for step in array.strides),
        )
        for index, (name, array) in enumerate(arrays.items())
    }
    return CONTAINERS[container](mapping(tensors), storages)
