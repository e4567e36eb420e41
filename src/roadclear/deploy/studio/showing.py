"""What the page shows: photos, pictures, maps, numbers, photos to decide on, and news of all of them."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from roadclear.deploy.studio.behind import Studio
from roadclear.deploy.studio.library import shown_name
from roadclear.deploy.studio.numbers import evidence_values
from roadclear.deploy.studio.pictures import SIDES
from roadclear.utils.text import printable

_NEVER = {"Cache-Control": "no-store"}
_UNLABELLED = -1


def showing(studio: Studio) -> APIRouter:
    """Make the addresses that show something."""
    router = APIRouter()

    @router.get("/photos")
    def photos() -> JSONResponse:
        listing = studio.look()
        labels = studio.editor.labels
        places = {label: place for place, label in enumerate(labels)}
        rows = [
            (name, shown_name(photo.file, photo.label), places.get(photo.label, _UNLABELLED), stamp)
            for name, photo, stamp in zip(listing.ids, listing.photos, listing.stamps, strict=True)
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
