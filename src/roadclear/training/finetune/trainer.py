"""Training loop of the fine-tuning: epochs over cached activations, validation after each, and the best epoch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from roadclear.training.finetune.optimizer import AdamW
from roadclear.training.finetune.peers import Alone, Peers, share_of
from roadclear.training.finetune.schedule import Recipe
from roadclear.utils.arrays import Embeddings, Indices, Targets

Activations = Callable[[Indices, Indices], NDArray[np.floating]]
"""Function of photo numbers [b] and view numbers [b]: activations before the top, [b, channels, side, side], float16 or
float32."""

_TIMED_STEPS = 4
_INFERENCE_BATCH = 64
"""Number of photos per batch outside of training steps."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network with a trainable top, on a device.

    Attributes:
        weights: weights of the backbone.
        head: head on the backbone's embeddings.
        unfrozen: number of inverted residuals in the top, 1 to 17. The last convolution always belongs to the top.
        device: PyTorch device.
        peers: processes that train the network together.
    """

    weights: BackboneWeights
    head: Head
    unfrozen: int
    device: torch.device
    peers: Peers = field(default_factory=Alone)

    def top(self) -> TrainableTop:
        """Make the trainable top."""
        return TrainableTop(self.unfrozen, self.weights.padding, type(self.head))

    def parameters(self) -> Parameters:
        """Copy the parameters of the top to the device."""
        return self.top().parameters(self.weights, self.head, self.device)


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos as input of the top.

    Attributes:
        activations: function that loads activations by photo and view; view 0 is the plain photo.
        targets: int64 [n], 1 for the positive class, else 0.
        views: number of augmented views.
        sources: [n] sources of the photos, which decide how much a photo weighs; see
            `roadclear.model.heads.balanced_weights`. Without sources all photos of a label weigh the same.
    """

    activations: Activations
    targets: Targets
    views: int = 0
    sources: Sequence[str | None] = ()


@dataclass(frozen=True, eq=False)
class FineTuned:
    """Fine-tuned weights and head.

    Attributes:
        weights: weights of the whole backbone, with a fine-tuned top.
        trained: head that was trained with the weights, and the history with label-smoothed losses.
    """

    weights: BackboneWeights
    trained: TrainedHead


def fine_tune(
    network: Network,
    training: Photos,
    validation: Photos,
    recipe: Recipe,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FineTuned:
    """Train the top of a network and its head. Stop when the validation loss no longer falls, and keep the best epoch.

    Args:
        network: network with a head that was trained on the frozen backbone.
        training: training photos. Every epoch draws one view of each photo.
        validation: validation photos, in their plain view, which decide the best epoch.
        recipe: hyperparameters.
        checkpoint: file to resume from, if it exists, and to write after every epoch. The file must belong to the same
            arguments. The caller deletes the file once the result is saved.
        on_epoch: callback after every epoch.

    Returns:
        The same result for the same arguments on the same machine, without interruption or resumed.
    """
    top = network.top()
    with repeatable(network.device):
        trainer = Trainer(network, training, validation, recipe)
        resumed = load_checkpoint(checkpoint) if checkpoint is not None else None
        if resumed is not None:
            trainer.restore(resumed)
        while not trainer.is_over:
            epoch = trainer.train_epoch()
            if checkpoint is not None:
                save_checkpoint(checkpoint, trainer.checkpoint())
            if on_epoch is not None:
                on_epoch(epoch)
        history, best = tuple(trainer.history), trainer.best
        return FineTuned(top.weights(best, network.weights), TrainedHead(top.head(best), history, trainer.best_epoch))


def embed(network: Network, photos: Photos) -> Embeddings:
    """Compute embeddings, float32 [n, 1280], of photos in their plain view."""
    with repeatable(network.device):
        everything = np.arange(len(photos.targets))
        return _embed(network.top(), network.parameters(), photos, everything, network.device, torch.float32)


def minibatches(photos: int, batch_size: int) -> int:
    """Count the minibatches of an epoch. Their sizes differ by one at most."""
    return -(-photos // batch_size)


def step_seconds(network: Network, size: int, recipe: Recipe) -> float:
    """Time a step of `fine_tune` on noise: the shortest of three steps after a warm-up step, in seconds.

    Args:
        network: network with a head of any values.
        size: side of the square input, in pixels.
        recipe: hyperparameters.
    """
    batch = np.arange(recipe.batch_size)
    shape = tensor_shape(trunk_output(network.unfrozen), size)
    noise = np.random.default_rng(0).random((len(batch), *shape), dtype=np.float32)
    photos = Photos(lambda numbers, views: noise[: len(numbers)], batch % 2)
    seconds = []
    with repeatable(network.device):
        trainer = Trainer(network, photos, photos, recipe)
        for _ in range(_TIMED_STEPS):
            started = time.perf_counter()
            trainer.step(batch, batch, batch % 2 == 0)
            seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


class Trainer:
    """State of a fine-tuning between epochs. All random numbers follow from the seed and the number of the epoch.

    Attributes:
        parameters: parameters of the last step.
        averages: moving average of the parameters over steps. Validation judges the averages.
        best: averages of the best epoch.
        best_epoch: number of the best epoch, 0 before the first.
        history: finished epochs.
    """

    def __init__(self, network: Network, training: Photos, validation: Photos, recipe: Recipe) -> None:
        top, parameters = network.top(), network.parameters()
        self._top, self._training, self._validation = top, training, validation
        self._recipe, self._device, self._peers = recipe, network.device, network.peers
        self._weights = balanced_weights(training.targets, training.sources)
        self._batches = minibatches(len(training.targets), recipe.batch_size)
        self.parameters = {name: value.requires_grad_() for name, value in parameters.items()}
        self.averages, self.best = _copy(parameters), _copy(parameters)
        self.best_epoch = 0
        self.history: list[Epoch] = []
        self._optimizer = AdamW(self.parameters, {name: recipe.peak_lr(top.depth(name)) for name in parameters})

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
            step = (number - 1) * self._batches + batch
            logits[chosen] = self.step(chosen, views[chosen], mirrored[chosen], step)
        train_loss = self._loss(self._peers.combine(logits), self._training.targets)
        epoch = self._validate(number, train_loss)
        if epoch.validation_loss < min((earlier.validation_loss for earlier in self.history), default=np.inf):
            self.best, self.best_epoch = _copy(self.averages), number
        self.history.append(epoch)
        return epoch

    def checkpoint(self) -> Checkpoint:
        """Make a checkpoint of the current state."""
        groups = {"parameters": self.parameters, "averages": self.averages, "best": self.best, **self._optimizer.state}
        arrays = {group: {name: to_numpy(value) for name, value in values.items()} for group, values in groups.items()}
        return Checkpoint(tuple(self.history), self.best_epoch, arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a checkpoint."""
        groups = {
            group: {name: to_device(torch.from_numpy(array), self._device) for name, array in arrays.items()}
            for group, arrays in checkpoint.groups.items()
        }
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(groups["parameters"][name])
        self._optimizer.state = {kind: groups[kind] for kind in self._optimizer.state}
        self.averages, self.best = groups["averages"], groups["best"]
        self.history, self.best_epoch = list(checkpoint.history), checkpoint.best_epoch

    def step(
        self, chosen: Indices, views: Indices, mirrored: NDArray[np.bool_], number: int = 0
    ) -> NDArray[np.float32]:
        """Train on one batch of photos. This process computes the gradients of its share.

        Args:
            chosen: int [b], numbers of the photos.
            views: int [b], numbers of the views.
            mirrored: bool [b], whether the activations are mirrored.
            number: number of the step in the training, from 0.

        Returns:
            Logits of the photos before the step, float32 [b], with 0 for photos of other processes.
        """
        mine = share_of(self._peers, len(chosen))
        logits = np.zeros(len(chosen), dtype=np.float32)
        gradients, logits[mine] = self._gradients(chosen[mine], views[mine], mirrored[mine])
        averaged = self._peers.average(gradients, len(chosen[mine]) / len(chosen))
        lr_factor = self._recipe.lr_factor(number, self._recipe.epochs * self._batches)
        self._optimizer.step(dict(zip(self.parameters, averaged, strict=True)), lr_factor)
        self._average(number)
        return logits

    def _gradients(
        self, chosen: Indices, views: Indices, mirrored: NDArray[np.bool_]
    ) -> tuple[Sequence[Tensor], NDArray[np.float32]]:
        """Compute mean gradients of the parameters, and logits float32 [b], of photos [b]."""
        activations = _tensor(self._training.activations(chosen, views), self._device, step_type(self._device))
        flips = torch.from_numpy(mirrored).to(self._device)[:, None, None, None]
        activations = torch.where(flips, activations.flip(3), activations)
        logits = self._top.logits(self.parameters, self._top.embed(self.parameters, activations))
        targets = torch.from_numpy(self._training.targets[chosen]).to(self._device, torch.float32)
        weights = torch.from_numpy(self._weights[chosen]).to(self._device, torch.float32)
        smoothed = targets * (1 - self._recipe.label_smoothing) + self._recipe.label_smoothing / 2
        loss = functional.binary_cross_entropy_with_logits(logits, smoothed, weights)
        return torch.autograd.grad(loss, list(self.parameters.values())), to_numpy(logits)

    @torch.no_grad()
    def _average(self, number: int) -> None:
        share = 1 - self._recipe.average_decay(number)
        torch._foreach_lerp_(list(self.averages.values()), list(self.parameters.values()), share)

    def _validate(self, number: int, train_loss: float) -> Epoch:
        targets, device = self._validation.targets, self._device
        numbers = np.arange(len(targets))
        mine = share_of(self._peers, len(targets))
        embeddings = _embed(self._top, self.averages, self._validation, numbers[mine], device, step_type(device))
        logits = np.zeros(len(targets), dtype=np.float32)
        logits[mine] = self._top.head(self.averages).logits(embeddings)
        logits = self._peers.combine(logits)
        accuracy = float(np.mean((logits > 0) == (targets == 1)))
        return Epoch(number, train_loss, self._loss(logits, targets), accuracy)

    def _loss(self, logits: NDArray[np.float32], targets: Targets) -> float:
        """Label-smoothed, label-balanced cross-entropy, the training objective.

        Epochs are compared by the objective too, because confidence is corrected later by temperature scaling.
        """
        weights, other = balanced_weights(targets), self._recipe.label_smoothing / 2
        return (1 - other) * log_loss(logits, targets, weights) + other * log_loss(logits, 1 - targets, weights)


def _embed(
    top: TrainableTop,
    parameters: Parameters,
    photos: Photos,
    numbers: Indices,
    device: torch.device,
    computed_in: torch.dtype,
) -> Embeddings:
    batches: Sequence[Indices] = [numbers[i : i + _INFERENCE_BATCH] for i in range(0, len(numbers), _INFERENCE_BATCH)]
    with torch.no_grad():
        return np.concatenate([
            to_numpy(
                top.embed(parameters, _tensor(photos.activations(batch, np.zeros_like(batch)), device, computed_in))
            )
            for batch in batches
        ])  # fmt: skip


def _tensor(activations: NDArray[np.floating], device: torch.device, computed_in: torch.dtype) -> Tensor:
    return to_device(torch.from_numpy(activations).to(computed_in), device)


def _copy(parameters: Parameters) -> Parameters:
    return {name: value.detach().clone() for name, value in parameters.items()}
