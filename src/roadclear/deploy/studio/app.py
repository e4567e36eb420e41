"""The FastAPI application: what the page may ask for.

Photos are named by words that stand for their paths, because file names may have any bytes. Every change answers with
the number of the listing that has the change.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from roadclear.data.archive import unpack
from roadclear.data.discovery import find_photos
from roadclear.deploy.serve.bodies import BodyLimits, read_body
from roadclear.deploy.serve.guard import Guard, make_access
from roadclear.deploy.studio.follower import Follower
from roadclear.deploy.studio.frames import EQUAL, SHARP, FrameSieve
from roadclear.deploy.studio.guard import SameSite
from roadclear.deploy.studio.hub import Hub
from roadclear.deploy.studio.jobs import Job, Wish, collect_photos
from roadclear.deploy.studio.library import Library, Listing, photo_id
from roadclear.deploy.studio.numbers import evidence_values
from roadclear.deploy.studio.pictures import SIDES, Pictures
from roadclear.deploy.studio.ports import Edited, Editor, Exporter, TakenAway, Trainer
from roadclear.deploy.studio.trying import Trying
from roadclear.errors import OptionError, PhotoError, RoadclearError
from roadclear.images.limits import MAX_FILE_BYTES
from roadclear.utils.progress import ProgressCallback
from roadclear.utils.text import printable

LARGEST_ARCHIVE = 4_000_000_000
"""Largest ZIP archive that the page may send, in bytes."""

_BODY_S = 600.0
_FRAME_BYTES = 5_000_000
_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "studio.css": ("studio.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_NEVER = {"Cache-Control": "no-store"}
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(eq=False)
class Studio:
    """Everything behind the page.

    Attributes:
        editor: changes to the folder.
        trainer: training that follows the folder.
        exporter: maker of what is taken away.
        allow_private: whether collecting may ask hosts of the private network, for tests.
    """

    editor: Editor
    trainer: Trainer
    exporter: Exporter
    allow_private: bool = False
    hub: Hub = field(default_factory=Hub)
    pictures: Pictures = field(default_factory=Pictures)
    taken: TakenAway | None = None

    def __post_init__(self) -> None:
        self.library = Library(self.editor.folder, lambda: self.editor.labels)
        self.follower = Follower(self.library, self.trainer, self.hub)
        self.trying = Trying(self.library, self.trainer)
        self.collecting, self.exporting = Job("collect", self.hub), Job("export", self.hub)
        self.sieves: dict[str, FrameSieve] = {}
        self.limits = BodyLimits(MAX_FILE_BYTES)
        self.lock = threading.Lock()

    def look(self) -> Listing:
        """List the folder as it is now, and tell every page of what has changed."""
        before = self.library.listing.version
        listing = self.library.refresh()
        if listing.version != before:
            self.hub.publish("photos", version=listing.version)
        return listing

    def changed(self) -> int:
        """Look at the folder, tell every page, and train. Return the number of the listing."""
        version = self.look().version
        self.follower.changed()
        return version

    def export(self, progress: ProgressCallback) -> dict[str, Any]:
        """Take the model away, and remember what may be downloaded."""
        self.taken = self.exporter(progress)
        return taken_values(self.taken)


def create_app(studio: Studio) -> FastAPI:
    """Make the application. The follower runs from its start to its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        studio.library.refresh()
        studio.follower.start()
        yield
        studio.hub.close()
        await run_in_threadpool(studio.follower.stop)

    app = FastAPI(title="roadclear studio", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.include_router(_page())
    for part in (_photos, _changes, _uploads, _answers, _jobs):
        app.include_router(part(studio), prefix="/api")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RoadclearError)
    async def failed(_: Request, error: RoadclearError) -> JSONResponse:
        return JSONResponse(
            {"error": printable(str(error))}, 422 if isinstance(error, OptionError | PhotoError) else 409
        )

    app.add_middleware(Guard, access=make_access("127.0.0.1", None))
    app.add_middleware(SameSite)
    return app


def _page() -> APIRouter:
    router = APIRouter()
    static = resources.files("roadclear.deploy.studio").joinpath("static")
    files = _FILES | {
        entry.name: (entry.name, "text/javascript; charset=utf-8")
        for entry in static.iterdir()
        if entry.name.endswith(".js")
    }

    @router.get("/{name}")
    def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such page")
        inside, kind = files[name]
        return Response(static.joinpath(inside).read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})

    @router.get("/")
    def page() -> Response:
        return file("")

    return router


def _photos(studio: Studio) -> APIRouter:
    router = APIRouter()

    @router.get("/photos")
    def photos() -> JSONResponse:
        listing = studio.look()
        labels = studio.editor.labels
        rows = [
            (name, printable(photo.file), labels.index(photo.label), stamp)
            for name, photo, stamp in zip(listing.ids, listing.dataset.photos, listing.stamps, strict=True)
        ]
        return JSONResponse(
            {
                "version": listing.version,
                "folder": printable(str(studio.editor.folder)),
                "labels": labels,
                "photos": rows,
                "undo": studio.editor.undoable(),
                "command": studio.exporter.command,
            },
            headers=_NEVER,
        )

    @router.get("/pictures/{name}")
    def picture(name: str, size: str = "small", stamp: str = "") -> Response:
        photo = studio.library.photo(name)
        if photo is None or size not in SIDES:
            raise HTTPException(404, "there is no such photo")
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(studio.pictures.get(photo.path, stamp, size), media_type="image/jpeg", headers=headers)

    @router.get("/maps/{name}")
    def evidence(name: str) -> JSONResponse:
        photo = studio.library.photo(name)
        found = studio.trainer.evidence(photo.file) if photo is not None else None
        if found is None:
            raise HTTPException(404, "there is no map of this photo yet")
        return JSONResponse(evidence_values(found), headers=_NEVER)

    @router.get("/numbers")
    def numbers() -> JSONResponse:
        return JSONResponse(studio.follower.known.numbers, headers=_NEVER)

    @router.get("/tasks")
    def tasks() -> JSONResponse:
        return JSONResponse(studio.follower.task_list(), headers=_NEVER)

    @router.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(studio.hub.events(), media_type="text/event-stream", headers=_NEVER)

    return router


Names = Annotated[list[str], Body(embed=True)]
Word = Annotated[str, Body(embed=True)]


def _changes(studio: Studio) -> APIRouter:
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


def _uploads(studio: Studio) -> APIRouter:
    router = APIRouter()

    def check(label: str) -> None:
        if label not in studio.editor.labels:
            raise HTTPException(404, "there is no such label")

    @router.post("/photos")
    async def add(
        request: Request, label: str, name: str, step: Annotated[str, Query(max_length=80)] = ""
    ) -> dict[str, Any]:
        check(label)
        with studio.limits.reserve() as reservation:
            data = await read_body(request, reservation, _BODY_S)
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


def _answers(studio: Studio) -> APIRouter:
    router = APIRouter()

    @router.post("/try")
    async def answer(request: Request) -> dict[str, Any]:
        with studio.limits.reserve() as reservation:
            data = await read_body(request, reservation, _BODY_S)
            return await run_in_threadpool(studio.trying.answer, data)

    return router


def _jobs(studio: Studio) -> APIRouter:
    router = APIRouter()

    def started(job: Job, work: Callable[[ProgressCallback], Mapping[str, Any]]) -> dict[str, bool]:
        if not job.start(work):
            raise HTTPException(409, "this is under way already: wait until it is done")
        return {"started": True}

    @router.post("/collect")
    def collect(
        phrases: Annotated[tuple[str, str], Body()],
        per_label: Annotated[int, Body(ge=1, le=2000)],
        contact: Annotated[str, Body()],
    ) -> dict[str, bool]:
        if not all(phrase.strip() for phrase in phrases):
            raise HTTPException(422, "expected a phrase for each label: say what its photos show")
        wish = Wish((phrases[0].strip(), phrases[1].strip()), per_label, contact.strip(), studio.allow_private)
        folder, labels = studio.editor.folder, studio.editor.labels
        return started(
            studio.collecting, lambda progress: collect_photos(folder, labels, wish, studio.follower.changed, progress)
        )

    @router.post("/collect/stop")
    def stop() -> dict[str, bool]:
        studio.collecting.stop()
        return {"stopped": True}

    @router.post("/export")
    def export() -> dict[str, bool]:
        return started(studio.exporting, studio.export)

    @router.get("/taken/{name}")
    def taken(name: str) -> Response:
        path = studio.taken.files.get(name) if studio.taken is not None else None
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no such file: export again")
        if name == "report.html":
            headers = {"Content-Security-Policy": _REPORT_POLICY}
            return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(path.read_bytes(), media_type="application/octet-stream", headers=headers)

    return router


def taken_values(taken: TakenAway) -> dict[str, Any]:
    """Convert what was taken away to plain values."""
    return {
        "folder": printable(str(taken.folder)),
        "commands": [printable(command) for command in taken.commands],
        "files": {name: path.stat().st_size for name, path in taken.files.items()},
        "refused": taken.refused,
    }


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
