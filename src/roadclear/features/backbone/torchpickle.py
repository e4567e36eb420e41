"""Interpreter of the pickle in a PyTorch checkpoint: plain data, and nothing is executed.

Even an unpickler with few allowed names can be made to change the objects with these names. So the pickle's
instructions are only read. Instructions that build numbers, strings, tuples, lists, dicts, storages and tensors are
followed. The names in `_GLOBALS` are kept as names, and nothing is imported or called.
"""

import io
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadclear.errors import WeightsError

_STORAGE_TYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
}
_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_GLOBALS = {_DICT, _TENSOR, *_STORAGE_TYPES}


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class PickledStorage:
    """Numbers outside the pickle.

    Attributes:
        key: key of the storage in the checkpoint.
        dtype: dtype of the numbers.
        length: expected count of numbers.
    """

    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class PickledTensor:
    """Unchecked description of a view of a storage. Offset and strides count numbers."""

    storage: PickledStorage
    offset: Any
    size: tuple[Any, ...]
    stride: tuple[Any, ...]


def interpret(data: bytes, start: int) -> tuple[Any, int]:
    """Interpret one pickle.

    Args:
        data: content of the file.
        start: position of the pickle.

    Raises:
        WeightsError: the pickle needs more than tensors and plain data.
        ValueError, TypeError, KeyError, IndexError: the pickle is malformed.

    Returns:
        Value of the pickle, and the position after it.
    """
    stream = io.BytesIO(data)
    stream.seek(start)
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            return machine.stack.pop(), stream.tell()
        machine.step(opcode.name, argument)
    raise WeightsError("expected a complete pickle, found a truncated one")


class _Machine:
    """Pickle machine that only builds plain data."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "PROTO":
                pass
            case "NONE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "MARK":
                self._marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(opcode[-1]))))
            case "APPEND":
                self._extend(self._pop(1))
            case "APPENDS":
                self._extend(self._pop_to_mark())
            case "SETITEM":
                self._update(self._pop(2))
            case "SETITEMS":
                self._update(self._pop_to_mark())
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_global(argument))
            case "STACK_GLOBAL":
                stack.append(_global(" ".join(self._pop(2))))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                stack.append(_construct(*self._pop(2)))
            case "BUILD":
                # Drops the attributes of a state dict (version metadata).
                stack.pop()
            case _:
                raise WeightsError(
                    f"expected tensors only, found the pickle instruction {opcode}, which they never need"
                )

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        mark = self._marks.pop()
        taken = self.stack[mark:]
        del self.stack[mark:]
        return taken

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(values)

    def _update(self, keys_and_values: list[Any]) -> None:
        keys, values = keys_and_values[::2], keys_and_values[1::2]
        if type(self.stack[-1]) is not dict or not all(type(key) is str for key in keys):
            raise TypeError
        self.stack[-1].update(zip(keys, values, strict=True))


def _global(name: str) -> _Global:
    if name not in _GLOBALS:
        raise WeightsError(
            f"expected tensors only, found a reference to {quote(name.replace(' ', '.'))}: not a safe file"
        )
    return _Global(name)


def _storage(persistent_id: Any) -> PickledStorage:
    # The sixth item exists in the legacy stream only, and is None unless the storage is a view of another storage.
    kind, storage_type, key, _location, length, *view = persistent_id
    if kind != "storage" or view not in ([], [None]) or not isinstance(storage_type, _Global):
        raise TypeError
    if type(key) is not str or type(length) is not int:
        raise TypeError
    return PickledStorage(key, _STORAGE_TYPES[storage_type.name], length)


def _construct(constructor: Any, arguments: Any) -> dict[str, Any] | PickledTensor:
    if constructor == _Global(_DICT) and arguments == ():
        return {}
    if constructor != _Global(_TENSOR):
        raise TypeError
    storage, offset, size, stride, _requires_grad, _hooks = arguments
    if not (isinstance(storage, PickledStorage) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise TypeError
    return PickledTensor(storage, offset, size, stride)


def quote(text: str) -> str:
    """Quote a name from an untrusted file for a one-line message: escaped, and at most 100 characters."""
    return repr(text[:100])
