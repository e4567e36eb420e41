"""What the page starts: answers to photos, collecting from the web, and the export."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from roadclear.deploy.serve.bodies import read_body
from roadclear.deploy.studio.behind import Studio
from roadclear.deploy.studio.changing import BODY_S
from roadclear.deploy.studio.jobs import Job, Wish, collect_photos
from roadclear.utils.progress import ProgressCallback

_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def answering(studio: Studio) -> APIRouter:
    """Make the address that answers a photo."""
    router = APIRouter()

    @router.post("/try")
    async def answer(request: Request) -> dict[str, Any]:
        with studio.limits.reserve() as reservation:
            data = await read_body(request, reservation, BODY_S)
            return await run_in_threadpool(studio.trying.answer, data)

    return router


def working(studio: Studio) -> APIRouter:
    """Make the addresses that start work, stop it, and hand out what was made."""
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
