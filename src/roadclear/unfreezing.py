"""The second phase of a training: the last blocks of the base, fine-tuned from cached activations.

What lies below them stays frozen, so it is inference, done once for each photo and view by the engine and kept in the
feature cache; only what lies above is trained.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadclear.augment import PLAIN_VIEW
from roadclear.backbone import BackboneWeights
from roadclear.backbone.mobilenetv2 import trunk_output
from roadclear.cache import checkpoint_path
from roadclear.features import FeatureExtractor
from roadclear.head import Embeddings, FittedHead, Head, Targets
from roadclear.options import TrainingOptions
from roadclear.placement import Placement, Report, extract_placed
from roadclear.split import TRAIN, VALIDATION

if TYPE_CHECKING:
    from roadclear.finetune.recipe import Recipe

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Unfrozen:
    """What the second phase gives.

    Attributes:
        weights: of the backbone, its last blocks changed.
        fitted: the head that was trained with them, and the history of the fine-tuning.
        embeddings: float32 [n, 1280], of the plain photos, by the new weights.
        seconds: that it took, without the trunk's features.
    """

    weights: BackboneWeights
    fitted: FittedHead
    embeddings: Embeddings
    seconds: float


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


def unfreeze(
    head: Head,
    placement: Placement,
    targets: Targets,
    extractor: FeatureExtractor,
    options: TrainingOptions,
    report: Report,
) -> Unfrozen:
    """Fine-tune the last blocks of the base together with a head that was trained on the frozen one.

    A training that was killed goes on after its last whole epoch: checkpoints lie beside the feature cache.

    Args:
        head: that was trained.
        placement: of the photos.
        targets: [n], 1 for the positive class, else 0.
        extractor: of the frozen base's embeddings.
        options: of the training.
        report: told about progress.

    Raises:
        DatasetError: a photo changed since it was placed.
        OptionError: the device is not available.
        OutputError: the cache cannot be written.
    """
    from roadclear.finetune.device import choose_device, computing_key
    from roadclear.finetune.loop import Photos, embed, fine_tune

    device = choose_device(options.device)
    trunk = replace(extractor, space=replace(extractor.space, tensor=trunk_output(options.unfreeze)))
    everything = range(len(placement.photos))
    parts = {part: [i for i in everything if placement.parts[i] == part] for part in (TRAIN, VALIDATION)}
    _extract(placement, parts[TRAIN], trunk, options.views, report)
    started = time.perf_counter()

    def seen(chosen: Sequence[int], views: int = 0) -> Photos:
        return Photos(CachedActivations(trunk, [placement.hashes[i] for i in chosen]), targets[chosen], views)

    recipe = _recipe(options)
    key = _key(head, placement, targets, trunk, options, f"{recipe} {computing_key(device)}")
    checkpoint = checkpoint_path(trunk.cache.path, key)
    tuned = fine_tune(
        extractor.space.weights,
        head,
        options.unfreeze,
        seen(parts[TRAIN], options.views),
        seen(parts[VALIDATION]),
        recipe,
        device,
        checkpoint,
        lambda epoch: report("Fine-tuning", epoch.epoch, recipe.epochs),
    )
    embeddings = embed(tuned.weights, tuned.fitted.head, options.unfreeze, seen(everything), device)
    checkpoint.unlink(missing_ok=True)
    return Unfrozen(tuned.weights, tuned.fitted, embeddings, time.perf_counter() - started)


def _extract(
    placement: Placement, training: Sequence[int], trunk: FeatureExtractor, views: int, report: Report
) -> None:
    """Fill the cache with the plain view of all photos, and with the augmented ones of those to learn from."""
    everything = range(len(placement.photos))
    extract_placed(placement, everything, trunk, [PLAIN_VIEW], partial(report, "Reading photos for the trunk"))
    if views:
        extract_placed(placement, training, trunk, range(1, views + 1), partial(report, "Augmenting for the trunk"))


def _recipe(options: TrainingOptions) -> "Recipe":
    from roadclear.finetune.recipe import Recipe

    return Recipe(
        epochs=options.finetune_epochs,
        learning_rate=options.finetune_learning_rate,
        batch_size=options.batch_size,
        flip=options.flip,
        seed=options.seed,
    )


def _key(
    head: Head,
    placement: Placement,
    targets: Targets,
    trunk: FeatureExtractor,
    options: TrainingOptions,
    recipe: str,
) -> str:
    """Text that is equal where the same fine-tuning would be done again."""
    digest = hashlib.sha256(repr((trunk.space.key, trunk.policy.key, recipe, sorted(asdict(options).items()))).encode())
    digest.update(repr((placement.hashes, placement.parts, targets.tolist())).encode())
    for values in vars(head).values():
        digest.update(np.asarray(values).tobytes())
    return digest.hexdigest()[:16]
