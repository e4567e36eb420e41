"""The FastAPI application: the files of the page, and what the page may ask for.

Photos are named by words that stand for their paths, because file names may have any bytes. Every change answers with
the number of the listing that has the change.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from roadclear.deploy.serve.guard import Guard, make_access
from roadclear.deploy.studio.behind import Studio
from roadclear.deploy.studio.changing import adding, changing
from roadclear.deploy.studio.guard import SameSite
from roadclear.deploy.studio.showing import showing
from roadclear.deploy.studio.working import answering, working
from roadclear.errors import OptionError, PhotoError, RoadclearError
from roadclear.utils.text import printable

_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "studio.css": ("studio.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


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
    for part in (showing, changing, adding, answering, working):
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
