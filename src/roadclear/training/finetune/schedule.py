"""How fine-tuning goes: its numbers, and where they come from."""

import math
from dataclasses import dataclass

_AVERAGE_DECAY = 0.95


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a fine-tuning.

    Attributes:
        epochs: maximum number of epochs.
        learning_rate: peak AdamW learning rate of the head, the last convolution and the last block.
        depth_decay: peak learning rate of a block, divided by the peak of the next block above. Lower blocks hold more
            general features and change less (Howard and Ruder 2018, arXiv:1801.06146, section 3.2).
        batch_size: number of photos per step.
        flip: probability that the activations of a photo are mirrored.
        seed: random seed of the order of photos, the choice of views, and the mirroring.
        warm_up: share of the steps in which the learning rate rises.
        label_smoothing: share of the target that is spread over both labels (Szegedy et al. 2016, arXiv:1512.00567,
            section 7).
        patience: number of epochs without a lower validation loss before the training stops.
    """

    epochs: int = 8
    learning_rate: float = 1e-3
    depth_decay: float = 0.8
    batch_size: int = 32
    flip: float = 0.5
    seed: int = 0
    warm_up: float = 0.2
    label_smoothing: float = 0.1
    patience: int = 5

    def peak_lr(self, depth: int) -> float:
        """Peak learning rate of a parameter with `depth` blocks above it."""
        return self.learning_rate * self.depth_decay**depth

    def lr_factor(self, step: int, steps: int) -> float:
        """Share of the peak learning rate at a step from 0 to `steps` - 1: a linear rise, then half a cosine to zero.

        Sources: Smith and Topin 2017, arXiv:1708.07120; cosine by Loshchilov and Hutter 2016, arXiv:1608.03983.
        """
        rise = max(1, round(self.warm_up * steps))
        if step < rise:
            return (step + 1) / rise
        return (1 + math.cos(math.pi * (step + 1 - rise) / (steps + 1 - rise))) / 2

    def average_decay(self, step: int) -> float:
        """Share of the moving average of parameters that a step from 0 keeps: 0.1 at first, later 0.95.

        Averages of the last 20 steps or so do as well as a longer training. Source: Polyak and Juditsky 1992,
        "Acceleration of Stochastic Approximation by Averaging". The rise is TensorFlow's (`ExponentialMovingAverage`).
        """
        return min(_AVERAGE_DECAY, (step + 1) / (step + 10))
