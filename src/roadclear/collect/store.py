"""The store files photos under their label, and records the source of every photo and the reason of every rejection.

Filing takes three steps: write a partial file beside the place of the photo, append the row to sources.csv, and move
the file to its place. If the process dies after step 1, the next start deletes the partial file. After step 2, the next
start finishes the move. People may move, rename and remove photos between runs. The rows follow the photos.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from roadclear.collect.downloader import Photo
from roadclear.collect.filing import Known, filed, name_of_photo, rejected
from roadclear.collect.records import (
    MAKE_ROOM,
    REJECTED,
    SOURCES,
    RejectionRecord,
    SourceRecord,
    append_rejection,
    append_source,
    read_rejections,
    read_sources,
    write_rejections,
    write_sources,
)
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import DatasetError, OutputError
from roadclear.utils.files import as_output_error, remove_half_written, write_synced
from roadclear.utils.held_folder import HeldFolder, LinkError, hold
from roadclear.utils.locks import folder_lock

_PART = re.compile(r"\.[a-z0-9]+-[0-9a-f]{12}\.[a-z]+\.part")


class FolderFiling:
    """Folder that photos are collected in.

    Attributes:
        known: index of the photos in the folder.
    """

    def __init__(self, folder: Path, known: Known) -> None:
        self.known = known
        self._folder = folder

    def add(self, source: SourceRecord, photo: Photo) -> None:
        """File a photo.

        Raises:
            FetchError: a file with the same bytes was collected before.
            OutputError: the folder cannot be written.
        """
        self.known.check_new(photo)
        source = filed(source, photo, f"{source.label}/{name_of_photo(source, photo)}")
        place = self._folder / source.file
        with as_output_error(place, MAKE_ROOM):
            write_synced(_part(place), photo.data)
            append_source(self._folder, source)
            _part(place).replace(place)
        self.known.add(source)

    def reject(self, source: SourceRecord, reason: RejectionReason, detail: str) -> None:
        """Record why a photo was not collected.

        Raises:
            OutputError: the folder cannot be written.
        """
        rejection = rejected(source, reason, detail)
        append_rejection(self._folder, rejection)
        self.known.reject(rejection)


def look_up(folder: Path, labels: Sequence[str]) -> Known:
    """Read the index of a folder from its tables. Nothing is written.

    Raises:
        DatasetError: see `open_filing`.
    """
    _check_layout(folder, labels)
    return Known(read_sources(folder), read_rejections(folder))


@contextmanager
def open_filing(folder: Path, labels: Sequence[str]) -> Iterator[FolderFiling]:
    """Make or settle a folder, and hold its lock: no other process collects or cleans there meanwhile.

    Raises:
        DatasetError: the folder has other subfolders than the labels, a link for a label folder, or tables of another
            program.
        OutputError: another process works on the folder, or the folder cannot be written.
    """
    _check_layout(folder, labels)
    try:
        for label in labels:
            (folder / label).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folders in {str(folder)!r}: {error.strerror}; choose another place") from error
    for label in labels:
        if (folder / label).is_symlink():
            raise DatasetError(
                f"expected a folder at {str(folder / label)!r}, found a link: put the folder in its place, because "
                "photos are never filed through links"
            )
    with folder_lock(folder):
        known = _settle(folder, labels)
        yield FolderFiling(folder, known)
        _settle(folder, labels)


def _check_layout(folder: Path, labels: Sequence[str]) -> None:
    if not folder.is_dir():
        return
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    others = [name for name in others if name not in labels]
    if others:
        raise DatasetError(
            f"expected in {str(folder)!r} no folders but {' and '.join(map(repr, labels))}, found {others[0]!r}: "
            "choose another folder, or name the labels that are there with --labels"
        )


def _settle(folder: Path, labels: Sequence[str]) -> Known:
    """Make the tables agree with the photos in the folders."""
    try:
        return _reconciled(folder, labels)
    except OSError as error:
        raise OutputError(
            f"cannot put {str(folder)!r} in order: {error.strerror}; make everything in it writable, then collect again"
        ) from error


def _reconciled(folder: Path, labels: Sequence[str]) -> Known:
    sources_before, rejections_before = read_sources(folder), read_rejections(folder)
    for table in (SOURCES, REJECTED):
        remove_half_written(folder / table)
    with hold(folder) as held:
        for source in sources_before:
            _finish(held, source, labels)
    removed = [r.source for r in rejections_before if r.reason == RejectionReason.REMOVED]
    places = _places(folder, labels)
    sources, missing = [], []
    for source in [*sources_before, *removed]:
        place = places.get(PurePosixPath(source.file).name)
        if place is None:
            missing.append(source)
        else:
            sources.append(replace(source, file=place, label=place.split("/")[0]))
    sources = list({source.sha256: source for source in sources}.values())
    rejections = [r for r in rejections_before if r.reason != RejectionReason.REMOVED]
    rejections += [
        RejectionRecord(RejectionReason.REMOVED, "it is no longer in the folder", source) for source in missing
    ]
    collected = {source.image_url for source in sources}
    rejections = [r for r in rejections if not (r.reason.is_passing and r.source.image_url in collected)]
    rejections = list({(r.source.key, r.reason == RejectionReason.SAME_ADDRESS): r for r in rejections}.values())
    # A row that changes tables is in both for a moment, so that a kill does not lose it.
    write_sources(folder, [*sources, *missing])
    write_rejections(folder, rejections)
    write_sources(folder, sources)
    return Known(sources, rejections)


def _finish(folder: HeldFolder, source: SourceRecord, labels: Sequence[str]) -> None:
    """Finish the move of a photo that a kill interrupted."""
    path = PurePosixPath(source.file)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise DatasetError(
            f"expected in {str(folder.path / SOURCES)!r} files in label folders, found {source.file!r}: correct it"
        )
    if path.parts[0] not in labels:
        return
    # A file that is there, or that was never begun, needs no move. A link on the way is no place of ours.
    with suppress(FileExistsError, FileNotFoundError, NotADirectoryError, LinkError):
        folder.move(path.with_name(f".{path.name}.part").as_posix(), path.as_posix())


def _places(folder: Path, labels: Sequence[str]) -> dict[str, str]:
    """Map the name of every photo to its place, and remove partial files that a kill left."""
    places: dict[str, str] = {}
    for label in labels:
        for path, _, names in os.walk(folder / label):
            for name in names:
                if _PART.fullmatch(name):
                    (Path(path) / name).unlink(missing_ok=True)
                else:
                    places[name] = (Path(path) / name).relative_to(folder).as_posix()
    return places


def _part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")
