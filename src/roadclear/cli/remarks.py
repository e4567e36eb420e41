"""Remarks for people on stderr: `--quiet` leaves them out. And advice about arguments in the wrong order."""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from roadclear.errors import OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.training.config import PrepareSettings

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """Leave out progress bars and remarks while the block runs, also those of commands that it runs."""
    token = _quiet.set(quiet or _quiet.get())
    try:
        yield
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether the running command, or the command that runs it, was given `--quiet`."""
    return _quiet.get()


def remark(sentence: str) -> None:
    """Print a sentence on stderr, unless the command is quiet."""
    if not is_quiet():
        print(printable(sentence), file=sys.stderr)


def remark_on_positive(photos: str | os.PathLike[str], settings: "PrepareSettings") -> None:
    """Say which label is positive, where neither the user nor the names say so.

    Raises:
        DatasetError: the folder has not two labels.
    """
    if settings.positive is not None:
        return
    from roadclear.data.labels import explain_choice
    from roadclear.data.sources import names_of_labels

    choice = explain_choice(names_of_labels(photos, settings))
    if choice is not None:
        remark(choice)


def names_a_model(word: str | os.PathLike[str]) -> bool:
    """Whether an argument names a model: a run folder, an .onnx file, or 'stock' where nothing has this name."""
    path = Path(word)
    return path.suffix == ".onnx" or (path / "model.onnx").is_file() or (str(word) == "stock" and not path.exists())


def check_order(command: str, runs: Sequence[str | os.PathLike[str]], photos: str | os.PathLike[str]) -> None:
    """Refuse photos before the model, and say how the command is written.

    Args:
        command: name of the command.
        runs: arguments in the places of models.
        photos: argument in the place of photos.

    Raises:
        OptionError: the place of photos names a model, and a place of a model does not.
    """
    words = [*map(str, runs), str(photos)]
    models = [word for word in words if names_a_model(word)]
    if names_a_model(photos) and len(models) == len(runs):
        folder = next(word for word in words if word not in models)
        line = shlex.join(["roadclear", command, *models, folder])
        raise OptionError(f"expected {'the model' if len(runs) == 1 else 'the models'} first, then photos: {line}")
