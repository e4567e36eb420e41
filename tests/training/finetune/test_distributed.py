"""Fine-tuning on a cluster of two nodes gives what one process gives, whatever is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
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

from roadclear.errors import EngineError, OptionError  # noqa: E402
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
# Rounding depends on the number of photos in a sum, and AdamW makes steps of one size of it. Measured: 6e-4, 0.012.
TOLERANCE = 2e-3 if step_type(CPU) == torch.float32 else 0.05


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


@pytest.fixture(scope="module")
def undisturbed(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    folder, told = tmp_path_factory.mktemp("undisturbed"), list[int]()
    result = tuned(folder, lambda epoch: told.append(epoch.epoch))
    assert told == list(range(1, LONGER.epochs + 1))
    assert list((folder / "checkpoints").iterdir()) == []
    return result


class TestOnACluster:
    def test_two_workers_give_what_one_process_gives(self, undisturbed: FineTuned) -> None:
        expected = numbers_of(fine_tune(network(), TRAINING, VALIDATION, LONGER))
        for name, values in numbers_of(undisturbed).items():
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=TOLERANCE, err_msg=name)

    def test_a_worker_is_killed_and_all_go_on_from_the_last_checkpoint(
        self, undisturbed: FineTuned, tmp_path: Path
    ) -> None:
        told: list[int] = []

        def kill(epoch: Epoch) -> None:
            told.append(epoch.epoch)
            if told == [1, 2, 3]:
                os.kill(workers_of("RayTrainWorker")[-1], signal.SIGKILL)

        assert_same(tuned(tmp_path, kill), undisturbed)
        # An epoch whose checkpoint was not stored yet is trained again, and told again.
        after = told[3:]
        assert told[:3] == [1, 2, 3] and after[0] >= 2 and after == list(range(after[0], LONGER.epochs + 1))

    def test_more_workers_than_cores_are_refused_at_once(self, cluster: Any, tmp_path: Path) -> None:
        training = RayTraining(FinetuneCluster(3, str(tmp_path)))
        with pytest.raises(EngineError, match="expected a core for each of 3 workers in the Ray cluster, found 2"):
            training.fine_tune(network(), TRAINING, VALIDATION, RECIPE, tmp_path / "checkpoint-0.npz", print)

    def test_checkpoints_may_be_in_an_object_store(
        self, undisturbed: FineTuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with s3_server() as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            storage._file_system.cache_clear()
            assert_same(tuned(tmp_path, place=f"s3://{BUCKET}/checkpoints"), undisturbed)
            assert not any("checkpoint_" in name for name in storage.list_files(f"s3://{BUCKET}"))
        storage._file_system.cache_clear()

    def test_the_command_is_killed_then_stopped_and_goes_on_to_the_same_run(
        self, cluster: Any, drawn_photos: Path, tmp_path: Path
    ) -> None:
        """One process computes every step but those of the fine-tuning."""
        options = [*QUICK, "--unfreeze", "1", "--finetune-epochs", "8", "--on", "ray", "--workers", str(WORKERS)]

        def command(name: str, *more: str) -> list[str]:
            return [*START, "train", str(drawn_photos), "--out", str(tmp_path / name), *options, *more]

        def stored() -> set[str]:
            return {found.name for found in tmp_path.glob("cache/cluster-checkpoints/*/checkpoint_*")}

        values = environment({"RAY_ADDRESS": cluster.address, "ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")})
        for ending, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            before = stored()
            with subprocess.Popen(command("stopped"), env=values, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as it:
                until(lambda before=before, it=it: stored() - before or it.poll() is not None)  # type: ignore[misc]
                it.send_signal(ending)
                said = it.communicate(timeout=60)[1].decode()
            assert it.returncode == code, said
            assert len(said.strip().splitlines()) == (code == 130) and stored(), said
            until(lambda: not workers_of("RayTrainWorker"))
        for name, more in {"stopped": [], "whole": ["--checkpoints", str(tmp_path / "other")]}.items():
            done = subprocess.run(command(name, *more), env=values, capture_output=True, text=True, timeout=300)
            assert (done.returncode, done.stderr) == (0, "")
        files = ("model.onnx", "history.csv", "predictions.csv", "splits.csv", "config.toml")
        for file in files:
            assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
        assert json.loads((tmp_path / "whole" / "metrics.json").read_text())["finetune_workers"] == WORKERS
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
