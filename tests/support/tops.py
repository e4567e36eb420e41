"""What the tests of fine-tuning share: drawn activations with labels that can be learned, and a recipe for them."""

import numpy as np
import torch
from heads import drawn_head
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import tensor_shape, trunk_output
from roadclear.features.backbone.weights import BackboneWeights, load_weights
from roadclear.model.heads import DenseHead, Head, LinearHead
from roadclear.training.finetune.schedule import Recipe
from roadclear.training.finetune.trainer import Photos

CPU = torch.device("cpu")
SIZE = 64
RECIPE = Recipe(epochs=5, batch_size=8)


def drawn_activations(n: int, unfrozen: int, seed: int) -> NDArray[np.float32]:
    """What enters the top, for photos of 64 pixels."""
    shape = tensor_shape(trunk_output(unfrozen), SIZE)
    return np.random.default_rng(seed).normal(0, 1, (n, *shape)).astype(np.float32)


def drawn_photos(n: int, unfrozen: int, seed: int = 0, views: int = 0) -> Photos:
    """Photos whose label shows in their left half, too weakly for the frozen network."""
    targets = np.arange(n) % 2
    seen = np.stack([drawn_activations(n, unfrozen, seed * 100 + view) for view in range(views + 1)])
    seen[:, targets == 1, :8] += 1.5
    return Photos(lambda photos, chosen: seen[chosen, photos], targets, views)


def small_head(kind: str = "dense") -> Head:
    """A head whose logits are small, as those of a trained one are."""
    head = drawn_head(kind)
    if isinstance(head, DenseHead):
        return DenseHead(head.hidden_kernel, head.hidden_bias, head.output_kernel / 20, np.float32(0))
    return LinearHead(head.kernel / 20, np.float32(0))


def imagenet() -> BackboneWeights:
    return load_weights()
