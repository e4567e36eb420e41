"""Files of every kind, whole, broken and hostile, each with what must come of it. Drawn, never collected.

`make_corpus(folder)` writes them all.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus_hostile import hostile_files
from corpus_photos import good_photos
from drawings import Outcome, Recipe, drawing, encoded, refused


@dataclass(frozen=True)
class CorpusCase:
    """One file, and what must come of reading it."""

    path: Path
    outcome: Outcome


def make_corpus(folder: Path) -> list[CorpusCase]:
    """Write every file of the corpus into `folder`, an existing, empty directory."""
    cases = []
    for recipe in recipes():
        path = folder / recipe.name
        if isinstance(recipe.content, bytes):
            path.write_bytes(recipe.content)
        else:
            recipe.content(path)
        cases.append(CorpusCase(path, recipe.outcome))
    return cases


def recipes() -> Iterator[Recipe]:
    """Everything in the corpus, in a fixed order, with unique names."""
    yield from good_photos()
    yield from hostile_files()
    if os.name == "posix":
        yield from _special_files()


def _special_files() -> Iterator[Recipe]:
    png = encoded(drawing(), "PNG")
    for name in (
        "with spaces .jpg",
        "'single' and \"double\".jpg",
        "two\nlines\t.jpg",
        "$(touch hurt);&.jpg",
        "-rf.jpg",
    ):
        yield Recipe(name, png, Outcome())
    yield Recipe(os.fsdecode(b"caf\xe9 \xff\xfe.jpg"), png, Outcome())
    yield Recipe("横断歩道 🚸.jpg", png, Outcome())
    yield Recipe("n" * 251 + ".jpg", png, Outcome())
    yield Recipe("link to a photo.jpg", lambda path: path.symlink_to("rgb.png"), Outcome())
    yield Recipe("a folder.jpg", Path.mkdir, refused("a folder"))
    yield Recipe("pipe.jpg", os.mkfifo, refused("a pipe"))
    yield Recipe("socket.jpg", _make_socket, refused("a pipe"))
    yield Recipe("device.jpg", lambda path: path.symlink_to("/dev/zero"), refused("a pipe"))
    yield Recipe("broken link.jpg", lambda path: path.symlink_to("nowhere"), refused("a broken link"))
    yield Recipe("ring.jpg", lambda path: path.symlink_to(path.name), refused("leads back to itself"))
    yield Recipe("missing.jpg", lambda path: None, refused("missing"))
    yield Recipe("huge and hollow.jpg", _make_hollow, refused("too large"))


def _make_socket(path: Path) -> None:
    """Bind it where its path is short enough (108 bytes), then move it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/s")
        Path(folder, "s").rename(path)


def _make_hollow(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
