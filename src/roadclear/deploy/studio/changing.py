"""What the page changes: photos get other labels, are set aside, come back, and come in."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from roadclear.data.archive import unpack
from roadclear.data.discovery import find_photos
from roadclear.deploy.serve.bodies import read_body
from roadclear.deploy.studio.behind import Studio
from roadclear.deploy.studio.frames import EQUAL, SHARP, FrameSieve
from roadclear.deploy.studio.library import photo_id
from roadclear.deploy.studio.ports import Edited
from roadclear.utils.text import printable

BODY_S = 600.0
"""Longest time in which a photo may arrive, in seconds."""

LARGEST_ARCHIVE = 4_000_000_000
"""Largest ZIP archive that the page may send, in bytes."""

_FRAME_BYTES = 5_000_000

Names = Annotated[list[str], Body(embed=True)]
Word = Annotated[str, Body(embed=True)]


def changing(studio: Studio) -> APIRouter:
    """Make the addresses that change photos which are there."""
    router = APIRouter()

    def done(edited: Edited | None, gone: int = 0) -> dict[str, Any]:
        version = studio.changed()
        files: Sequence[str] = edited.files if edited is not None else ()
        left = [{"file": printable(one.file), "why": one.why} for one in edited.left] if edited is not None else []
        return {"version": version, "changed": [photo_id(file) for file in files], "left": left, "gone": gone}

    @router.post("/move")
    def move(photos: Names, label: Word) -> dict[str, Any]:
        with studio.library.changing:
            files, gone = studio.library.files(photos)
            return done(studio.editor.relabel(files, label), gone)

    @router.post("/set-aside")
    def set_aside(photos: Names) -> dict[str, Any]:
        with studio.library.changing:
            files, gone = studio.library.files(photos)
            return done(studio.editor.set_aside(files), gone)

    @router.post("/undo")
    def undo() -> dict[str, Any]:
        with studio.library.changing:
            return done(studio.editor.undo())

    @router.post("/keep")
    def keep(photo: Word, reason: Word) -> dict[str, Any]:
        files, gone = studio.library.files([photo])
        for file in files:
            studio.follower.keep(file, reason)
        return {"gone": gone}

    @router.post("/labels")
    def rename(labels: Annotated[tuple[str, str], Body(embed=True)]) -> dict[str, Any]:
        with studio.library.changing:
            studio.editor.rename((labels[0].strip(), labels[1].strip()))
            return done(None)

    return router


def adding(studio: Studio) -> APIRouter:
    """Make the addresses that take new photos. The label "" is for unlabelled photos."""
    router = APIRouter()

    def check(label: str) -> None:
        if label not in ("", *studio.editor.labels):
            raise HTTPException(404, "there is no such label")

    @router.post("/photos")
    async def add(
        request: Request, label: str, name: str, step: Annotated[str, Query(max_length=80)] = ""
    ) -> dict[str, Any]:
        check(label)
        with studio.limits.reserve() as reservation:
            data = await read_body(request, reservation, BODY_S)
            if not data:
                raise HTTPException(422, "the file is empty")
            file = await run_in_threadpool(studio.editor.add, label, name, data, step)
        studio.follower.changed()
        return {"added": int(file is not None), "known": int(file is None)}

    @router.post("/archives")
    async def archive(request: Request, label: str, step: Annotated[str, Query(max_length=80)] = "") -> dict[str, Any]:
        check(label)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photos.zip"
            await _write_body(request, path)
            counts = await run_in_threadpool(_add_archive, studio, label, path, step)
        studio.follower.changed()
        return counts

    @router.post("/frames")
    async def frame(request: Request, label: str, step: Annotated[str, Query(max_length=80)]) -> dict[str, Any]:
        check(label)
        data = await _frame_body(request)
        with studio.lock:
            sieve = studio.sieves.setdefault(step, FrameSieve())
            verdict = sieve.offer(data)
        if verdict == SHARP:
            name = f"camera-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1_000_000 % 1000:03d}.jpg"
            file = await run_in_threadpool(studio.editor.add, label, name, data, step)
            verdict = SHARP if file is not None else EQUAL
            studio.follower.changed()
        return {"verdict": verdict}

    return router


async def _frame_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FRAME_BYTES:
            raise HTTPException(413, "expected a frame of at most 5 MB, found a larger one")
    return bytes(body)


async def _write_body(request: Request, path: Path) -> None:
    written = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            written += len(chunk)
            if written > LARGEST_ARCHIVE:
                raise HTTPException(413, "expected an archive of at most 4 GB, found a larger one: make several")
            file.write(chunk)


def _add_archive(studio: Studio, label: str, path: Path, step: str) -> dict[str, Any]:
    folder = unpack(path)
    try:
        files = [studio.editor.add(label, photo.name, photo.read_bytes(), step) for photo in find_photos([folder])]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"added": len(files) - files.count(None), "known": files.count(None)}
