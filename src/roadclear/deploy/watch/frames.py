"""Frames with time stamps, and the choice of one every so many seconds."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

# A frame may come this share of a step early, so that rounded time stamps do not cost a whole frame.
_EARLY = 0.02


@dataclass(frozen=True, eq=False)
class Frame:
    """Frame of a source.

    Attributes:
        time: seconds since the start of the source.
        picture: makes the upright RGB picture. Raises PhotoError where the frame cannot be used. May be called in any
            thread.
    """

    time: float
    picture: Callable[[], Image.Image]


class Pace:
    """Choice of one frame every so many seconds, by time stamps.

    Steps are multiples of `every` after the first frame. The first frame at or after a step is taken, so frames of a
    variable rate stay on the grid, and no step has two frames.

    Args:
        every: seconds between two frames.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._due: float | None = None

    def takes(self, time: float) -> bool:
        """Whether the frame of a time is taken. Times must not decrease."""
        if self._due is None:
            self._due = time
        late = time - self._due + _EARLY * self._every
        if late < 0:
            return False
        self._due += self._every * (int(late / self._every) + 1)
        return True
