"""Quantization of a model's convolutions to 8-bit integers, by NNCF.

Only convolutions and the additions between them are quantized. Head, map, distance and decision rules stay float32.
So the map still adds up to the logit. Method: Kozlov et al. 2020, "Neural Network Compression Framework for fast model
inference" (post-training quantization with fast bias correction).
"""

import io
import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import EngineError

_QUANTIZED = ("Convolution", "GroupConvolution", "Add", "Relu", "Clamp", "Minimum")
_WITHOUT_WORK = ("Constant", "Convert", "Parameter", "Result")
_TELEMETRY = "openvino_telemetry"


def quantize(network: Any, photos: Sequence[NDArray[np.uint8]]) -> Any:
    """Quantize the convolutions of a graph.

    Args:
        network: graph of OpenVINO, as `convert.read_network` gives it.
        photos: uint8 [S, S, 3] photos that set the ranges of the activations.

    Raises:
        EngineError: NNCF is not installed.
    """
    nncf = _nncf()
    types = {operation.get_type_name() for operation in network.get_ops()} - {*_QUANTIZED, *_WITHOUT_WORK}
    dataset = nncf.Dataset(photos, lambda photo: {"photo": photo[None]})
    scope = nncf.IgnoredScope(types=sorted(types), validate=False)
    with redirect_stdout(io.StringIO()):  # bars of its own
        return nncf.quantize(network, dataset, subset_size=len(photos), ignored_scope=scope)


def check_installed() -> None:
    """Refuse a machine without NNCF, before any work is done.

    Raises:
        EngineError: NNCF is not installed.
    """
    _nncf()


def _nncf() -> Any:
    """Import NNCF without its telemetry and its messages."""
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import nncf
    except ImportError as error:
        raise EngineError("expected NNCF for openvino-int8, found none: pip install 'roadclear[export]'") from error
    finally:
        if before is None:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = before
    nncf.set_log_level(logging.ERROR)
    return nncf
