"""Which device computes, and in which type."""

import pytest

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from roadclear.errors import OptionError  # noqa: E402
from roadclear.training.finetune.device import choose_device, computing_key, step_type  # noqa: E402

HERE = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}


@pytest.mark.parametrize("name", HERE)
def test_a_device_is_the_one_that_is_asked_for_or_an_error(name: str) -> None:
    if HERE[name]:
        assert choose_device(name).type == name
    else:
        with pytest.raises(OptionError, match=f"device '{name}' is not available to PyTorch here, found .*cpu"):
            choose_device(name)


def test_auto_prefers_a_graphics_processor() -> None:
    assert choose_device("auto").type == next(name for name in ("cuda", "mps", "cpu") if HERE[name])


def test_what_it_chooses_computes() -> None:
    assert torch.ones(2, device=choose_device("auto")).sum().item() == 2


def test_checkpoints_of_another_version_or_type_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    keys = {computing_key(device)}
    monkeypatch.setattr(torch, "__version__", "0.0")
    keys.add(computing_key(device))
    other = {"avx512_bf16": step_type(device) == torch.float32}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: other)
    keys.add(computing_key(device))
    assert len(keys) == 3


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(OptionError, match="device 'tpu'"):
        choose_device("tpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_half_the_bits_where_the_processor_has_instructions_for_them(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert step_type(torch.device("cpu")) == expected
    assert step_type(torch.device("cuda")) == torch.float32
