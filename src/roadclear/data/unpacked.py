"""Photos of shards as files: copied into a temporary folder for as long as the program runs.

Commands that look at photos again, such as for a report, need files. `roadclear.data.shards.mapping` needs none.
"""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.opening import only_columns, open_source
from roadclear.data.shards.photo import DETAILS, Shard, ShardPhoto
from roadclear.images.decode import UnreadablePhoto
from roadclear.utils.files import as_output_error
from roadclear.utils.storage import Place, UnavailableError, name_of
from roadclear.utils.temporary import set_origin, temporary_folder

_TEMPORARY = "set TMPDIR to a folder that has space"
_MOST_NAME_BYTES = 200

_lock = threading.Lock()
_unpacked: dict[tuple[str, str], "Unpacked"] = {}


@dataclass(frozen=True)
class Unpacked:
    """Photos of a source, as files.

    Attributes:
        root: temporary folder.
        photos: photos by their ids, in order. The label of a photo without a label is empty.
        skipped: photos and shards that could not be read, with reasons.
    """

    root: Path
    photos: tuple[LabelledPhoto, ...]
    skipped: tuple[UnreadablePhoto, ...]


def unpack_source(place: Place, columns: SourceSettings | None = None) -> Unpacked:
    """Copy the photos of a source into a temporary folder, which is removed when the program ends.

    The same source is copied once. One photo at a time is in memory.

    Raises:
        DatasetError, OptionError: see `roadclear.data.shards.opening.open_source`.
        OutputError: the temporary folder cannot be written.
    """
    columns = only_columns(columns)
    key = (name_of(place), repr(columns))
    with _lock:
        if key not in _unpacked:
            _unpacked[key] = _unpack(name_of(place), open_source(place, columns))
        return _unpacked[key]


def root_of_unpacked(place: Place) -> Path:
    """Return the folder that a source was unpacked into, with any columns; unpack the source where it was not.

    Raises:
        DatasetError, OptionError, OutputError: see `unpack_source`.
    """
    with _lock:
        roots = [unpacked.root for (name, _), unpacked in _unpacked.items() if name == name_of(place)]
    return roots[0] if roots else unpack_source(place).root


def _unpack(source: str, shards: list[Shard]) -> Unpacked:
    root = temporary_folder()
    set_origin(root, source)
    photos: dict[str, LabelledPhoto] = {}
    skipped: list[UnreadablePhoto] = []
    for shard in shards:
        try:
            with shard.open() as opened:
                for photo in opened.photos:
                    if photo.content is None:
                        skipped.append(UnreadablePhoto(Path(photo.id), photo.reason or "no content"))
                    elif photo.id in photos:
                        skipped.append(UnreadablePhoto(Path(photo.id), "a second photo of the same name"))
                    else:
                        photos[photo.id] = _write(root, source, photo)
        except UnavailableError as error:
            skipped.append(UnreadablePhoto(Path(shard.name), error.reason))
    return Unpacked(root, tuple(photos[name] for name in sorted(photos)), tuple(skipped))


def _write(root: Path, source: str, photo: ShardPhoto) -> LabelledPhoto:
    path = root / _safe(photo.id)
    with as_output_error(path, _TEMPORARY):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.content or b"")
    if path != root / photo.id:
        set_origin(path, f"{source}/{photo.id}")
    details = {name: getattr(photo, name) for name in DETAILS}
    return LabelledPhoto(path, photo.id, **{**details, "label": photo.label or ""})


def _safe(name: str) -> str:
    """A relative path for a photo: its id where the id is one, else a name of its own."""
    path = PurePosixPath(name)
    usual = not path.is_absolute() and ".." not in path.parts and name.isprintable() and "\\" not in name
    short = all(len(os.fsencode(part)) <= _MOST_NAME_BYTES for part in path.parts)
    if usual and short and path.as_posix() == name:
        return name
    return f"photos/{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()}"
