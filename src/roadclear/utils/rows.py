"""Rows of numbers that may be more than memory holds: an array, or a temporary file that is read row by row."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OutputError
from roadclear.utils.arrays import Bools, Indices
from roadclear.utils.threads import available_cores, one_thread, ordered_map

MOST_IN_MEMORY = 100_000
"""Largest number of rows that are held in memory: 0.5 GB of embeddings."""

ROWS_A_BLOCK = 16_384
"""Number of rows that are computed at once, where more could be: 84 MB of embeddings."""

Number = TypeVar("Number", bound=np.generic)


class StoredRows:
    """A float32 matrix in a temporary file, of which rows are read as they are asked for.

    Rows are read into arrays of their own, and the file is not mapped. So the pages of the file are the system's memory
    and not the process's. Threads may read an object at once.

    Args:
        file: open file of rows, one after the other. It is closed with the last object that reads it.
        shape: numbers of rows and of columns.
        numbers: int [n], rows of the file that are the rows here, in this order; None for all rows of the file.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, int], numbers: Indices | None = None) -> None:
        self._file, self._numbers = file, numbers
        self.shape = shape

    @classmethod
    def create(cls, shape: tuple[int, int]) -> "StoredRows":
        """Make a file of so many rows and columns in the folder for temporary files.

        Raises:
            OutputError: the folder has no room for the file, or cannot be written.
        """
        size = 4 * shape[0] * shape[1]
        try:
            file: BinaryIO = tempfile.TemporaryFile(prefix="roadclear-", buffering=0)  # noqa: SIM115
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            else:
                file.truncate(size)
        except OSError as error:
            raise OutputError(
                f"expected room for {size / 1e9:.1f} GB of features in {tempfile.gettempdir()!r}, found none "
                f"({error.strerror}): make room there, or set TMPDIR to another folder"
            ) from error
        return cls(file, shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice | Indices | Bools) -> NDArray[np.float32]:
        """Read rows: float32 [m, columns].

        Raises:
            OutputError: the file cannot be read.
        """
        numbers = self._resolve(chosen)
        found = np.empty((len(numbers), self.shape[1]), np.float32)
        self._transfer(os.preadv, numbers, found)
        return found

    def __setitem__(self, chosen: slice | Indices | Bools, rows: NDArray[np.float32]) -> None:
        """Write rows float32 [m, columns].

        Raises:
            OutputError: the file cannot be written.
        """
        self._transfer(os.pwritev, self._resolve(chosen), np.ascontiguousarray(rows, np.float32))

    def take(self, chosen: Indices | Bools) -> "StoredRows":
        """Choose rows without reading them."""
        numbers = self._resolve(chosen)
        return StoredRows(self._file, (len(numbers), self.shape[1]), numbers)

    def _resolve(self, chosen: slice | Indices | Bools) -> Indices:
        """Find the rows of the file: int [m]."""
        if isinstance(chosen, slice):
            places = np.arange(*chosen.indices(len(self)))
        else:
            places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.intp, copy=False)
        return places if self._numbers is None else self._numbers[places]

    def _transfer(
        self, move: Callable[[int, list[memoryview], int], int], numbers: Indices, rows: NDArray[np.float32]
    ) -> None:
        """Read or write rows. Neighbours are moved at once."""
        if rows.size == 0:
            return
        file, width = self._file.fileno(), 4 * self.shape[1]
        whole = rows.view(np.uint8).reshape(-1).data
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) != 1)
        ends = np.append(starts[1:], len(numbers))
        for start, end, number in zip(starts.tolist(), ends.tolist(), numbers[starts].tolist(), strict=True):
            place, stop, offset = start * width, end * width, number * width
            while place < stop:
                try:
                    moved = move(file, [whole[place:stop]], offset)
                except OSError as error:
                    raise OutputError(
                        f"the temporary file of features failed ({error.strerror}): start again"
                    ) from error
                if moved == 0:
                    raise OutputError("the temporary file of features was cut short: start again")
                place, offset = place + moved, offset + moved


Rows = NDArray[np.float32] | StoredRows
"""float32 [n, columns], in memory or in a file. `rows[chosen]` is an array in memory."""


def new_rows(shape: tuple[int, int]) -> Rows:
    """Make rows to be written: in memory, or in a file where there are many.

    Raises:
        OutputError: there is no room for the file.
    """
    return np.empty(shape, np.float32) if shape[0] <= MOST_IN_MEMORY else StoredRows.create(shape)


def take(rows: Rows, chosen: Indices | Bools) -> Rows:
    """Choose rows. Many rows of a file stay in the file."""
    if isinstance(rows, StoredRows):
        found = rows.take(chosen)
        return found if len(found) > MOST_IN_MEMORY else found[:]
    return rows[chosen]


def by_blocks(
    function: Callable[[NDArray[np.float32]], NDArray[Number]], rows: Rows, size: int = ROWS_A_BLOCK
) -> NDArray[Number]:
    """Compute a function of rows block by block, on all cores: [n, ...].

    Rows in memory and in a file give the same numbers, on any number of cores. Up to `size` rows are one block.

    Args:
        function: function of float32 [m, columns] whose result has an entry a row. Several threads call the function.
        rows: float32 [n, columns].
        size: number of rows in a block.
    """
    if len(rows) <= size:
        return function(rows[:])
    with (
        one_thread(),
        closing(ordered_map(lambda part: function(rows[part]), _blocks(len(rows), size), available_cores())) as found,
    ):
        return np.concatenate(list(found))


def _blocks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
