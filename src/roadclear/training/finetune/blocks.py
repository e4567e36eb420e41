"""The last blocks of the base network, fine-tuned from cached activations.

The layers below those blocks stay frozen. Their output is inference: the engine computes it once for each photo and
view, and the feature cache keeps it. Only the layers above are trained.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.features.backbone.mobilenetv2 import trunk_output
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.features.extractor import FeatureExtractor
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.decision.ood import ood_layer, pool_activations
from roadclear.model.heads import Head, TrainedHead
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.schedule import Recipe
from roadclear.training.prepare import PreparedData, extract_views
from roadclear.utils.arrays import Embeddings, Indices
from roadclear.utils.paths import checkpoint_path
from roadclear.utils.progress import ProgressCallback


@dataclass(frozen=True)
class DepthTrial:
    """A number of unfrozen blocks that was tried.

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
    """A network and the head that was trained with it.

    Attributes:
        blocks: number of inverted residuals that were trained; 0 for the frozen base.
        weights: weights of the backbone.
        head: the trained head, with the history of its training.
        embeddings: float32 [n, 1280], of the plain photos, by these weights.
        ood_vectors: float32 [n, d], of the plain photos, by frozen layers: see `roadclear.model.decision.ood`.
        checkpoint: file from which the result can be restored, or None; to be deleted when the result is safe.
        trials: numbers of blocks that were tried, where the choice was left to validation.
    """

    blocks: int
    weights: BackboneWeights
    head: TrainedHead
    embeddings: Embeddings
    ood_vectors: NDArray[np.float32]
    checkpoint: Path | None = None
    trials: tuple[DepthTrial, ...] = ()

    def discard_checkpoint(self) -> None:
        """Delete the checkpoint, if there is one."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class CachedActivations:
    """Output of the frozen layers, read batch by batch, so that memory stays flat.

    Attributes:
        extractor: extractor of the activations.
        hashes: [n] SHA-256 of the photos' files; the cache has the views that will be asked for.
    """

    extractor: FeatureExtractor
    hashes: Sequence[str]

    def __call__(self, photos: Indices, views: Indices) -> NDArray[np.float32]:
        """Activations [b, channels, side, side] of photos, by number [b], in given views [b]."""
        chosen = zip(photos.tolist(), views.tolist(), strict=True)
        return np.concatenate([self.extractor.load([self.hashes[photo]], view) for photo, view in chosen])


def frozen_base(data: PreparedData, head: TrainedHead) -> FinetuneResult:
    """The network without fine-tuning."""
    return FinetuneResult(0, data.extractor.space.weights, head, data.embeddings, data.embeddings)


def finetune_blocks(
    blocks: int, data: PreparedData, head: Head, settings: TrainSettings, progress: ProgressCallback
) -> FinetuneResult:
    """Fine-tune the last blocks of the base together with a head that was trained on the frozen base.

    A training that was killed goes on after its last whole epoch: checkpoints lie beside the feature cache.

    Args:
        blocks: number of inverted residuals, 1 to 17.
        data: the photos.
        head: the head to start from.
        settings: how to train.
        progress: called after every photo and every epoch.

    Raises:
        DatasetError: a photo changed after it was prepared.
        OptionError: the device is not available.
        OutputError: the cache cannot be written.
    """
    from roadclear.training.finetune.device import choose_device, computing_key
    from roadclear.training.finetune.trainer import Photos, embed, fine_tune

    device = choose_device(settings.device)
    base = data.extractor
    trunk = replace(base, space=replace(base.space, tensor=trunk_output(blocks)))
    _extract(data, trunk, settings.finetune_views, progress)

    def seen(chosen: Indices, views: int = 0) -> Photos:
        return Photos(CachedActivations(trunk, [data.hashes[i] for i in chosen]), data.targets[chosen], views)

    recipe = recipe_of(settings)
    key = _key(data, head, trunk, settings, f"{recipe} {computing_key(device)}")
    checkpoint = checkpoint_path(trunk.cache.path, key)
    tuned = fine_tune(
        base.space.weights,
        head,
        blocks,
        seen(data.numbers(TRAIN), settings.finetune_views),
        seen(data.numbers(VALIDATION)),
        recipe,
        device,
        checkpoint,
        lambda epoch: progress(f"Fine-tuning {blocks} blocks", epoch.epoch, recipe.epochs),
    )
    embeddings = embed(tuned.weights, tuned.trained.head, blocks, seen(np.arange(len(data.photos))), device)
    vectors = _ood_vectors(data, ood_layer(blocks), progress)
    return FinetuneResult(blocks, tuned.weights, tuned.trained, embeddings, vectors, checkpoint)


def _extract(data: PreparedData, trunk: FeatureExtractor, views: int, progress: ProgressCallback) -> None:
    """Fill the cache with the plain view of all photos, and with the augmented views of the training photos."""
    everything, training = range(len(data.photos)), data.numbers(TRAIN).tolist()
    extract_views(data, everything, trunk, [PLAIN_VIEW], partial(progress, "Reading photos for the trunk"))
    if views:
        extract_views(data, training, trunk, range(1, views + 1), partial(progress, "Augmenting for the trunk"))


def _ood_vectors(data: PreparedData, tensor: str, progress: ProgressCallback) -> NDArray[np.float32]:
    """Pooled activations of all plain photos by a frozen layer."""
    frozen = replace(data.extractor, space=replace(data.extractor.space, tensor=tensor))
    everything = range(len(data.photos))
    hashes = extract_views(data, everything, frozen, [PLAIN_VIEW], partial(progress, "Reading photos"))
    return np.concatenate([pool_activations(frozen.load([sha256], PLAIN_VIEW)) for sha256 in hashes])


def recipe_of(settings: TrainSettings) -> Recipe:
    """The numbers of the fine-tuning, as far as they are options."""
    return Recipe(
        epochs=settings.finetune_epochs,
        learning_rate=settings.finetune_learning_rate,
        batch_size=settings.batch_size,
        flip=settings.flip,
        seed=settings.seed,
    )


def _key(data: PreparedData, head: Head, trunk: FeatureExtractor, settings: TrainSettings, recipe: str) -> str:
    """Text that is equal where the same fine-tuning would be done again."""
    given = {name: value for name, value in asdict(settings).items() if name not in ("unfreeze", "finetune_seconds")}
    digest = hashlib.sha256(repr((trunk.space.key, trunk.augmentation.key, recipe, sorted(given.items()))).encode())
    digest.update(repr((data.hashes, data.splits, data.targets.tolist())).encode())
    for values in vars(head).values():
        digest.update(np.asarray(values).tobytes())
    return digest.hexdigest()[:16]
