"""Interprets the pickle in a PyTorch checkpoint as plain data, and never runs it.

Even an unpickler that admits few names can be talked into changing the objects behind those names. So here
the pickle's instructions are only read. Those that build numbers, strings, tuples, lists, dicts, storages and
tensors are followed; the names of `_GLOBALS` stand for themselves, and nothing is imported or called.
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
    """A run of numbers that lies outside the pickle.

    Attributes:
        key: what the checkpoint calls it.
        dtype: type of the numbers.
        length: how many numbers there should be.
    """

    key: str
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True)
class PickledTensor:
    """A view of a storage as the file describes it, unchecked. Offset and strides are counted in numbers."""

    storage: PickledStorage
    offset: Any
    size: tuple[Any, ...]
    stride: tuple[Any, ...]


def interpret(data: bytes, start: int) -> tuple[Any, int]:
    """Interpret one pickle in `data` from `start`; returns its value and the position behind it.

    Raises:
        WeightsError: the pickle needs something other than tensors and plain data.
        ValueError, TypeError, KeyError, IndexError: it is malformed.
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
    """The part of the pickle machine that builds plain data."""

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
                # The attributes of a state dict (its version metadata): dropped.
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
    # The sixth part exists in the legacy stream only, and is None unless one storage is a view of another.
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
    """Make a name from an untrusted file fit for a one-line message: quoted, escaped and not too long."""
    return repr(text[:100])
