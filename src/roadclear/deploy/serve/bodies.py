"""Bodies of requests: counted while they come, unpacked within limits, and never written to disk."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from roadclear.deploy.serve.settings import MAX_PHOTOS

HELD_BODIES = 16
"""All bodies that are held at the same time have at most the size of so many of the largest ones."""

_DRAINED = 4
"""A body that is too large is read to the end, and forgotten, up to so many times the limit.

Most clients read an answer only after they have sent their whole body."""

_LARGEST_SPOOL = 2**40
_LARGEST_FIELD = 10_000
_DECODERS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass
class BodyLimits:
    """Limits of bodies, and the memory that bodies hold now.

    Attributes:
        most: largest body in bytes, as it was sent and as it is unpacked.
        held: bytes of all bodies that are held now.
    """

    most: int
    held: int = field(default=0, init=False)

    @contextmanager
    def reserve(self) -> "Iterator[Reservation]":
        """Count the bytes of one request, until the block ends."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.held -= reservation.bytes


@dataclass
class Reservation:
    """Bytes that one request holds."""

    limits: BodyLimits
    bytes: int = 0

    def add(self, count: int) -> None:
        """Hold more bytes.

        Raises:
            HTTPException: all requests together hold too many bytes (503).
        """
        if self.limits.held + count > HELD_BODIES * self.limits.most:
            raise HTTPException(503, "the server holds as many bodies as it can: try again", {"Retry-After": "1"})
        self.limits.held += count
        self.bytes += count


async def read_body(request: Request, reservation: Reservation, seconds: float) -> bytes:
    """Read the body of a request, and unpack gzip or deflate.

    Args:
        request: request whose body was not read yet.
        reservation: counts the bytes.
        seconds: time that is left for the body.

    Raises:
        HTTPException: the body is too large (413), comes too slowly (408), is packed in an unknown way (415) or is
            damaged (400); or all bodies together are too large (503).
    """
    most = reservation.limits.most
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", *_DECODERS):
        raise HTTPException(415, "expected Content-Encoding gzip, deflate or none")
    _check_declared(request, most)
    body, length = bytearray(), 0
    try:
        async with asyncio.timeout(max(seconds, 0)):
            async for chunk in request.stream():
                length += len(chunk)
                if length > _DRAINED * most:
                    break
                if length > most:
                    body.clear()
                    continue
                reservation.add(len(chunk))
                body += chunk
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended within the body") from None
    if length > most:
        raise _too_large(most)
    if encoding == "identity":
        return bytes(body)
    unpacked = _unpacked(bytes(body), encoding, most)
    reservation.add(len(unpacked))
    return unpacked


def _check_declared(request: Request, most: int) -> None:
    """Refuse a body by its announced length where the client waits for leave to send the body."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most and "expect" in request.headers:
        raise _too_large(most)


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        413, f"expected a body of at most {most / 1e6:g} MB, found a larger one", {"Connection": "close"}
    )


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Unpack a body, and stop at the limit."""
    decoder = zlib.decompressobj(_DECODERS[encoding])
    try:
        found = decoder.decompress(body, most + 1)
    except zlib.error:
        raise HTTPException(400, f"the body is damaged: expected {encoding}") from None
    if len(found) > most:
        raise _too_large(most)
    if not decoder.eof:
        raise HTTPException(400, f"the body is damaged: its {encoding} ends too early")
    return found


@dataclass(frozen=True)
class SentFile:
    """File of a request.

    Attributes:
        name: name that the client gave; None for a raw body.
        data: content.
    """

    name: str | None
    data: bytes


class _InMemoryParser(MultiPartParser):
    """Parser whose files stay in memory: the whole body was counted before."""

    spool_max_size = _LARGEST_SPOOL


async def read_files(request: Request, reservation: Reservation, body: bytes) -> list[SentFile]:
    """Find the photos in a body: the files of a multipart form, or the body itself.

    Args:
        request: request with the type of the body.
        reservation: counts the bytes of the files, which are copies.
        body: whole body.

    Raises:
        HTTPException: the form is damaged (400), or has no file or too many files (422).
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        return [SentFile(None, body)]

    reservation.add(len(body))

    async def stream() -> "AsyncIterator[bytes]":
        yield body

    parser = _InMemoryParser(
        request.headers,
        stream(),  # type: ignore[arg-type]  # an iterator suffices
        max_files=MAX_PHOTOS,
        max_fields=MAX_PHOTOS,
        max_part_size=_LARGEST_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"expected a form of at most {MAX_PHOTOS} files: {error.message}") from None
    try:
        files = [file for _, file in form.multi_items() if not isinstance(file, str)]
        found = [SentFile(file.filename or None, await file.read()) for file in files]
    finally:
        await form.close()
    if not found:
        raise HTTPException(422, "expected photos as files of the form, found none: curl -F photos=@photo.jpg")
    return found
