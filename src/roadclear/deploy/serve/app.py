"""The FastAPI application: its routes, who may ask, and how errors are answered."""

import time
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadclear.deploy.serve import predict, probes, v2
from roadclear.deploy.serve.guard import OPEN, Access, Guard
from roadclear.deploy.serve.page import Page
from roadclear.deploy.serve.service import Service
from roadclear.deploy.serve.work_queue import DeadlineError, QueueFullError
from roadclear.errors import RoadclearError
from roadclear.utils.text import printable

_ABOUT = """Answers to photos by one model with two labels.

Errors have one shape: `{"error": "..."}`. The status 503 comes with `Retry-After`, in seconds: try again then.
The status 504 says that the deadline passed: the photo is not to blame, and may be sent again."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def create_app(service: Service, access: Access, page: Page) -> ASGIApp:
    """Make the application.

    Args:
        service: what answers photos.
        access: who may ask.
        page: page for browsers.
    """
    app = FastAPI(
        title="roadclear",
        version=version("roadclear"),
        description=_ABOUT,
        docs_url=None,  # its scripts would come from another host
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name what the client sent as the host, and loses bodies
    )
    for routes in (predict.routes(service), probes.routes(service), page.routes(service), v2.routes(service)):
        app.include_router(routes)
    _answer_errors(app)
    if access.key is not None:
        _name_the_key(app)
    guarded: ASGIApp = Guard(app, access)
    if access.origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=access.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "x-api-key", "content-type", "inference-header-content-length"],
            expose_headers=["retry-after", "inference-header-content-length"],
        )
    return Measured(guarded, service)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error as JSON of one shape, without a path and without a traceback."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        reason = str(error.detail)
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            reason = f"expected the method {allowed} here, found {printable(request.method)}"
        elif error.status_code == 404 and "route" not in request.scope:
            reason = "there is nothing at this address: /openapi.json lists the addresses"
        return JSONResponse({"error": reason}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        places = {" ".join(map(str, one["loc"])): one["msg"] for one in error.errors()}
        return JSONResponse({"error": printable("; ".join(f"{place}: {why}" for place, why in places.items()))}, 422)

    @app.exception_handler(QueueFullError)
    async def full(_: Request, error: QueueFullError) -> JSONResponse:
        return JSONResponse({"error": "too many photos wait: try again"}, 503, {"Retry-After": str(error.retry_after)})

    @app.exception_handler(DeadlineError)
    async def late(_: Request, error: DeadlineError) -> JSONResponse:
        return JSONResponse({"error": "the deadline passed before the answer: try again"}, 504)

    @app.exception_handler(RoadclearError)
    async def broken(_: Request, error: RoadclearError) -> JSONResponse:
        return JSONResponse({"error": "the model cannot answer: train it again"}, 500)

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed: its log has the reason"}, 500)


def _name_the_key(app: FastAPI) -> None:
    """Say in the OpenAPI document how the key is sent."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any user name, and the key as the password."},
    }
    document["security"] = [{"bearer": []}, {"header": []}, {"basic": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []


class Measured:
    """ASGI application that counts the requests of another one, and adds headers to its answers.

    HEAD is answered as GET. The server in front leaves out the body of an answer to HEAD.

    Args:
        app: application that answers.
        service: where requests are counted.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count the request at the end of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, count)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._service.metrics.count_request(route, status, time.perf_counter() - started)
