"""Precision: what "auto" becomes on a processor."""

from pathlib import Path

import pytest

from roadclear.features import precision
from roadclear.features.precision import has_bf16_instructions, resolve_precision

EPYC = "processor : 0\nmodel name : AMD EPYC\nflags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n\nprocessor : 1\n"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (EPYC, True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("flags\t\t: fpu avx2\n", False),
        ("flags\t\t: fpu avx512f avx512_bf16x\n", False),
        ("bugs\t\t: avx512_bf16\n", False),
        ("Features\t: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_instructions_as_linux_names_them(tmp_path: Path, facts: str, expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(facts)
    assert has_bf16_instructions(file) is expected


def test_a_system_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert not has_bf16_instructions(tmp_path / "missing")


@pytest.mark.parametrize(
    ("engine", "native", "expected"),
    [
        ("openvino", True, "mixed"),
        ("openvino", False, "f32"),
        ("onnxruntime", True, "f32"),
    ],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, engine: str, native: bool, expected: str) -> None:
    monkeypatch.setattr(precision, "has_bf16_instructions", lambda: native)
    assert resolve_precision("auto", engine) == expected


@pytest.mark.parametrize("chosen", ["f32", "mixed", "bf16"])
def test_a_choice_stays(chosen: str) -> None:
    assert {resolve_precision(chosen, engine) for engine in ("openvino", "onnxruntime")} == {chosen}
