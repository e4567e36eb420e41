"""Empty files under names of every kind, for tests that never read them."""

import os
from pathlib import Path

NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")
ODD_NAMES = [
    "two\nlines.jpg",
    NOT_UTF8,
    'a "quote", a comma.jpg',
    " spaces .jpg",
    "横断歩道.jpg",
    "$(x);&.jpg",
    "-rf.jpg",
]


def make(root: Path, *files: str) -> Path:
    """Touch files, with their folders, and return the root."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root
