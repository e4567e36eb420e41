"""Fine-tuning on a Ray cluster, by Ray Train: every worker computes its share of each minibatch on one core.

The workers run the same loop as one process, and share their gradients by gloo. After every epoch a checkpoint goes to
a folder that all machines reach. When a worker ends, all workers start again from the last checkpoint.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import EngineError, OptionError, OutputError
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.heads import Epoch
from roadclear.training.config import FinetuneCluster
from roadclear.training.finetune.checkpoint import load_checkpoint
from roadclear.training.finetune.peers import ProcessGroup
from roadclear.training.finetune.schedule import Recipe
from roadclear.training.finetune.trainer import FineTuned, Network, Photos, fine_tune, minibatches
from roadclear.utils.arrays import Indices
from roadclear.utils.files import write_file
from roadclear.utils.paths import cluster_checkpoints_path
from roadclear.utils.ray_cluster import CORES_AN_ACTOR, import_ray, joined_cluster
from roadclear.utils.storage import arrow_store
from roadclear.utils.threads import limit_cores

OnEpoch = Callable[[Epoch], None]

_FAILURES = 3
"""How often workers start again after one of them ended, and how often they wait for a minute for missing cores."""

_SILENCE_S = 300
"""Seconds after which a worker that waits for another one gives up."""

_POLL_S = 0.2


@dataclass(frozen=True, eq=False)
class RayTraining:
    """Fine-tuning on the cluster that RAY_ADDRESS names, or on one that is started on this machine.

    Attributes:
        cluster: number of workers, and the folder of their checkpoints.
    """

    cluster: FinetuneCluster

    def fine_tune(
        self,
        network: Network,
        training: Photos,
        validation: Photos,
        recipe: Recipe,
        checkpoint: Path,
        on_epoch: OnEpoch,
    ) -> FineTuned:
        """Train the top of a network and its head; see `roadclear.training.finetune.trainer.fine_tune`.

        Args:
            network: network on a processor.
            training: training photos.
            validation: validation photos.
            recipe: hyperparameters.
            checkpoint: file for the state at the end. Its name is the name of the training on the cluster: a training
                of the same name that was interrupted goes on from its last checkpoint.
            on_epoch: callback after every epoch. An epoch whose checkpoint was not stored when a worker ended is
                trained and told again.

        Returns:
            The result of one process up to the rounding of sums, which steps of Adam enlarge:
            docs/adr/0057-fine-tuning-on-a-cluster.md. On like processors, the same number of workers gives the same
            bits, without interruption or resumed.

        Raises:
            OptionError: there are more workers than photos in a minibatch, or Ray is not installed.
            EngineError: the cluster has too few cores, or its workers ended too often.
            OutputError: a checkpoint cannot be written.
        """
        _check_photos(self.cluster.workers, training, validation, recipe)
        if load_checkpoint(checkpoint) is None:
            with joined_cluster(None):
                work = _Work(network, _stored(training), _stored(validation), recipe, checkpoint.name, _epochs())
                self._run(work, checkpoint, on_epoch)
        return fine_tune(network, training, validation, recipe, checkpoint)

    def _run(self, work: "_Work", checkpoint: Path, on_epoch: OnEpoch) -> None:
        """Run the workers to their end, and write the last checkpoint."""
        workers = self.cluster.workers
        cores = int(import_ray().cluster_resources().get("CPU", 0))
        if cores < workers:
            raise EngineError(
                f"expected a core for each of {workers} workers in the Ray cluster, found {cores}: lower --workers, or "
                "start more nodes"
            )
        folder = self.cluster.checkpoints or cluster_checkpoints_path(checkpoint)
        try:
            last = _fit(_trainer(work, workers, folder, checkpoint.stem), work.epochs, on_epoch)
            with last.as_directory() as found:
                state = (Path(found) / checkpoint.name).read_bytes()
        except OSError as error:
            line = " ".join(str(error).split())[:200]
            raise OutputError(
                f"cannot keep checkpoints in {os.fspath(folder)!r}: {line}; name another folder"
            ) from error
        write_file(checkpoint, state)
        with suppress(OSError):  # What is left costs space, and is no error.
            last.filesystem.delete_dir(str(Path(last.path).parent))


@dataclass(frozen=True, eq=False)
class StoredActivations:
    """Activations in the object store of a cluster, one object a photo.

    Attributes:
        references: [n] references to arrays [views + 1, channels, side, side].
    """

    references: tuple[Any, ...]

    def __call__(self, photos: Indices, views: Indices) -> NDArray[np.floating]:
        """Load activations [b, channels, side, side] of photos by number [b], in views [b]."""
        stored = import_ray().get([self.references[photo] for photo in photos.tolist()])
        return np.stack([of_photo[view] for of_photo, view in zip(stored, views.tolist(), strict=True)])


@dataclass(frozen=True, eq=False)
class _Work:
    """What every worker does: see `RayTraining.fine_tune`.

    Attributes:
        checkpoint: name of the file inside a checkpoint.
        epochs: queue that takes finished epochs.
    """

    network: Network
    training: Photos
    validation: Photos
    recipe: Recipe
    checkpoint: str
    epochs: Any


def _check_photos(workers: int, training: Photos, validation: Photos, recipe: Recipe) -> None:
    """Check that every worker has a photo of each minibatch, and one to validate on."""
    photos = len(training.targets)
    fewest = min(photos // minibatches(photos, recipe.batch_size), len(validation.targets))
    if workers > fewest:
        raise OptionError(
            f"workers must be at most {fewest}, the photos of the smallest minibatch or of validation, got {workers}"
        )


def _stored(photos: Photos) -> Photos:
    """Put all views of photos into the object store."""
    ray, views = import_ray(), np.arange(PLAIN_VIEW, photos.views + 1)

    def store(photo: int) -> Any:
        return ray.put(photos.activations(np.full_like(views, photo), views))

    return replace(photos, activations=StoredActivations(tuple(map(store, range(len(photos.targets))))))


def _epochs() -> Any:
    """Make a queue on this machine, which no death of another machine takes away."""
    ray = import_ray()
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


def _trainer(work: _Work, workers: int, folder: str | os.PathLike[str], name: str) -> Any:
    """Make the trainer. Checkpoints of an earlier trainer with this name are taken up."""
    train = import_train()
    system, path = arrow_store(folder)
    return train.torch.TorchTrainer(
        partial(_train, work),
        torch_config=train.torch.TorchConfig(backend="gloo", timeout_s=_SILENCE_S),
        scaling_config=train.ScalingConfig(
            num_workers=workers, resources_per_worker={"CPU": CORES_AN_ACTOR}, placement_strategy="SPREAD"
        ),
        run_config=train.RunConfig(
            name=name,
            storage_path=path,
            storage_filesystem=system,
            failure_config=train.FailureConfig(max_failures=_FAILURES, controller_failure_limit=_FAILURES),
            checkpoint_config=train.CheckpointConfig(num_to_keep=1),
            logging_config=train.LoggingConfig(log_level="CRITICAL"),
        ),
    )


def _fit(trainer: Any, epochs: Any, on_epoch: OnEpoch) -> Any:
    """Run a trainer to its end: the last checkpoint.

    Ray takes Ctrl-C for itself on the main thread. So the trainer runs on another.
    """
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(trainer.fit())
        except BaseException as error:
            ended.append(error)

    def tell() -> None:
        while not epochs.empty():
            on_epoch(Epoch(*epochs.get()))

    thread = threading.Thread(target=run, name="roadclear-ray-train", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
        tell()
    tell()
    (result,) = ended
    if isinstance(result, Exception):
        raise EngineError(
            f"the Ray cluster ended the fine-tuning ({_line_of(result)}): run the same command again, which goes on "
            "from the last checkpoint"
        ) from result
    if isinstance(result, BaseException):
        raise result
    if result.checkpoint is None:
        raise EngineError("expected a checkpoint of the last epoch from the Ray cluster, found none: start again")
    return result.checkpoint


def _line_of(error: Exception) -> str:
    """Last line of the first cause of an error."""
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    lines = str(next(iter(failures.values()))).strip().splitlines()
    if lines and "startup timed out" in lines[-1]:
        return f"some worker found no free core, at {_FAILURES + 1} attempts of a minute"
    return " ".join(lines[-1].split())[:200] if lines else type(error).__name__


def _train(work: _Work) -> None:
    """Do the work of one worker. Ray Train opened the process group."""
    limit_cores(1)
    train, peers = import_train(), ProcessGroup()
    is_first = peers.rank == 0
    with TemporaryDirectory() as folder:
        earlier = train.get_checkpoint()
        if earlier is not None:
            earlier.to_directory(folder)

        def report(epoch: Epoch) -> None:
            kept = train.Checkpoint.from_directory(folder) if is_first else None
            train.report({"epoch": epoch.epoch}, checkpoint=kept)
            if is_first:
                work.epochs.put(astuple(epoch))

        network, checkpoint = replace(work.network, peers=peers), Path(folder) / work.checkpoint
        fine_tune(network, work.training, work.validation, work.recipe, checkpoint, report)


def import_train() -> Any:
    """Import Ray Train.

    Raises:
        OptionError: Ray, or a package that Ray Train needs, is not installed.
    """
    import_ray()
    try:
        import ray.train
        import ray.train.torch
    except ImportError as error:
        raise OptionError("fine-tuning on Ray needs Ray Train: pip install 'roadclear[ray]'") from error
    return ray.train
