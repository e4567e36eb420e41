"""Training that several processes share in tests, and one of two processes: `python peers_work.py RANK FOLDER`."""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from tops import CPU, RECIPE, drawn_photos, imagenet, small_head

from roadclear.training.finetune import trainer
from roadclear.training.finetune.peers import Alone, Peers, ProcessGroup
from roadclear.training.finetune.trainer import FineTuned, Network, fine_tune
from roadclear.utils.threads import limit_cores

UNFROZEN = 1
TRAINING = drawn_photos(37, UNFROZEN, views=2)
VALIDATION = drawn_photos(23, UNFROZEN, seed=7)


def network(peers: Peers | None = None) -> Network:
    return Network(imagenet(), small_head(), UNFROZEN, CPU, peers if peers is not None else Alone())


def trained(peers: Peers | None = None) -> FineTuned:
    """A training of 37 photos in minibatches of 7 and 8, which two processes cannot share evenly."""
    return fine_tune(network(peers), TRAINING, VALIDATION, RECIPE)


def numbers_of(result: FineTuned) -> dict[str, NDArray[np.floating]]:
    """All numbers of a result, by name."""
    tuned = {
        f"{name}/{part}": getattr(convolution, part)
        for name, convolution in result.weights.convolutions.items()
        for part in ("kernel", "bias")
    }
    losses = [(epoch.train_loss, epoch.validation_loss) for epoch in result.trained.history]
    return {**tuned, **vars(result.trained.head), "losses": np.array(losses)}


def main(rank: int, folder: Path) -> None:
    limit_cores(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder / 'meeting'}", timeout=timedelta(seconds=60), rank=rank, world_size=2
    )
    peers = ProcessGroup()
    averaged = peers.average([torch.full((2, 3), 1.0 + rank), torch.tensor(10.0 * rank)], 0.25 if rank == 0 else 0.75)
    combined = peers.combine(np.array([0.5, 0] if rank == 0 else [0, -2], np.float32))
    values = {"first": averaged[0].numpy(), "second": averaged[1].numpy(), "combined": combined}
    trainer.step_type = lambda device: torch.float32
    np.savez(folder / f"{rank}.npz", **values, **numbers_of(trained(peers)))  # type: ignore[arg-type]
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
