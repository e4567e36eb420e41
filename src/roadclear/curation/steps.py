"""Changes that can be taken back, one by one, the latest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from roadclear.curation.journal import Move


@dataclass(frozen=True)
class Step:
    """One change that can be taken back.

    Attributes:
        made: moves that were made.
        reverted: earlier moves that were reverted.
        added: files that were added.
        name: name that joins steps; "" joins none.
    """

    made: tuple[Move, ...] = ()
    reverted: tuple[Move, ...] = ()
    added: tuple[str, ...] = ()
    name: str = ""

    @property
    def size(self) -> int:
        """Number of changed photos."""
        return len(self.made) + len(self.reverted) + len(self.added)


def latest_run(journal: Sequence[Move], reached: Callable[[Move], bool]) -> tuple[Move, ...]:
    """Return the moves of the last run, those with the last time, in the order of the journal.

    Args:
        journal: moves that were made.
        reached: function that says whether a move can be taken back here.
    """
    moves = [move for move in journal if reached(move)]
    return tuple(takewhile(lambda move: move.moved_at == moves[-1].moved_at, reversed(moves)))[::-1]


def key_of(move: Move) -> tuple[str, str, str]:
    """Return what tells a move from others, whatever its time."""
    return move.origin, move.place, move.sha256
