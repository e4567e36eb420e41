"""The pace of learning rises to its peak and falls to nothing; devices that are not there are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from roadclear.errors import OptionError  # noqa: E402
from roadclear.training.finetune.device import choose_device  # noqa: E402
from roadclear.training.finetune.schedule import Recipe  # noqa: E402


@given(steps=st.integers(1, 300), warm_up=st.floats(0, 0.9))
def test_the_pace_rises_once_and_falls_once(steps: int, warm_up: float) -> None:
    recipe = Recipe(warm_up=warm_up)
    paces = [recipe.lr_factor(step, steps) for step in range(steps)]
    assert all(0 < lr_factor <= 1 for lr_factor in paces)
    peak_lr = paces.index(max(paces))
    assert paces[: peak_lr + 1] == sorted(paces[: peak_lr + 1])
    assert paces[peak_lr:] == sorted(paces[peak_lr:], reverse=True)
    assert max(paces) == 1
    assert peak_lr + 1 == max(1, round(warm_up * steps))


def test_it_ends_near_nothing() -> None:
    assert Recipe().lr_factor(191, 192) < 1e-3


def test_the_processor_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_is_one_that_is_there() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else choose_device("auto").type)
    torch.ones(1, device=choose_device("auto"))


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    if {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[name]:
        pytest.skip(f"{name} is there")
    with pytest.raises(OptionError, match=rf"^device '{name}' is not available to PyTorch here, found .*cpu: choose"):
        choose_device(name)
