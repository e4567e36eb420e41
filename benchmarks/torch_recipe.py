"""Recipes of rivals in PyTorch, on roadclear's weights: TensorFlow's tutorial, and `fine_tune` of fastai.

    python benchmarks/torch_recipe.py PHOTOS SPLITS.CSV OUT.npz [--epochs 10] [--fine-tune-epochs 10] [--seed 0]
    python benchmarks/torch_recipe.py PHOTOS SPLITS.CSV OUT.npz --fastai 4 [--seed 0]

The tutorial is "Transfer learning and fine-tuning", https://www.tensorflow.org/tutorials/images/transfer_learning
(notebook in tensorflow/docs, site/en/tutorials/images/transfer_learning.ipynb). Its numbers: batches of 32; random
horizontal flip and rotation by up to 0.2 of a full turn; average pooling, dropout 0.2; no early stopping, no class
weights, threshold 0.5.

1. The whole base frozen: Adam 1e-4, 10 epochs.
2. Keras' layers from number 100 of 154 on trained as well: RMSprop 1e-5, 10 epochs. These are all from the depthwise
   convolution of block 11 on (layers 98 and 99 are that block's expansion with its BatchNorm): kernels, and gamma and
   beta of the BatchNorms, which stay in inference mode, since the tutorial calls the base with `training=False`.

`Learner.fine_tune(epochs)` of fastai 2 (https://docs.fast.ai/callback.schedule.html), with its defaults: one epoch of
the head alone, then everything. Both are one cycle of the learning rate (Smith 2018) with Adam, decoupled weight decay
0.01, momentum 0.95 to 0.85 and back, batches of 64. The largest rate is 2e-3 at first, then 1e-3 for the head and a
hundredth of it for the base. Views turn by up to 10 degrees, zoom by up to 0.1 and are flipped; fastai's changes of
light and perspective are left out.

Unlike both: 224 pixels, the head Dense(512, ReLU), Dense(1) as in roadclear, and BatchNorms in inference mode.

The photos are decoded once and kept in memory, and all cores compute. The network is MobileNetV2 as roadclear has it.
Each BatchNorm is folded into its convolution anew in every step, so that it costs next to nothing, while kernel, gamma
and beta keep gradients of their own. That matters: a folded kernel is on another scale, by a factor of 2 to 50 in most
of the convolutions trained here, and RMSprop's steps do not depend on the scale of a gradient.

OUT.npz has `probabilities` and `targets` of the test photos, and all parameters.
"""

import argparse
import csv
import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadclear.features.backbone.mobilenetv2 import BLOCKS, EMBEDDING_CHANNELS, STEM, convolutions
from roadclear.features.backbone.sources import SOURCES
from roadclear.images.augment import view
from roadclear.images.decode import read_photo
from roadclear.images.settings import AugmentSettings
from roadclear.model.heads import HIDDEN_UNITS, DenseHead
from roadclear.training.finetune.network import Parameters, TrainableTop, to_device, to_numpy
from roadclear.utils.threads import available_cores, ordered_map, worker_threads

SIZE = 224
BATCH = 32
DROPOUT = 0.2
VIEWS = AugmentSettings(rotation=0.2 * 360, zoom=0.0, flip=0.5)
FASTAI_BATCH, FASTAI_RATE = 64, 2e-3
FASTAI_VIEWS = AugmentSettings(rotation=10.0, zoom=0.1, flip=0.5)
FIRST_UNFROZEN = "block_11/depthwise"


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos of one part: names, uint8 [SIZE, SIZE, 3] each, and targets [n]."""

    names: list[str]
    pixels: list[np.ndarray]
    targets: np.ndarray

    def plain(self, chosen: np.ndarray) -> np.ndarray:
        """Photos as they are."""
        return np.stack([self.pixels[i] for i in chosen])

    def augmented(self, chosen: np.ndarray, seed: int, epoch: int, views: AugmentSettings) -> np.ndarray:
        """Every photo in a view that it has in this epoch alone."""
        return np.stack([view(self.pixels[i], f"{seed} {self.names[i]}", epoch, views) for i in chosen])


class Network:
    """MobileNetV2 with its BatchNorms in inference mode, average pooling, dropout, Dense(512, ReLU), Dense(1)."""

    def __init__(self) -> None:
        self._source = SOURCES["imagenet"]
        self._top = TrainableTop(len(BLOCKS), self._source.padding, DenseHead)
        self.base = self._read_base()
        self.head = {
            "head/hidden_kernel": glorot(EMBEDDING_CHANNELS, HIDDEN_UNITS),
            "head/hidden_bias": torch.zeros(HIDDEN_UNITS),
            "head/output_kernel": glorot(HIDDEN_UNITS, 1)[:, 0],
            "head/output_bias": torch.zeros(()),
        }

    def unfrozen(self) -> list[Tensor]:
        """What phase 2 of the tutorial trains of the base."""
        names = [convolution.name for convolution in convolutions()]
        return self.trainable(names[names.index(FIRST_UNFROZEN) :])

    def trainable(self, names: Iterable[str]) -> list[Tensor]:
        """What can be trained of convolutions, by name."""
        return [self.base[name][role] for name in names for role in ("kernel", "scale", "shift")]

    def embed(self, photos: np.ndarray) -> Tensor:
        """Embeddings [n, 1280] of photos, uint8 [n, SIZE, SIZE, 3]."""
        mean, std = (torch.tensor(values) for values in asdict(self._source.preprocessing).values())
        scaled = ((torch.from_numpy(photos) / 255 - mean) / std).permute(0, 3, 1, 2)
        folded = self._folded()
        kernel, bias = (folded[f"{STEM.name}/{role}"] for role in ("kernel", "bias"))
        entered = functional.relu6(functional.conv2d(scaled, kernel, bias, STEM.stride, padding=1))
        return self._top.embed(folded, entered)

    def logits(self, photos: np.ndarray, dropout: float = 0.0) -> Tensor:
        """Log-odds of the positive class, [n]."""
        return self._top.logits(self.head, functional.dropout(self.embed(photos), dropout))

    def _read_base(self) -> dict[str, Parameters]:
        """By convolution: kernel, scale (gamma), shift (beta), mean and variance."""
        location = self._source.location
        folder = importlib.util.find_spec(location.package).submodule_search_locations[0]
        tensors = self._source.read(Path(folder, location.path).read_bytes())
        return {
            convolution.name: {
                role: to_device(torch.tensor(tensors[name]), torch.device("cpu"))
                for role, name in asdict(self._source.tensor_names(convolution)).items()
            }
            for convolution in convolutions()
        }

    def _folded(self) -> Parameters:
        folded = {}
        for name, values in self.base.items():
            factor = values["scale"] / torch.sqrt(values["variance"] + self._source.epsilon)
            folded[f"{name}/kernel"] = values["kernel"] * factor[:, None, None, None]
            folded[f"{name}/bias"] = values["shift"] - values["mean"] * factor
        return folded


class KerasRMSprop(torch.optim.Optimizer):
    """RMSprop as Keras has it: epsilon stands under the root, where PyTorch adds it to the root.

    Source: tf.keras.optimizers.RMSprop, with its defaults rho 0.9, no momentum, epsilon 1e-7.
    """

    def __init__(self, parameters: list[Tensor], rate: float) -> None:
        super().__init__(parameters, {"rate": rate})

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                square = self.state[parameter].setdefault("square", torch.zeros_like(parameter))
                square.mul_(0.9).addcmul_(parameter.grad, parameter.grad, value=0.1)
                parameter.addcdiv_(parameter.grad, (square + 1e-7).sqrt_(), value=-group["rate"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "splits", "out"):
        parser.add_argument(name)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--fine-tune-epochs", type=int, default=10)
    parser.add_argument(
        "--fastai", type=int, metavar="EPOCHS", help="epochs of fastai's recipe, instead of the tutorial"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.set_num_threads(available_cores())
    torch.manual_seed(arguments.seed)
    training, validation, test = read(arguments.photos, arguments.splits)
    network = Network()
    if arguments.fastai:
        fit_as_fastai(network, training, validation, arguments.seed, arguments.fastai)
    else:
        epochs = arguments.epochs, arguments.fine_tune_epochs
        fit_as_tutorial(network, training, validation, arguments.seed, *epochs)
    save(arguments.out, network, test)


def fit_as_tutorial(
    network: Network, training: Photos, validation: Photos, seed: int, frozen_epochs: int, tuned_epochs: int
) -> None:
    """Train in the tutorial's two phases."""
    head = [value.requires_grad_() for value in network.head.values()]
    last = frozen_epochs + tuned_epochs
    adam = torch.optim.Adam(head, 1e-4, eps=1e-7, fused=True)
    fit(network, adam, training, validation, seed, range(1, frozen_epochs + 1))
    top = [value.requires_grad_() for value in network.unfrozen()]
    rmsprop = KerasRMSprop([*head, *top], 1e-5)
    fit(network, rmsprop, training, validation, seed, range(frozen_epochs + 1, last + 1))


def fit_as_fastai(network: Network, training: Photos, validation: Photos, seed: int, epochs: int) -> None:
    """Train as fastai's `fine_tune` does."""
    head = [value.requires_grad_() for value in network.head.values()]
    steps = -(-len(training.targets) // FASTAI_BATCH)

    def one_cycle(
        groups: list[tuple[list[Tensor], float]], first: int, last: int, start: float, division: float
    ) -> None:
        parameters = [{"params": tensors, "lr": rate} for tensors, rate in groups]
        adam = torch.optim.AdamW(parameters, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.01, fused=True)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            adam, [rate for _, rate in groups], (last - first + 1) * steps, pct_start=start, div_factor=division,
            final_div_factor=1e5 / division, base_momentum=0.85, max_momentum=0.95,
        )  # fmt: skip
        fit(network, adam, training, validation, seed, range(first, last + 1), cycle, FASTAI_BATCH, FASTAI_VIEWS, 0.0)

    one_cycle([(head, FASTAI_RATE)], 1, 1, 0.99, 25.0)
    base = [value.requires_grad_() for value in network.trainable(network.base)]
    rate = FASTAI_RATE / 2
    one_cycle([(base, rate / 100), (head, rate)], 2, 1 + epochs, 0.3, 5.0)


def read(photos: str, splits: str) -> list[Photos]:
    """Decode the photos: those for training, for validation and for the test."""
    with Path(splits).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    positive = min(row["label"] for row in rows)
    parts = []
    for part in ("train", "validation", "test"):
        chosen = [row for row in rows if row["split"] == part]
        names = [row["file"] for row in chosen]
        pixels = ordered_map(lambda name: read_photo(Path(photos, name), SIZE), names, worker_threads())
        targets = np.array([row["label"] == positive for row in chosen], dtype=np.float32)
        parts.append(Photos(names, list(pixels), targets))
    return parts


def fit(
    network: Network,
    optimizer: torch.optim.Optimizer,
    training: Photos,
    validation: Photos,
    seed: int,
    epochs: range,
    cycle: torch.optim.lr_scheduler.LRScheduler | None = None,
    size: int = BATCH,
    views: AugmentSettings = VIEWS,
    dropout: float = DROPOUT,
) -> None:
    """Train for some epochs, and judge after each, as both recipes do."""
    for epoch in epochs:
        order = np.random.default_rng([seed, epoch]).permutation(len(training.targets))
        for chosen in batches(order, size):
            logits = network.logits(training.augmented(chosen, seed, epoch, views), dropout)
            loss = functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(training.targets[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if cycle is not None:
                cycle.step()
        right = (predict(network, validation) >= 0.5) == (validation.targets == 1)
        print(f"epoch {epoch}: validation accuracy {right.mean():.4f}", file=sys.stderr, flush=True)


def predict(network: Network, photos: Photos) -> np.ndarray:
    """Probabilities [n] of the positive class."""
    with torch.no_grad():
        passes = batches(np.arange(len(photos.targets)))
        return to_numpy(torch.cat([torch.sigmoid(network.logits(photos.plain(chosen))) for chosen in passes]))


def batches(order: np.ndarray, size: int = BATCH) -> list[np.ndarray]:
    """Numbers of photos, at most `size` at a time."""
    return np.split(order, range(size, len(order), size))


def save(out: str, network: Network, test: Photos) -> None:
    base = {f"{name}/{role}": value for name, values in network.base.items() for role, value in values.items()}
    parameters = {name: to_numpy(value) for name, value in (base | network.head).items()}
    np.savez(out, probabilities=predict(network, test), targets=test.targets, **parameters)


def glorot(inputs: int, outputs: int) -> Tensor:
    """A kernel as Keras' Dense layers begin with: uniform (Glorot and Bengio 2010, section 4.2.1)."""
    return torch.nn.init.xavier_uniform_(torch.empty(outputs, inputs)).T.contiguous()


if __name__ == "__main__":
    main()
