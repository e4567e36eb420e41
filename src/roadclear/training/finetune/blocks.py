"""Fine-tuning of the last blocks of the base network, from cached activations.

The lower layers stay frozen. The engine computes their output once per photo and view, and the feature cache keeps the
output. Only the upper layers are trained.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.features.backbone.mobilenetv2 import BLOCKS, EMBEDDING, trunk_output
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.features.extractor import FeatureExtractor
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.decision.ood import ood_layer, pool_activations
from roadclear.model.heads import Head, TrainedHead
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.training.finetune.checkpoint import delete_checkpoint
from roadclear.training.finetune.schedule import Recipe
from roadclear.training.prepare import PreparedData, extract_views
from roadclear.utils.arrays import Indices
from roadclear.utils.paths import checkpoint_path
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.rows import Rows

_KEPT_BYTES = 2**28
_RATE_OF_TUNED = 0.25
"""Factor of the learning rate for a base that was fine-tuned before; see docs/adr/0050-few-photos.md."""


@dataclass(frozen=True)
class DepthTrial:
    """Trial of a number of unfrozen blocks.

    Attributes:
        blocks: number of blocks; 0 is the frozen base.
        validation_loss: label-balanced cross-entropy of the calibrated model on validation photos, in nats.
        seconds: duration of the fine-tuning.
    """

    blocks: int
    validation_loss: float
    seconds: float


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """A network and its trained head.

    Attributes:
        blocks: number of trained inverted residuals; 0 for the frozen base.
        weights: weights of the backbone.
        head: trained head, with the history of its training.
        embeddings: float32 [n, 1280], embeddings of the plain photos by the weights.
        ood_vectors: float32 [n, d], vectors of the plain photos by frozen layers, see `roadclear.model.decision.ood`.
        ood_tensor: name of the network's tensor behind the vectors.
        checkpoint: file that restores the result, or None. The caller deletes the file once the result is saved.
        trials: tried numbers of blocks, where validation chooses the number.
    """

    blocks: int
    weights: BackboneWeights
    head: TrainedHead
    embeddings: Rows
    ood_vectors: Rows
    ood_tensor: str
    checkpoint: Path | None = None
    trials: tuple[DepthTrial, ...] = ()

    def discard_checkpoint(self) -> None:
        """Delete the checkpoint, if there is one."""
        if self.checkpoint is not None:
            delete_checkpoint(self.checkpoint)


@dataclass(frozen=True, eq=False)
class CachedActivations:
    """Output of the frozen layers. Activations of up to 256 MiB stay in memory; others are read at every use.

    Attributes:
        extractor: extractor of the activations. The cache must hold all views in use.
        hashes: [n] SHA-256 of the photos' files.
    """

    extractor: FeatureExtractor
    hashes: Sequence[str]
    _kept: dict[tuple[int, int], NDArray[np.floating]] = field(default_factory=dict, repr=False)

    def __call__(self, photos: Indices, views: Indices) -> NDArray[np.floating]:
        """Load activations float16 [b, channels, side, side] of photos by number [b], in views [b]."""
        return np.stack([self._find(*chosen) for chosen in zip(photos.tolist(), views.tolist(), strict=True)])

    def _find(self, photo: int, view: int) -> NDArray[np.floating]:
        found = self._kept.get((photo, view))
        if found is None:
            (loaded,) = self.extractor.load([self.hashes[photo]], view)
            found = loaded.astype(self.extractor.space.stored_type)
            if (len(self._kept) + 1) * found.nbytes <= _KEPT_BYTES:
                self._kept[photo, view] = found
        return found


def frozen_base(data: PreparedData, head: TrainedHead, progress: ProgressCallback = no_progress) -> FinetuneResult:
    """Make the result without fine-tuning: the frozen base.

    Args:
        data: prepared photos.
        head: trained head on the frozen base.
        progress: called after every photo where the start was fine-tuned, so that lower layers are read.
    """
    tensor = _ood_tensor(data, 0)
    base = CachedActivations(data.extractor, data.hashes)
    vectors = data.embeddings if tensor == EMBEDDING else _ood_vectors(data, base, tensor, progress)
    return FinetuneResult(0, data.extractor.space.weights, head, data.embeddings, vectors, tensor)


def finetune_blocks(
    blocks: int,
    data: PreparedData,
    head: Head,
    settings: TrainSettings,
    progress: ProgressCallback,
    cluster: FinetuneCluster | None = None,
) -> FinetuneResult:
    """Fine-tune the last blocks of the base together with a head that was trained on the frozen base.

    A killed training continues after its last whole epoch. Checkpoints lie in the folder of the feature cache.

    Args:
        blocks: number of inverted residuals to train, 1 to 17.
        data: prepared photos.
        head: head before fine-tuning.
        settings: settings of the training.
        progress: called after every photo and every epoch.
        cluster: cluster that trains; None for this process. Activations are computed by this process.

    Raises:
        DatasetError: a photo changed after it was prepared.
        OptionError: the device is not available, or there are more workers than photos in a minibatch.
        EngineError: the cluster cannot do the work.
        OutputError: the cache cannot be written.
    """
    from roadclear.training.finetune.device import choose_device, computing_key
    from roadclear.training.finetune.trainer import FineTuned, Network, Photos, embed, fine_tune

    device, computing = choose_device(settings.device if cluster is None else "cpu"), ""
    tune: Callable[..., FineTuned] = fine_tune
    if cluster is not None:
        from roadclear.training.finetune.distributed import RayTraining

        tune, computing = RayTraining(cluster).fine_tune, f" {cluster.workers} workers"
    base = data.extractor
    trunk = replace(base, space=replace(base.space, tensor=trunk_output(blocks)))
    _extract(data, trunk, settings.finetune_views, progress)
    activations = CachedActivations(trunk, data.hashes)
    sources = [photo.source for photo in data.photos]

    def select(chosen: Indices, views: int = 0) -> Photos:
        return Photos(
            lambda photos, numbers: activations(chosen[photos], numbers),
            data.targets[chosen],
            views,
            [sources[i] for i in chosen.tolist()] if settings.balance_sources else (),
        )

    recipe = recipe_of(data, settings)
    key = _key(data, head, trunk, settings, f"{recipe} {computing_key(device)}{computing}")
    checkpoint = checkpoint_path(trunk.cache.path, key)
    network = Network(base.space.weights, head, blocks, device)
    tuned = tune(
        network,
        select(data.numbers(TRAIN), settings.finetune_views),
        select(data.numbers(VALIDATION)),
        recipe,
        checkpoint,
        lambda epoch: progress(f"Fine-tuning {blocks} blocks", epoch.epoch, recipe.epochs),
    )
    epochs = len(tuned.trained.history)
    if epochs < recipe.epochs:  # The training stopped early, and its stage ends.
        progress(f"Fine-tuning {blocks} blocks", epochs, epochs)
    network = replace(network, weights=tuned.weights, head=tuned.trained.head)
    embeddings = embed(network, select(np.arange(len(data.photos))))
    tensor = _ood_tensor(data, blocks)
    vectors = _ood_vectors(data, activations, tensor, progress)
    return FinetuneResult(blocks, tuned.weights, tuned.trained, embeddings, vectors, tensor, checkpoint)


def _extract(data: PreparedData, trunk: FeatureExtractor, views: int, progress: ProgressCallback) -> None:
    """Fill the cache with the plain view of all photos, and with the augmented views of the training photos."""
    everything, training = range(len(data.photos)), data.numbers(TRAIN).tolist()
    extract_views(data, everything, trunk, [PLAIN_VIEW], partial(progress, "Reading photos for the trunk"))
    if views:
        extract_views(data, training, trunk, range(1, views + 1), partial(progress, "Augmenting for the trunk"))


def _ood_tensor(data: PreparedData, blocks: int) -> str:
    """Name the tensor behind the vectors: no layer below was trained, neither now nor before."""
    tensors = {ood_layer(blocks), data.start.ood_tensor if data.start is not None else EMBEDDING}
    downwards = [EMBEDDING, *(trunk_output(unfrozen) for unfrozen in range(1, len(BLOCKS) + 1))]
    return max(tensors, key=downwards.index)


def _ood_vectors(
    data: PreparedData, activations: CachedActivations, tensor: str, progress: ProgressCallback
) -> NDArray[np.float32]:
    """Pool the activations of all plain photos by a frozen layer."""
    everything = range(len(data.photos))
    if tensor != activations.extractor.space.tensor:
        frozen = replace(data.extractor, space=replace(data.extractor.space, tensor=tensor))
        extract_views(data, everything, frozen, [PLAIN_VIEW], partial(progress, "Reading photos"))
        activations = CachedActivations(frozen, data.hashes)
    view = np.array([PLAIN_VIEW])
    return np.concatenate([
        pool_activations(activations(np.array([photo]), view).astype(np.float32)) for photo in everything
    ])  # fmt: skip


def recipe_of(data: PreparedData, settings: TrainSettings) -> Recipe:
    """Make the recipe of the fine-tuning from the settings. A base that was fine-tuned before gets a lower rate."""
    tuned = data.start is not None and data.start.ood_tensor != EMBEDDING
    return Recipe(
        epochs=settings.finetune_epochs,
        learning_rate=settings.finetune_learning_rate * (_RATE_OF_TUNED if tuned else 1),
        batch_size=settings.batch_size,
        flip=settings.flip,
        seed=settings.seed,
    )


def _key(data: PreparedData, head: Head, trunk: FeatureExtractor, settings: TrainSettings, recipe: str) -> str:
    """Make the key of a checkpoint, which is equal for equal fine-tunings."""
    values = {name: value for name, value in asdict(settings).items() if name not in ("unfreeze", "finetune_seconds")}
    spaces = trunk.space.key_of(PLAIN_VIEW), trunk.space.key_of(PLAIN_VIEW + 1)
    digest = hashlib.sha256(repr((spaces, trunk.augmentation.key, recipe, sorted(values.items()))).encode())
    digest.update(repr((data.hashes, data.splits, data.targets.tolist())).encode())
    if settings.balance_sources:
        digest.update(repr([photo.source for photo in data.photos]).encode())
    for array in vars(head).values():
        digest.update(np.asarray(array).tobytes())
    return digest.hexdigest()[:16]
