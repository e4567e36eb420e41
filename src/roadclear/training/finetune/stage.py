"""The second phase of a training: the last blocks of the base, fine-tuned from cached activations.

What lies below them stays frozen, so it is inference, done once for each photo and view by the engine and kept in the
feature cache; only what lies above is trained.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.features.backbone.mobilenetv2 import trunk_output
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.features.cache import checkpoint_path
from roadclear.features.extractor import FeatureExtractor
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.decision.ood import familiar_tensor, vectors_of
from roadclear.model.heads import Embeddings, FittedHead, Head, Targets
from roadclear.training.config import TrainingOptions
from roadclear.training.prepare import Placement, Report, extract_placed

if TYPE_CHECKING:
    from roadclear.training.finetune.schedule import Recipe

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Unfrozen:
    """What the second phase gives.

    Attributes:
        blocks: number of inverted residuals that were trained.
        weights: of the backbone, its last blocks changed.
        fitted: the head that was trained with them, and the history of the fine-tuning.
        embeddings: float32 [n, 1280], of the plain photos, by the new weights.
        vectors: float32 [n, d], of the plain photos, by the frozen part: see `roadclear.model.decision.ood`.
        checkpoint: file from which it is had again at once; to be deleted when the result is safe.
    """

    blocks: int
    weights: BackboneWeights
    fitted: FittedHead
    embeddings: Embeddings
    vectors: NDArray[np.float32]
    checkpoint: Path


@dataclass(frozen=True, eq=False)
class CachedActivations:
    """What the frozen trunk makes of photos, read batch by batch, so that memory stays flat.

    Attributes:
        extractor: of the activations.
        hashes: [n] SHA-256 of the photos' files; the cache has the views that will be asked for.
    """

    extractor: FeatureExtractor
    hashes: Sequence[str]

    def __call__(self, photos: Indices, views: Indices) -> NDArray[np.float32]:
        """Activations [b, channels, side, side] of photos, by number [b], in given views [b]."""
        chosen = zip(photos.tolist(), views.tolist(), strict=True)
        return np.concatenate([self.extractor.load([self.hashes[photo]], view) for photo, view in chosen])


@dataclass(frozen=True, eq=False)
class Frozen:
    """What the second phase starts from.

    Attributes:
        head: that was trained on the frozen base.
        placement: of the photos.
        targets: [n], 1 for the positive class, else 0.
        extractor: of the frozen base's embeddings.
    """

    head: Head
    placement: Placement
    targets: Targets
    extractor: FeatureExtractor

    def photos(self, part: str) -> list[int]:
        """Numbers of the photos in a part."""
        return [number for number, of in enumerate(self.placement.parts) if of == part]


def unfreeze(blocks: int, frozen: Frozen, options: TrainingOptions, report: Report) -> Unfrozen:
    """Fine-tune the last blocks of the base together with a head that was trained on the frozen one.

    A training that was killed goes on after its last whole epoch: checkpoints lie beside the feature cache.

    Args:
        blocks: how many of the inverted residuals, 1 to 17.
        frozen: what to start from.
        options: of the training.
        report: told about progress.

    Raises:
        DatasetError: a photo changed since it was placed.
        OptionError: the device is not available.
        OutputError: the cache cannot be written.
    """
    from roadclear.training.finetune.device import choose_device, computing_key
    from roadclear.training.finetune.trainer import Photos, embed, fine_tune

    device = choose_device(options.device)
    placement, extractor = frozen.placement, frozen.extractor
    trunk = replace(extractor, space=replace(extractor.space, tensor=trunk_output(blocks)))
    _extract(placement, frozen.photos(TRAIN), trunk, options.finetune_views, report)

    def seen(chosen: Sequence[int], views: int = 0) -> Photos:
        return Photos(CachedActivations(trunk, [placement.hashes[i] for i in chosen]), frozen.targets[chosen], views)

    recipe = recipe_of(options)
    checkpoint = checkpoint_path(trunk.cache.path, _key(frozen, trunk, options, f"{recipe} {computing_key(device)}"))
    tuned = fine_tune(
        extractor.space.weights,
        frozen.head,
        blocks,
        seen(frozen.photos(TRAIN), options.finetune_views),
        seen(frozen.photos(VALIDATION)),
        recipe,
        device,
        checkpoint,
        lambda epoch: report(f"Fine-tuning {blocks} blocks", epoch.epoch, recipe.epochs),
    )
    everything = range(len(placement.photos))
    embeddings = embed(tuned.weights, tuned.fitted.head, blocks, seen(everything), device)
    vectors = _vectors(placement, extractor, familiar_tensor(blocks), report)
    return Unfrozen(blocks, tuned.weights, tuned.fitted, embeddings, vectors, checkpoint)


def _extract(
    placement: Placement, training: Sequence[int], trunk: FeatureExtractor, views: int, report: Report
) -> None:
    """Fill the cache with the plain view of all photos, and with the augmented ones of those to learn from."""
    everything = range(len(placement.photos))
    extract_placed(placement, everything, trunk, [PLAIN_VIEW], partial(report, "Reading photos for the trunk"))
    if views:
        extract_placed(placement, training, trunk, range(1, views + 1), partial(report, "Augmenting for the trunk"))


def _vectors(placement: Placement, extractor: FeatureExtractor, tensor: str, report: Report) -> NDArray[np.float32]:
    """Of all plain photos, for what is familiar."""
    frozen = replace(extractor, space=replace(extractor.space, tensor=tensor))
    everything = range(len(placement.photos))
    hashes = extract_placed(placement, everything, frozen, [PLAIN_VIEW], partial(report, "Reading photos"))
    return np.concatenate([vectors_of(frozen.load([sha256], PLAIN_VIEW)) for sha256 in hashes])


def recipe_of(options: TrainingOptions) -> "Recipe":
    """The fine-tuning's numbers, as far as they are options."""
    from roadclear.training.finetune.schedule import Recipe

    return Recipe(
        epochs=options.finetune_epochs,
        learning_rate=options.finetune_learning_rate,
        batch_size=options.batch_size,
        flip=options.flip,
        seed=options.seed,
    )


def _key(frozen: Frozen, trunk: FeatureExtractor, options: TrainingOptions, recipe: str) -> str:
    """Text that is equal where the same fine-tuning would be done again."""
    given = {name: value for name, value in asdict(options).items() if name not in ("unfreeze", "finetune_seconds")}
    digest = hashlib.sha256(repr((trunk.space.key, trunk.policy.key, recipe, sorted(given.items()))).encode())
    digest.update(repr((frozen.placement.hashes, frozen.placement.parts, frozen.targets.tolist())).encode())
    for values in vars(frozen.head).values():
        digest.update(np.asarray(values).tobytes())
    return digest.hexdigest()[:16]
