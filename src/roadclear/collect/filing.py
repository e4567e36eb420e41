"""What every place of collected photos can do: say what is known, take a photo, and note a rejection.

`store` files photos in folders of labels, and `shard_store` in tar shards.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from roadclear.collect.downloader import Photo
from roadclear.collect.records import RejectionRecord, SourceRecord
from roadclear.collect.rejections import FetchError, RejectionReason


class Known:
    """Index of the photos that were collected and rejected so far.

    Attributes:
        collected: number of photos by label and provider.
        licences: number of photos by name of the licence.
    """

    def __init__(self, sources: Iterable[SourceRecord] = (), rejections: Iterable[RejectionRecord] = ()) -> None:
        self.collected: Counter[tuple[str, str]] = Counter()
        self.licences: Counter[str] = Counter()
        self._settled: set[tuple[str, str, str]] = set()
        self._rejected: set[tuple[tuple[str, str, str], RejectionReason]] = set()
        self._addresses: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        for source in sources:
            self.add(source)
        for rejection in rejections:
            self.reject(rejection)

    def add(self, source: SourceRecord) -> None:
        """Add a photo."""
        self.collected[source.label, source.provider] += 1
        self.licences[source.licence] += 1
        self._settled.add(source.key)
        self._addresses[source.image_url] = source.file
        self._hashes[source.sha256] = source.file

    def discard(self, source: SourceRecord) -> None:
        """Take a photo out of the numbers, before the same photo of another collection is added."""
        self.collected -= Counter([(source.label, source.provider)])
        self.licences -= Counter([source.licence])

    def reject(self, rejection: RejectionRecord) -> bool:
        """Add a rejection, and return whether it is new. A rejection that may pass does not settle the photo."""
        source = rejection.source
        entry = source.key, rejection.reason
        if entry in self._rejected:
            return False
        self._rejected.add(entry)
        # After a rejection for a repeated address, the first photo from there may still be wanted: a kill may have kept
        # the first from being fetched.
        if rejection.reason != RejectionReason.SAME_ADDRESS and not rejection.reason.is_passing:
            self._settled.add(source.key)
            self._addresses.setdefault(source.image_url, f"one that was rejected ({rejection.reason})")
        if rejection.reason == RejectionReason.REMOVED:
            self._hashes.setdefault(source.sha256, f"{source.file}, which was removed")
        return True

    def of_label(self, label: str) -> int:
        """Return the number of photos of a label."""
        return sum(photos for (name, _), photos in self.collected.items() if name == label)

    def is_settled(self, source: SourceRecord) -> bool:
        """Whether the result of a search was collected, or rejected for good."""
        return source.key in self._settled

    def is_repeated(self, source: SourceRecord) -> bool:
        """Whether the result was rejected for having the address of another result."""
        return (source.key, RejectionReason.SAME_ADDRESS) in self._rejected

    def at_address(self, source: SourceRecord) -> str | None:
        """Return the file from the same address, or None."""
        return self._addresses.get(source.image_url)

    def with_bytes(self, sha256: str) -> str | None:
        """Return the file with the same bytes, or None."""
        return self._hashes.get(sha256)

    def check_new(self, photo: Photo) -> None:
        """Refuse a photo whose bytes were collected before.

        Raises:
            FetchError: a file with the same bytes was collected before.
        """
        if other := self.with_bytes(photo.sha256):
            raise FetchError(RejectionReason.SAME_BYTES, f"same bytes as {other}")


class Filing(Protocol):
    """Place of collected photos that is open for more.

    Attributes:
        known: index of the photos in the place.
    """

    known: Known

    def add(self, source: SourceRecord, photo: Photo) -> None:
        """File a photo.

        Raises:
            FetchError: a file with the same bytes was collected before.
            OutputError: the place cannot be written.
        """
        ...

    def reject(self, source: SourceRecord, reason: RejectionReason, detail: str) -> None:
        """Record why a photo was not collected.

        Raises:
            OutputError: the place cannot be written.
        """
        ...


def name_of_photo(source: SourceRecord, photo: Photo) -> str:
    """Name the file of a photo: nothing from the network but the content decides the name."""
    return f"{source.provider}-{photo.sha256[:12]}{photo.extension}"


def filed(source: SourceRecord, photo: Photo, file: str) -> SourceRecord:
    """Return the record of a photo that is filed now.

    Args:
        source: record of the candidate.
        photo: the photo.
        file: place of the photo.
    """
    return replace(
        source,
        file=file,
        width=str(photo.width),
        height=str(photo.height),
        bytes=str(len(photo.data)),
        sha256=photo.sha256,
        retrieved_at=now(),
    )


def rejected(source: SourceRecord, reason: RejectionReason, detail: str) -> RejectionRecord:
    """Return the record of a photo that is rejected now."""
    return RejectionRecord(reason, detail, replace(source, retrieved_at=now()))


def now() -> str:
    """Return the time in UTC, as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
