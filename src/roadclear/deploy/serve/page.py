"""The page of `export --to web`, served: answers come from the server, or from the model in the browser."""

import hashlib
import re

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from roadclear.deploy.export.web.build import build_served_page
from roadclear.deploy.export.web.runtime import Runtime
from roadclear.deploy.serve.answers import Answerer
from roadclear.deploy.serve.schema import GUARDED
from roadclear.deploy.serve.service import Service

_JAVASCRIPT, _WASM, _BYTES = "text/javascript", "application/wasm", "application/octet-stream"
_KEPT = "private, max-age=31536000, immutable"


class Page:
    """Page for browsers, with the parts that answer in the browser where there is a runtime.

    Args:
        runtime: runtime for the browser; None for a page that answers through the server alone.
    """

    def __init__(self, runtime: Runtime | None) -> None:
        self._runtime = runtime
        self._built: tuple[str, bytes] | None = None

    def routes(self, service: Service) -> APIRouter:
        """Make the routes of the page and its parts."""
        router = APIRouter()

        @router.get("/", response_class=HTMLResponse, summary="The page", responses=GUARDED)
        async def index(request: Request) -> Response:
            """A page for browsers: photos or a camera in, answers and maps out."""
            page = self._build(service.answerer)
            tag = f'"{hashlib.sha256(page).hexdigest()}"'
            headers = {"ETag": tag, "Cache-Control": "no-cache"}
            if tag in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
                return Response(None, 304, headers)
            return HTMLResponse(page, headers=headers)

        @router.get("/page/{sha256}/{part}", include_in_schema=False)
        async def part(sha256: str, part: str) -> Response:
            answerer = service.answerer
            found = self._parts(answerer).get(part)
            if found is None or sha256 != answerer.sha256:
                raise HTTPException(404, "no such part of the page, or of another model")
            return Response(found[0], media_type=found[1], headers={"Cache-Control": _KEPT})

        return router

    def _build(self, answerer: Answerer) -> bytes:
        """Render the page, once a model."""
        if self._built is None or self._built[0] != answerer.sha256:
            parts = self._parts(answerer)
            size = sum(len(data) for data, _ in parts.values()) / 1e6 if parts else None
            self._built = answerer.sha256, build_served_page(answerer.facts, answerer.sha256, size)
        return self._built[1]

    def _parts(self, answerer: Answerer) -> dict[str, tuple[bytes, str]]:
        if self._runtime is None:
            return {}
        return {
            "model": (answerer.model.data, _BYTES),
            "ort": (self._runtime.script, _JAVASCRIPT),
            "wasm": (self._runtime.wasm, _WASM),
        }
