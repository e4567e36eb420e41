"""File format of LiteRT: tensors and operators are collected, and become the bytes of a .tflite file.

Source: the public schema of LiteRT (schema.fbs, version 3), whose Python classes come with the package ai-edge-litert.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import EngineError

_SCHEMA_VERSION = 3
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
_LAST_OLD_CODE = 127
_OLDEST: Mapping[str, int] = {"DEQUANTIZE": 3}
"""Oldest version of an operator that does what is asked of it; 1 where none is named. Version 3 reads float16."""


@cache
def schema() -> Any:
    """Import the classes of the format.

    Raises:
        EngineError: ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise EngineError("expected ai-edge-litert for litert, found none: pip install 'roadclear[litert]'") from error
    return schema_py_generated


class FileWriter:
    """Collector of the tensors and operators of one graph. A tensor is known by its number."""

    def __init__(self) -> None:
        self._schema = schema()
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [self._schema.BufferT()]  # buffer 0 stands for "no content"
        self._operators: list[Any] = []
        self._codes: dict[str, int] = {}

    def tensor(self, name: str, shape: Sequence[int], dtype: Any) -> int:
        """Add a tensor that an operator makes, or an input. Returns its number.

        Args:
            name: name of the tensor, for people.
            shape: shape for one photo.
            dtype: NumPy type.
        """
        tensor = self._schema.TensorT(name=name, shape=list(shape), type=self._type(dtype))
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def constant(self, name: str, value: NDArray[Any]) -> int:
        """Add a tensor with a content. Returns its number."""
        number = self.tensor(name, value.shape, value.dtype)
        self._tensors[number].buffer = self._buffer(value.tobytes())
        return number

    def scaled(self, name: str, value: NDArray[np.int8], scale: NDArray[np.float32], axis: int) -> int:
        """Add a tensor of 8-bit integers that stand for `value * scale`. Returns its number.

        Args:
            name: name of the tensor, for people.
            value: integers.
            scale: one number for each index of the axis.
            axis: dimension that has a scale of its own at each index.
        """
        number = self.constant(name, value)
        self._tensors[number].quantization = self._schema.QuantizationParametersT(
            scale=scale, zeroPoint=np.zeros(len(scale), np.int64), quantizedDimension=axis
        )
        return number

    def operator(self, code: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Add an operator.

        Args:
            code: name of the operator in the schema, as in "CONV_2D".
            inputs: numbers of the tensors that it reads.
            outputs: numbers of the tensors that it makes.
            **options: the class of the options under "kind", without its "T", and their values.
        """
        operator = self._schema.OperatorT(
            opcodeIndex=self._codes.setdefault(code, len(self._codes)), inputs=list(inputs), outputs=list(outputs)
        )
        if options:
            kind = options.pop("kind")
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(self._schema, f"{kind}T")(**options)
        self._operators.append(operator)

    def file(self, inputs: Mapping[str, int], outputs: Mapping[str, int], notes: Mapping[str, bytes]) -> bytes:
        """Write the file.

        Args:
            inputs: numbers of the input tensors, by name.
            outputs: numbers of the output tensors, by name.
            notes: metadata of the file, by name.
        """
        import flatbuffers

        graph = self._schema.SubGraphT(
            name="main",
            tensors=self._tensors,
            operators=self._operators,
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
        )
        signature = self._schema.SignatureDefT(
            signatureKey="serving_default", inputs=self._named(inputs), outputs=self._named(outputs)
        )
        metadata = [self._schema.MetadataT(name=name, buffer=self._buffer(data)) for name, data in notes.items()]
        model = self._schema.ModelT(
            version=_SCHEMA_VERSION,
            description="roadclear",
            operatorCodes=[self._code(code) for code in self._codes],
            subgraphs=[graph],
            buffers=self._buffers,
            signatureDefs=[signature],
            metadata=metadata,
        )
        builder = flatbuffers.Builder(sum(len(one.data) for one in self._buffers if one.data is not None))
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def _buffer(self, data: bytes) -> int:
        self._buffers.append(_aligned(self._schema)(data=np.frombuffer(data, np.uint8)))
        return len(self._buffers) - 1

    def _code(self, code: str) -> Any:
        number = getattr(self._schema.BuiltinOperator, code)
        return self._schema.OperatorCodeT(
            builtinCode=number, deprecatedBuiltinCode=min(number, _LAST_OLD_CODE), version=_OLDEST.get(code, 1)
        )

    def _named(self, tensors: Mapping[str, int]) -> list[Any]:
        return [self._schema.TensorMapT(name=name, tensorIndex=number) for name, number in tensors.items()]

    def _type(self, dtype: Any) -> int:
        number: int = getattr(self._schema.TensorType, np.dtype(dtype).name.upper())
        return number


@cache
def _aligned(classes: Any) -> Any:
    """Make the class of buffers whose content starts at a multiple of 16 bytes, as the schema demands.

    The schema's own Python class starts a content anywhere.
    """

    class Aligned(classes.BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> Any:  # noqa: N802, the schema's name
            builder.Prep(_ALIGNMENT, self.data.size)
            return super().Pack(builder)

    return Aligned
