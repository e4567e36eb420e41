"""Progress of long work."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Function that is called with the name of a stage, the number of finished items, and the number of all items."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
