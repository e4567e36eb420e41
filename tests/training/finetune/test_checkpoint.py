"""A checkpoint comes back as it was, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roadclear.model.heads import Epoch
from roadclear.training.finetune.checkpoint import Checkpoint, delete_checkpoint, load_checkpoint, save_checkpoint

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


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive", b"x" * 5000, bytes(5000)])
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


def test_no_mutant_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    for mutant in range(600):
        data = bytearray(whole)
        for place in draw.integers(len(data), size=1 + mutant % 3):
            data[place] ^= 1 << draw.integers(8)
        cut = int(draw.integers(1, len(data))) if mutant % 4 == 0 else len(data)
        if bytes(data[:cut]) != whole:
            path.write_bytes(data[:cut])
            assert load_checkpoint(path) is None
    path.write_bytes(bytes(len(whole)))
    assert load_checkpoint(path) is None
    path.write_bytes(whole + whole)
    assert load_checkpoint(path) is None


def test_a_sound_archive_without_a_digest_is_none(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """All values zero, as a damaged disk may give them."""
    zeros = {
        f"{group}:{name}": 0 * array for group, named in checkpoint.groups.items() for name, array in named.items()
    }
    np.savez(tmp_path / "checkpoint.npz", history=np.zeros((2, 4)), best_epoch=np.int64(0), **zeros)  # type: ignore[arg-type]
    assert load_checkpoint(tmp_path / "checkpoint.npz") is None


def test_the_checkpoint_of_another_training_is_none(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint-1.npz", checkpoint)
    (tmp_path / "checkpoint-1.npz").rename(tmp_path / "checkpoint-2.npz")
    assert load_checkpoint(tmp_path / "checkpoint-2.npz") is None


def test_what_is_no_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    assert load_checkpoint(tmp_path / "folder.npz") is None
    assert load_checkpoint(tmp_path / "pipe.npz") is None


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
from roadclear.training.finetune.checkpoint import Checkpoint, save_checkpoint
save_checkpoint(Path(sys.argv[1]), Checkpoint((), 0, {}))
"""


def test_what_a_killed_write_left_is_removed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path, other = tmp_path / "checkpoint-1.npz", tmp_path / "checkpoint-2.npz"
    for killed in (path, other):
        ended = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, killed], timeout=120)
        assert ended.returncode == -signal.SIGKILL
    save_checkpoint(path, checkpoint)
    (tmp_path / ".features.sqlite.abc").touch()
    assert len(list(tmp_path.iterdir())) == 4
    assert load_checkpoint(path) is not None
    # The other file might be one that is being written, until it is old.
    (left,) = tmp_path.glob(".checkpoint-2*")
    assert not list(tmp_path.glob(".checkpoint-1*"))
    os.utime(left, (0, 0))
    assert load_checkpoint(path) is not None
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint-1.npz", ".features.sqlite.abc"}


def test_deleting(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Nothing there, or no way to get there, is no error."""
    save_checkpoint(tmp_path / "checkpoint.npz", checkpoint)
    for place in ("checkpoint.npz/no folder", "checkpoint.npz", "missing.npz"):
        delete_checkpoint(tmp_path / place)
    assert not list(tmp_path.iterdir())
