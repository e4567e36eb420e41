"""Work under a lock, in a module that a started process can import by its name."""

import multiprocessing
import os
from pathlib import Path

from roadclear.errors import OutputError
from roadclear.utils.locks import folder_lock

ROUNDS = 30


def work(folder: Path, results: "multiprocessing.Queue[tuple[int, int]]") -> None:
    """Take the lock again and again; count how often, and how often someone else was in the folder."""
    taken = intruders = 0
    while taken < ROUNDS:
        try:
            with folder_lock(folder):
                taken += 1
                try:
                    os.close(os.open(folder / "occupied", os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    intruders += 1
                    continue
                (folder / "occupied").unlink()
        except OutputError:
            continue
    results.put((taken, intruders))
