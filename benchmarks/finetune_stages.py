"""Where the processor seconds of `roadclear train --unfreeze` go, and how many the arithmetic alone needs.

    python benchmarks/finetune_stages.py PHOTOS [--unfreeze 4]

One training in this process with an empty cache, photos to model file, without report. Seconds are of all cores; those
of a stage leave out the stages inside it. The arithmetic alone is the stage's floating-point operations by the speed of
one core in the largest matrix product of a step. `finetune_vs_keras.py` has the time of whole processes.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

# As `roadclear.training.finetune` does. PyTorch reads the variable at its import, which comes first here.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from machine import describe, table
from roadclear.data.dataset import load_folder
from roadclear.data.split import TRAIN
from roadclear.features.backbone.mobilenetv2 import BLOCKS, FINAL, STEM, Convolution
from roadclear.features.cache import open_cache
from roadclear.training import heads, prepare, recipe
from roadclear.training.config import TrainSettings
from roadclear.training.finetune import blocks as finetune_blocks
from roadclear.training.finetune import trainer
from roadclear.training.finetune.device import step_type
from roadclear.training.result import TrainingResult

STAGES = {
    "plain photos: embedding and activations": (prepare, "_extract_plain"),
    "views for the head": (heads, "load_views"),
    "heads": (recipe, "fit_heads"),
    "views for fine-tuning": (finetune_blocks, "_extract"),
    "steps": (trainer.Trainer, "step"),
    "validation of each epoch": (trainer.Trainer, "_validate"),
    "checkpoints": (trainer, "save_checkpoint"),
    "embeddings of all photos": (trainer, "embed"),
    "activations from the cache": (finetune_blocks.CachedActivations, "__call__"),
    "metrics and model file": (recipe, "measure"),
    "the rest": (recipe, "train"),
}

seconds: dict[str, float] = defaultdict(float)
inside: list[float] = []


def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a function's processor seconds to its stage, without those of stages inside it."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        inside.append(0.0)
        try:
            return function(*arguments, **named)
        finally:
            whole = time.process_time() - started
            seconds[stage] += whole - inside.pop()
            if inside:
                inside[-1] += whole

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--unfreeze", type=int, default=4, choices=range(1, len(BLOCKS)))
    arguments = parser.parse_args()
    print(describe("openvino", "torch"))
    settings = TrainSettings(unfreeze=arguments.unfreeze)
    speeds = {kind: speed(kind, settings.batch_size) for kind in (torch.float32, torch.bfloat16)}
    print(", ".join(f"{kind}: {found / 1e9:.0f} GFLOP/s a core" for kind, found in speeds.items()) + "\n")
    for stage, (place, name) in STAGES.items():
        setattr(place, name, timed(stage, getattr(place, name)))
    with open_cache(None) as cache:
        result = recipe.train(load_folder(arguments.photos), settings, cache)
    floors = needed(result, arguments.unfreeze, speeds)
    rows = [(stage, f"{seconds[stage]:.1f}", floors.get(stage, "")) for stage in STAGES]
    print(table(("stage", "processor s", "arithmetic alone"), [*rows, ("all", f"{sum(seconds.values()):.1f}", "")]))


def speed(kind: torch.dtype, photos: int) -> float:
    """Floating-point operations a second of one core in the largest matrix product of a step."""
    outputs, inputs = FINAL.kernel_shape[:2]
    rows = torch.randn(photos * 49, inputs).to(kind)
    kernel = torch.randn(outputs, inputs).to(kind)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = []
    for _ in range(50):
        started = time.process_time()
        rows @ kernel.t()
        found.append(time.process_time() - started)
    torch.set_num_threads(threads)
    return 2 * len(rows) * inputs * outputs / min(found)


def needed(result: TrainingResult, unfrozen: int, speeds: dict[torch.dtype, float]) -> dict[str, str]:
    """Seconds by stage. The gradients of a layer are two more products of its size; the first layer has one."""
    size, settings = result.settings.size, result.settings
    (whole, _), (top, first) = operations(len(BLOCKS), size), operations(unfrozen, size)
    photos, learned = len(result.data.photos), len(result.data.numbers(TRAIN))
    epochs = len(result.head.trained.history)
    kind = step_type(torch.device("cpu"))
    counted = {
        "plain photos: embedding and activations": (photos * whole, torch.float32),
        "views for fine-tuning": (settings.finetune_views * learned * (whole - top), torch.float32),
        "steps": (epochs * learned * (3 * top - first), kind),
        "validation of each epoch": (epochs * result.data.splits.count("validation") * top, kind),
        "embeddings of all photos": (photos * top, torch.float32),
    }
    return {stage: f"{count / speeds[number_type]:.1f}" for stage, (count, number_type) in counted.items()}


def operations(unfrozen: int, size: int) -> tuple[float, float]:
    """Operations of the top for one photo, and those of its first layer. With all 17 blocks the stem counts too."""
    side = size // STEM.stride
    counts = []

    def count(convolution: Convolution) -> None:
        nonlocal side
        outputs, inputs, height, width = convolution.kernel_shape
        side //= convolution.stride if convolution is not STEM else 1
        counts.append(2.0 * outputs * inputs * height * width * side**2)

    for block in BLOCKS:
        if block.index == len(BLOCKS) - unfrozen:
            counts.clear()
            if block.index == 0:
                count(STEM)
        for convolution in block.convolutions:
            count(convolution)
    count(FINAL)
    return sum(counts), counts[0]


if __name__ == "__main__":
    main()
