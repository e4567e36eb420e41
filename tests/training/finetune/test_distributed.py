"""Fine-tuning on a cluster of two nodes gives what one process gives, whatever is killed in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from clusters import two_nodes, workers_of  # noqa: E402
from peers_work import TRAINING, VALIDATION, network, numbers_of  # noqa: E402
from process import QUICK, START, environment, roadclear  # noqa: E402
from stores import BUCKET, s3_server  # noqa: E402
from tops import CPU, RECIPE  # noqa: E402

from roadclear.errors import OptionError  # noqa: E402
from roadclear.model.heads import Epoch  # noqa: E402
from roadclear.training.config import FinetuneCluster, TrainSettings  # noqa: E402
from roadclear.training.finetune import check_ready  # noqa: E402
from roadclear.training.finetune.device import step_type  # noqa: E402
from roadclear.training.finetune.distributed import RayTraining  # noqa: E402
from roadclear.training.finetune.trainer import FineTuned, fine_tune  # noqa: E402
from roadclear.utils import storage  # noqa: E402

pytestmark = pytest.mark.slow

WORKERS = 2
LONGER = replace(RECIPE, epochs=8, patience=8)
# The rounding of bfloat16 depends on how many photos a matrix product has, and AdamW makes steps of one size of it.
TOLERANCE = 1e-5 if step_type(CPU) == torch.float32 else 0.02


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'roadclear[ray]'")
    with two_nodes() as started:
        yield started


def tuned(folder: Path, on_epoch: Callable[[Epoch], None] = lambda epoch: None, place: str | None = None) -> FineTuned:
    """A training on the cluster, with its checkpoints in a folder inside `folder`, or in a place."""
    training = RayTraining(FinetuneCluster(WORKERS, place or str(folder / "checkpoints")))
    return training.fine_tune(network(), TRAINING, VALIDATION, LONGER, folder / "checkpoint-0.npz", on_epoch)


def assert_same(one: FineTuned, other: FineTuned) -> None:
    """To the bit."""
    expected = numbers_of(other)
    for name, values in numbers_of(one).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def until(condition: Callable[[], object], seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "out of time"
        time.sleep(0.02)


class TestOnACluster:
    @pytest.fixture(scope="class")
    def told(self) -> list[int]:
        return []

    @pytest.fixture(scope="class")
    def undisturbed(self, cluster: Any, told: list[int], tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
        folder = tmp_path_factory.mktemp("undisturbed")
        result = tuned(folder, lambda epoch: told.append(epoch.epoch))
        assert list((folder / "checkpoints").iterdir()) == []
        return result

    def test_two_workers_give_what_one_process_gives(self, undisturbed: FineTuned, told: list[int]) -> None:
        expected = numbers_of(fine_tune(network(), TRAINING, VALIDATION, LONGER))
        for name, values in numbers_of(undisturbed).items():
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=TOLERANCE, err_msg=name)
        assert told == list(range(1, LONGER.epochs + 1))

    def test_a_worker_is_killed_and_all_go_on_from_the_last_checkpoint(
        self, undisturbed: FineTuned, tmp_path: Path
    ) -> None:
        told: list[int] = []
        killed: list[int] = []

        def kill() -> None:
            until(lambda: list(tmp_path.glob("checkpoints/*/checkpoint_*/checkpoint-0.npz")))
            killed.append(workers_of("RayTrainWorker")[-1])
            os.kill(killed[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        result = tuned(tmp_path, lambda epoch: told.append(epoch.epoch))
        killer.join()
        assert len(killed) == 1
        # The epoch whose checkpoint was there at the kill may go untold, and none is trained from the start again.
        assert told == sorted(set(told)) and len(told) >= LONGER.epochs - 1
        assert_same(result, undisturbed)

    def test_checkpoints_may_be_in_an_object_store(
        self, undisturbed: FineTuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with s3_server() as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            storage._file_system.cache_clear()
            assert_same(tuned(tmp_path, place=f"s3://{BUCKET}/checkpoints"), undisturbed)
            assert not any("checkpoint_" in name for name in storage.list_files(f"s3://{BUCKET}"))
        storage._file_system.cache_clear()

    def test_the_command_is_killed_and_goes_on_to_the_same_run(
        self, cluster: Any, drawn_photos: Path, tmp_path: Path
    ) -> None:
        """One process computes every step but those of the fine-tuning."""
        options = [*QUICK, "--unfreeze", "1", "--finetune-epochs", "6"]

        def command(name: str, *more: str) -> list[str]:
            return [*START, "train", str(drawn_photos), "--out", str(tmp_path / name), *options, *more]

        values = environment({"RAY_ADDRESS": cluster.address, "ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")})
        on_ray = ["--on", "ray", "--workers", str(WORKERS)]
        with subprocess.Popen(command("killed", *on_ray), env=values, stdout=subprocess.DEVNULL) as driver:
            kept = "cache/cluster-checkpoints/*/checkpoint_*"
            until(lambda: list(tmp_path.glob(kept)) or driver.poll() is not None)
            driver.kill()
        assert driver.returncode == -signal.SIGKILL
        for name, more in {"killed": on_ray, "whole": [*on_ray, "--checkpoints", str(tmp_path / "other")]}.items():
            done = subprocess.run(command(name, *more), env=values, capture_output=True, text=True, timeout=300)
            assert (done.returncode, done.stderr) == (0, "")
        files = ("model.onnx", "history.csv", "predictions.csv", "splits.csv", "config.toml")
        for file in files:
            assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
        assert list((tmp_path / "cache").glob("*checkpoint*/*")) == []


@pytest.mark.parametrize(
    ("workers", "settings", "text"),
    [
        (2, {"unfreeze": 0}, "expected blocks to fine-tune on the cluster"),
        (2, {"unfreeze": 1, "device": "cuda"}, "device must be auto or cpu on a cluster, got 'cuda'"),
        (0, {"unfreeze": 1}, "workers must be between 1 and the batch size 32, got 0"),
        (33, {"unfreeze": 1}, "workers must be between 1 and the batch size 32, got 33"),
    ],
)
def test_what_cannot_work_is_refused_before_any_photo_is_read(
    workers: int, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(OptionError, match=text):
        check_ready(TrainSettings(**settings), FinetuneCluster(workers))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'roadclear\[ray\]'"):
        check_ready(TrainSettings(unfreeze=1), FinetuneCluster())


def test_every_worker_needs_a_photo_of_every_minibatch(tmp_path: Path) -> None:
    training = RayTraining(FinetuneCluster(8))
    with pytest.raises(OptionError, match="workers must be at most 7"):
        training.fine_tune(network(), TRAINING, VALIDATION, RECIPE, tmp_path / "checkpoint-0.npz", print)


def test_options_of_a_cluster_need_a_cluster(tmp_path: Path) -> None:
    ended = roadclear("train", tmp_path, "--workers", "2", "--unfreeze", "1")
    assert ended.code != 0 and "add --on ray --unfreeze N" in ended.error()
