"""How long work reports its progress."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Called with the name of a stage, how much of the stage is done, and how much there is."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
