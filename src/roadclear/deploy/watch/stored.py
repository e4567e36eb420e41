"""Frames of what is stored: a video file, or a folder of pictures."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from roadclear.data.discovery import find_photos
from roadclear.deploy.watch.frames import Frame
from roadclear.deploy.watch.source import Source, SourceKind
from roadclear.errors import DatasetError
from roadclear.images.decode import read_photo
from roadclear.utils.text import printable


def stored_frames(source: Source, every: float) -> "tuple[Iterator[Frame], Callable[[], int]]":
    """Read the frames of a file or folder.

    Args:
        source: video file or folder of frames.
        every: seconds between two frames. In a folder every picture is a frame, one step after the other.

    Returns:
        Frames in the order of time, and a function that counts the broken parts that were passed over until now.

    Raises:
        DatasetError: there is no frame, or the file is no video.
        EngineError: PyAV is needed and not installed.
    """
    if source.kind is SourceKind.FOLDER:
        return _folder_frames(Path(source.place), every), lambda: 0
    from roadclear.deploy.watch.video import VideoFile

    video = VideoFile(source, every)
    return video.frames(), lambda: video.broken


def _folder_frames(folder: Path, every: float) -> Iterator[Frame]:
    files = sorted(find_photos([folder]), key=_natural)
    if not files:
        raise DatasetError(f"expected a folder of frames, found no picture in {printable(folder)!r}: name another one")
    return (Frame(k * every, lambda file=file: Image.fromarray(read_photo(file))) for k, file in enumerate(files))  # type: ignore[misc]


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort frame-9 before frame-10."""
    parts = re.split(r"(\d+)", str(path))
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
