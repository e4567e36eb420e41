"""A checkpoint comes back as it was, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from roadclear.model.heads import Epoch
from roadclear.training.finetune.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

HISTORY = (Epoch(1, 0.7, 0.6, 0.5), Epoch(2, 0.1, 0.3, 0.9))


@pytest.fixture
def checkpoint() -> Checkpoint:
    draw = np.random.default_rng(0)
    kernel, bias = draw.normal(size=(3, 2)).astype(np.float32), np.zeros(2, np.float32)
    return Checkpoint(HISTORY, 2, {"best": {"head/bias": bias}, "mean": {"head/bias": bias + 1, "kernel": kernel}})


def test_it_comes_back_to_the_bit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", checkpoint)
    found = load_checkpoint(tmp_path / "checkpoint.npz")
    assert found is not None
    assert (found.history, found.best_epoch) == (HISTORY, 2)
    assert {group: list(arrays) for group, arrays in found.groups.items()} == {
        "best": ["head/bias"],
        "mean": ["head/bias", "kernel"],
    }
    for group, arrays in checkpoint.groups.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(found.groups[group][name], array)
            assert found.groups[group][name].dtype == np.float32


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive", b"x" * 5000])
def test_none_or_a_damaged_one_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "checkpoint.npz").write_bytes(content)
    assert load_checkpoint(tmp_path / "checkpoint.npz") is None


def test_half_of_one_is_none(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", checkpoint)
    whole = (tmp_path / "checkpoint.npz").read_bytes()
    (tmp_path / "checkpoint.npz").write_bytes(whole[: len(whole) // 2])
    assert load_checkpoint(tmp_path / "checkpoint.npz") is None


def test_where_it_cannot_be_written_nothing_is_raised(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    save_checkpoint(tmp_path / "file" / "checkpoint.npz", checkpoint)
    assert load_checkpoint(tmp_path / "file" / "checkpoint.npz") is None
