"""Photos are filed under their label, and every one of them, or why there is none, is written down.

A photo is written beside its place first, then its row in sources.csv, then it is moved to its place. A kill leaves
the first of these steps, or the first two; when the folder is opened the next time, the photo of one step is dropped
and that of two is moved. People may move, rename and remove photos meanwhile: the rows follow them.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from roadclear.collect.downloader import Photo
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
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.errors import DatasetError, OutputError
from roadclear.utils.files import as_output_error, write_synced
from roadclear.utils.locks import folder_lock

_PART = re.compile(r"\.[a-z0-9]+-[0-9a-f]{12}\.[a-z]+\.part")


class Known:
    """What was collected and rejected so far.

    Attributes:
        collected: label and provider -> photos.
        licences: name of a licence -> photos.
    """

    def __init__(self, sources: Iterable[SourceRecord], rejections: Iterable[RejectionRecord]) -> None:
        self.collected: Counter[tuple[str, str]] = Counter()
        self.licences: Counter[str] = Counter()
        self._settled: set[tuple[str, str, str]] = set()
        self._repeated: set[tuple[str, str, str]] = set()
        self._addresses: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        for source in sources:
            self.add(source)
        for rejection in rejections:
            self.reject(rejection)

    def add(self, source: SourceRecord) -> None:
        """Take note of a photo."""
        self.collected[source.label, source.provider] += 1
        self.licences[source.licence] += 1
        self._settled.add(source.key)
        self._addresses[source.image_url] = source.file
        self._hashes[source.sha256] = source.file

    def reject(self, rejection: RejectionRecord) -> None:
        """Take note of a rejection, unless it may pass."""
        source = rejection.source
        if rejection.reason == RejectionReason.SAME_ADDRESS:
            # No reason to pass over what came first from that address: a kill may have kept it from being fetched.
            self._repeated.add(source.key)
        elif not rejection.reason.is_passing:
            self._settled.add(source.key)
            self._addresses.setdefault(source.image_url, f"one that was rejected ({rejection.reason})")
        if rejection.reason == RejectionReason.REMOVED:
            self._hashes.setdefault(source.sha256, f"{source.file}, which was removed")

    def of_label(self, label: str) -> int:
        """How many photos a label has."""
        return sum(photos for (name, _), photos in self.collected.items() if name == label)

    def is_settled(self, source: SourceRecord) -> bool:
        """Whether this result of this search was collected, or rejected for good."""
        return source.key in self._settled

    def is_repeated(self, source: SourceRecord) -> bool:
        """Whether it is written down that this result has the address of another."""
        return source.key in self._repeated

    def at_address(self, source: SourceRecord) -> str | None:
        """What came from the same address, or None."""
        return self._addresses.get(source.image_url)

    def with_bytes(self, sha256: str) -> str | None:
        """What has the same bytes, or None."""
        return self._hashes.get(sha256)


class Filing:
    """A folder that photos are collected in.

    Attributes:
        known: what it holds.
    """

    def __init__(self, folder: Path, known: Known) -> None:
        self.known = known
        self._folder = folder

    def add(self, source: SourceRecord, photo: Photo) -> None:
        """File a photo.

        Raises:
            FetchError: its bytes are known.
            OutputError: the folder cannot be written.
        """
        if other := self.known.with_bytes(photo.sha256):
            raise FetchError(RejectionReason.SAME_BYTES, f"same bytes as {other}")
        name = f"{source.provider}-{photo.sha256[:12]}{photo.extension}"
        source = replace(
            source,
            file=f"{source.label}/{name}",
            width=str(photo.width),
            height=str(photo.height),
            bytes=str(len(photo.data)),
            sha256=photo.sha256,
            retrieved_at=_now(),
        )
        place = self._folder / source.file
        with as_output_error(place, MAKE_ROOM):
            write_synced(_part(place), photo.data)
            append_source(self._folder, source)
            _part(place).replace(place)
        self.known.add(source)

    def reject(self, source: SourceRecord, reason: RejectionReason, detail: str) -> None:
        """Write down why there is no photo.

        Raises:
            OutputError: the folder cannot be written.
        """
        rejection = RejectionRecord(reason, detail, replace(source, retrieved_at=_now()))
        append_rejection(self._folder, rejection)
        self.known.reject(rejection)


def look_up(folder: Path, labels: Sequence[str]) -> Known:
    """What a folder holds, as its tables say. Nothing is written.

    Raises:
        DatasetError: see `open_filing`.
    """
    _check_layout(folder, labels)
    return Known(read_sources(folder), read_rejections(folder))


@contextmanager
def open_filing(folder: Path, labels: Sequence[str]) -> Iterator[Filing]:
    """Make or settle a folder, and hold it: no other process collects in it or cleans it meanwhile.

    Raises:
        DatasetError: it has other subfolders than the labels, or tables that are not ours.
        OutputError: another process holds it, or it cannot be written.
    """
    _check_layout(folder, labels)
    try:
        for label in labels:
            (folder / label).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folders in {str(folder)!r}: {error.strerror}; choose another place") from error
    with folder_lock(folder):
        known = _settle(folder, labels)
        yield Filing(folder, known)
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
    """Make the tables and the folders agree."""
    try:
        return _reconciled(folder, labels)
    except OSError as error:
        raise OutputError(
            f"cannot put {str(folder)!r} in order: {error.strerror}; make everything in it writable, then collect again"
        ) from error


def _reconciled(folder: Path, labels: Sequence[str]) -> Known:
    sources_before, rejections_before = read_sources(folder), read_rejections(folder)
    for table in (SOURCES, REJECTED):
        for temporary in folder.glob(f".{table}.*"):
            temporary.unlink(missing_ok=True)
    for source in sources_before:
        _finish(folder, source, labels)
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


def _finish(folder: Path, source: SourceRecord, labels: Sequence[str]) -> None:
    """Move a photo to its place where a kill left it beside it."""
    path = PurePosixPath(source.file)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise DatasetError(
            f"expected in {str(folder / SOURCES)!r} files in label folders, found {source.file!r}: correct it"
        )
    place = folder / path
    if path.parts[0] in labels and _part(place).is_file() and not os.path.lexists(place):
        _part(place).replace(place)


def _places(folder: Path, labels: Sequence[str]) -> dict[str, str]:
    """Name -> place of every photo; what a kill left besides is removed."""
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
