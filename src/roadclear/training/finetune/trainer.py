"""The fine-tuning itself: epochs over cached activations, judged after each, the best one kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from roadclear.features.backbone.mobilenetv2 import tensor_shape, trunk_output
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.model.heads import Epoch, Head, TrainedHead, balanced_weights, log_loss
from roadclear.training.finetune.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from roadclear.training.finetune.device import repeatable, step_type
from roadclear.training.finetune.network import Parameters, TrainableTop, to_device, to_numpy
from roadclear.training.finetune.schedule import Recipe
from roadclear.utils.arrays import Embeddings, Indices, Targets

Activations = Callable[[Indices, Indices], NDArray[np.float32]]
"""Given numbers [b] of photos and of their views: the activations that enter the top, [b, channels, side, side]."""

_STEPS_TO_TIME = 4
_PHOTOS_A_PASS = 64
"""Photos that pass the network together where nothing is learned."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos as the top sees them.

    Attributes:
        activations: what the frozen trunk makes of them; view 0 is the plain photo.
        targets: [n], 1 for the positive class, else 0.
        views: number of their augmented views.
    """

    activations: Activations
    targets: Targets
    views: int = 0


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What fine-tuning gives.

    Attributes:
        weights: of the whole backbone, the top's changed.
        trained: the head that belongs to them, and the history; its losses are smoothed as the labels are.
    """

    weights: BackboneWeights
    trained: TrainedHead


def fine_tune(
    weights: BackboneWeights,
    head: Head,
    unfrozen: int,
    training: Photos,
    validation: Photos,
    recipe: Recipe,
    device: torch.device,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FineTuned:
    """Train the top of the network and its head, stop when the validation loss no longer falls, keep the best epoch.

    Args:
        weights: of the frozen network.
        head: that was trained on its embeddings.
        unfrozen: number of inverted residuals that train, 1 to 17; the last convolution always does.
        training: photos to learn from; each epoch takes one of their views at random for each.
        validation: photos to choose the epoch by, in their plain view.
        recipe: the numbers of the training.
        device: that computes.
        checkpoint: file to go on from where it is there, and that is written after every epoch. It must belong to
            the same arguments. Deleting it is left to the caller, who knows when the result is safe.
        on_epoch: told after every epoch.

    Returns:
        The same result for the same arguments on the same machine, in one go or resumed.
    """
    top = TrainableTop(unfrozen, weights.padding, type(head))
    with repeatable(device):
        tuning = Trainer(top, top.parameters(weights, head, device), training, validation, recipe, device)
        kept = load_checkpoint(checkpoint) if checkpoint is not None else None
        if kept is not None:
            tuning.restore(kept)
        while not tuning.is_over:
            epoch = tuning.train_epoch()
            if checkpoint is not None:
                save_checkpoint(checkpoint, tuning.checkpoint())
            if on_epoch is not None:
                on_epoch(epoch)
        history, best = tuple(tuning.history), tuning.best
        return FineTuned(top.weights(best, weights), TrainedHead(top.head(best), history, tuning.best_epoch))


def embed(weights: BackboneWeights, head: Head, unfrozen: int, photos: Photos, device: torch.device) -> Embeddings:
    """Embeddings, float32 [n, 1280], of photos in their plain view."""
    top = TrainableTop(unfrozen, weights.padding, type(head))
    with repeatable(device):
        return _embed(top, top.parameters(weights, head, device), photos, device)


def step_seconds(
    weights: BackboneWeights, head: Head, unfrozen: int, size: int, recipe: Recipe, device: torch.device
) -> float:
    """How long a step of `fine_tune` takes here: the shortest of three after a first one, on noise.

    Args:
        weights: of the frozen network.
        head: of any values.
        unfrozen: number of inverted residuals that train, 1 to 17.
        size: side of the input square, in pixels.
        recipe: the numbers of the training.
        device: that computes.
    """
    top = TrainableTop(unfrozen, weights.padding, type(head))
    batch = np.arange(recipe.batch_size)
    noise = np.random.default_rng(0).random((len(batch), *tensor_shape(trunk_output(unfrozen), size)), dtype=np.float32)
    photos = Photos(lambda some, views: noise[: len(some)], batch % 2)
    seconds = []
    with repeatable(device):
        tuning = Trainer(top, top.parameters(weights, head, device), photos, photos, recipe, device)
        for _ in range(_STEPS_TO_TIME):
            started = time.perf_counter()
            tuning.step(batch, batch, batch % 2 == 0)
            seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


class Trainer:
    """The state between epochs. Everything that is drawn follows from the seed and the number of the epoch."""

    def __init__(
        self,
        top: TrainableTop,
        parameters: Parameters,
        training: Photos,
        validation: Photos,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self._top, self._training, self._validation = top, training, validation
        self._recipe, self._device = recipe, device
        self._weights = balanced_weights(training.targets)
        self._batches = -(-len(training.targets) // recipe.batch_size)
        self.parameters = {name: value.requires_grad_() for name, value in parameters.items()}
        self.best = _copy(parameters)
        self.best_epoch = 0
        self.history: list[Epoch] = []
        by_rate: dict[float, list[Tensor]] = {}
        for name, value in self.parameters.items():
            by_rate.setdefault(recipe.peak_lr(top.depth(name)), []).append(value)
        groups = [{"params": values, "peak": rate} for rate, values in by_rate.items()]
        self._optimizer = torch.optim.AdamW(groups, fused=True)

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left to train."""
        done = len(self.history)
        return done >= self._recipe.epochs or done - self.best_epoch >= self._recipe.patience

    def train_epoch(self) -> Epoch:
        """Train one epoch."""
        number = len(self.history) + 1
        draw = np.random.default_rng([self._recipe.seed, number])
        photos = len(self._training.targets)
        views = draw.integers(self._training.views + 1, size=photos)
        mirrored = draw.random(photos) < self._recipe.flip
        logits = np.empty(photos, dtype=np.float32)
        for batch, chosen in enumerate(np.array_split(draw.permutation(photos), self._batches)):
            self._set_pace((number - 1) * self._batches + batch)
            logits[chosen] = self.step(chosen, views[chosen], mirrored[chosen])
        epoch = self._judge(number, self._loss(logits, self._training.targets))
        if epoch.validation_loss < min((seen.validation_loss for seen in self.history), default=np.inf):
            self.best, self.best_epoch = _copy(self.parameters), number
        self.history.append(epoch)
        return epoch

    def checkpoint(self) -> Checkpoint:
        """Everything that training needs to go on from here."""
        states = {name: self._optimizer.state[value] for name, value in self.parameters.items()}
        groups: dict[str, Parameters] = {"parameters": self.parameters, "best": self.best}
        for key in ("step", "exp_avg", "exp_avg_sq"):
            groups[key] = {name: state[key] for name, state in states.items()}
        arrays = {group: {name: to_numpy(value) for name, value in values.items()} for group, values in groups.items()}
        return Checkpoint(tuple(self.history), self.best_epoch, arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        groups = {
            group: {name: to_device(torch.from_numpy(array), self._device) for name, array in arrays.items()}
            for group, arrays in checkpoint.groups.items()
        }
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(groups["parameters"][name])
                self._optimizer.state[value] = {key: groups[key][name] for key in ("step", "exp_avg", "exp_avg_sq")}
        self.best = groups["best"]
        self.history, self.best_epoch = list(checkpoint.history), checkpoint.best_epoch

    def step(self, chosen: Indices, views: Indices, mirrored: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Learn from one batch of photos: their logits [b], as they were before."""
        activations = _tensor(self._training.activations(chosen, views), self._device)
        flips = torch.from_numpy(mirrored).to(self._device)[:, None, None, None]
        activations = torch.where(flips, activations.flip(3), activations).to(step_type(self._device))
        logits = self._top.logits(self.parameters, self._top.embed(self.parameters, activations))
        targets = torch.from_numpy(self._training.targets[chosen]).to(self._device, torch.float32)
        weights = torch.from_numpy(self._weights[chosen]).to(self._device, torch.float32)
        smoothed = targets * (1 - self._recipe.label_smoothing) + self._recipe.label_smoothing / 2
        loss = functional.binary_cross_entropy_with_logits(logits, smoothed, weights)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return to_numpy(logits)

    def _set_pace(self, step: int) -> None:
        lr_factor = self._recipe.lr_factor(step, self._recipe.epochs * self._batches)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * lr_factor

    def _judge(self, number: int, train_loss: float) -> Epoch:
        embeddings, targets = (
            _embed(self._top, self.parameters, self._validation, self._device),
            self._validation.targets,
        )
        logits = self._top.head(self.parameters).logits(embeddings)
        accuracy = float(np.mean((logits > 0) == (targets == 1)))
        return Epoch(number, train_loss, self._loss(logits, targets), accuracy)

    def _loss(self, logits: NDArray[np.float32], targets: Targets) -> float:
        """What is trained to be small: without smoothing, being sure as the temperature will make it would cost."""
        weights, given = balanced_weights(targets), self._recipe.label_smoothing / 2
        return (1 - given) * log_loss(logits, targets, weights) + given * log_loss(logits, 1 - targets, weights)


def _embed(top: TrainableTop, parameters: Parameters, photos: Photos, device: torch.device) -> Embeddings:
    numbers = np.arange(len(photos.targets))
    passes: Sequence[Indices] = [numbers[i : i + _PHOTOS_A_PASS] for i in range(0, len(numbers), _PHOTOS_A_PASS)]
    with torch.no_grad():
        return np.concatenate([
            to_numpy(top.embed(parameters, _tensor(photos.activations(some, np.zeros_like(some)), device)))
            for some in passes
        ])  # fmt: skip


def _tensor(activations: NDArray[np.float32], device: torch.device) -> Tensor:
    return to_device(torch.from_numpy(activations), device)


def _copy(parameters: Parameters) -> Parameters:
    return {name: value.detach().clone() for name, value in parameters.items()}
