"""What a format makes of a model: files in memory, and a way to run them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadclear.deploy.export.runners import Runner


@dataclass(frozen=True)
class Made:
    """An export that is not written yet.

    Attributes:
        files: content of the files, by name.
        needed: names of the files that predicting needs.
        exact: whether the export has the original's weights, so that its logits may not change.
        open: opens the files in a folder, and gives a runner.
    """

    files: dict[str, bytes]
    needed: tuple[str, ...]
    exact: bool
    open: Callable[[Path], Runner]
