"""Precision of the base network, for the plain photos and for their augmented views.

"mixed" computes augmented views in bf16 and plain photos in f32. Only training photos have views. So all measured
numbers, and all answers of the model file, stay those of f32.
"""

import re
from functools import cache
from pathlib import Path

F32 = "f32"
BF16 = "bf16"
MIXED = "mixed"
AUTO = "auto"

# Instructions of x86 for bfloat16, as Linux names them.
_INSTRUCTIONS = re.compile(r"^flags\s*:.*\b(avx512_bf16|amx_bf16)\b", re.MULTILINE)


def resolve_precision(precision: str, engine: str) -> str:
    """Choose a precision for "auto": "mixed" where it saves time, else "f32". Others are returned as they are."""
    if precision != AUTO:
        return precision
    return MIXED if engine == "openvino" and has_bf16_instructions() else F32


@cache
def has_bf16_instructions(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 numbers by instructions of its own.

    Linux says so without the import of an engine, which a run with cached features does not need. Elsewhere the answer
    is no. OpenVINO also computes in bf16 without these instructions, but then bf16 saves no time.

    Args:
        facts: file in which Linux describes the processor.
    """
    try:
        return _INSTRUCTIONS.search(facts.read_text()) is not None
    except OSError:
        return False
