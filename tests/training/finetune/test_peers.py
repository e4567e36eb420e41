"""Processes that train together give what one process gives, up to the rounding of sums."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

import peers_work  # noqa: E402

from roadclear.training.finetune import trainer  # noqa: E402
from roadclear.training.finetune.peers import Alone, share_of  # noqa: E402
from roadclear.utils import threads  # noqa: E402


class Numbered(Alone):
    """One of several processes."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@given(count=st.integers(0, 200), size=st.integers(1, 20))
def test_every_photo_is_computed_once_and_shares_are_even(count: int, size: int) -> None:
    shares = [range(count)[share_of(Numbered(rank, size), count)] for rank in range(size)]
    assert [photo for share in shares for photo in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_computes_and_keeps_everything() -> None:
    alone, gradients = Alone(), [torch.ones(3)]
    assert share_of(alone, 7) == slice(0, 7)
    assert alone.average(gradients, 1.0) is gradients


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, NDArray[np.floating]]]:
    """What this process and a second one have at the end."""
    folder = tmp_path_factory.mktemp("peers")
    support = Path(peers_work.__file__)
    path = os.pathsep.join([str(support.parent), *filter(None, sys.path)])
    second = [sys.executable, support, "1", folder]
    with (
        subprocess.Popen(second, env={**os.environ, "PYTHONPATH": path}) as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(threads, "_most_cores", threads._most_cores)
        patch.setattr(trainer, "step_type", trainer.step_type)
        peers_work.main(0, folder)
        assert process.wait(60) == 0
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(2)]


@pytest.mark.slow
class TestTwoProcesses:
    def test_gradients_are_averaged_by_the_sizes_of_the_shares(
        self, found: list[dict[str, NDArray[np.floating]]]
    ) -> None:
        for values in found:
            np.testing.assert_array_equal(values["first"], np.full((2, 3), 0.25 * 1 + 0.75 * 2))
            assert values["second"].shape == () and values["second"] == 0.75 * 10
            np.testing.assert_array_equal(values["combined"], [0.5, -2])

    def test_both_have_the_same_bits_and_those_of_one_process_up_to_rounding(
        self, found: list[dict[str, NDArray[np.floating]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In float32, which this machine may not choose for its steps. The largest difference was 2e-6."""
        monkeypatch.setattr(trainer, "step_type", lambda device: torch.float32)
        for name, expected in peers_work.numbers_of(peers_work.trained()).items():
            np.testing.assert_array_equal(found[0][name], found[1][name])
            np.testing.assert_allclose(found[0][name], expected, rtol=0, atol=1e-4, err_msg=name)
