"""Routes of the Open Inference Protocol (KServe V2)."""

import asyncio
import time
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from roadclear.deploy.serve.answers import Answer
from roadclear.deploy.serve.bodies import read_body
from roadclear.deploy.serve.probes import add_probes
from roadclear.deploy.serve.protocol import (
    HEADER,
    InferRequest,
    ProtocolError,
    read_request,
    tensors,
    write_response,
)
from roadclear.deploy.serve.schema import (
    BINARY,
    BODY_ERRORS,
    GUARDED,
    INFER,
    ErrorBody,
    MetadataBody,
    ModelReadyBody,
    ServerBody,
)
from roadclear.deploy.serve.service import Service
from roadclear.deploy.serve.settings import MODEL_VERSION
from roadclear.errors import PhotoError

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody, "description": "No such model or version."}}
_TAGS = ["Open Inference Protocol"]
_SMALL_JSON = 65_536
_large_json = asyncio.Semaphore(1)


def routes(service: Service) -> APIRouter:
    """Make the routes below /v2."""
    router = APIRouter(tags=list(_TAGS), responses=GUARDED)
    _server_routes(router, service)
    _model_routes(router, service)
    _infer_routes(router, service)
    return router


def _server_routes(router: APIRouter, service: Service) -> None:
    @router.get("/v2", response_model=ServerBody, summary="Server metadata")
    async def server() -> dict[str, Any]:
        return {"name": "roadclear", "version": version("roadclear"), "extensions": ["binary_tensor_data"]}

    add_probes(router, service, "/v2/health/live", "/v2/health/ready")


def _model_routes(router: APIRouter, service: Service) -> None:
    @router.get(_VERSION, response_model=MetadataBody, response_model_exclude_none=True, responses=_UNKNOWN)
    @router.get(_MODEL, response_model=MetadataBody, response_model_exclude_none=True, responses=_UNKNOWN)
    async def metadata(name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
        """Names, types and shapes of the tensors."""
        _check_name(service, name, version)
        described = tensors(service.answerer.facts.size)
        return {"name": name, "versions": [MODEL_VERSION], "platform": "roadclear_onnx", **described}

    @router.get(_VERSION + "/ready", response_model=ModelReadyBody, responses=_UNKNOWN)
    @router.get(_MODEL + "/ready", response_model=ModelReadyBody, responses=_UNKNOWN)
    async def model_ready(name: str, version: str = MODEL_VERSION) -> dict[str, Any]:
        """The model is ready from the start of the server to its end."""
        _check_name(service, name, version)
        return {"name": name, "ready": True}


def _infer_routes(router: APIRouter, service: Service) -> None:
    extra = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": INFER}, "application/octet-stream": {"schema": BINARY}},
        }
    }
    responses: dict[int | str, dict[str, Any]] = {
        200: {"content": {"application/json": {}, "application/octet-stream": {"schema": BINARY}}},
        **_UNKNOWN,
        **BODY_ERRORS,
        422: {"model": ErrorBody, "description": "A photo cannot be used."},
    }

    @router.post(_VERSION + "/infer", responses=responses, openapi_extra=extra)
    @router.post(_MODEL + "/infer", responses=responses, openapi_extra=extra)
    async def infer(request: Request, name: str, version: str = MODEL_VERSION) -> Response:
        """Answer a tensor of pixels (UINT8), or of image files (BYTES: binary, or base64 in JSON).

        Outputs that are not named are all sent, and in binary form with the parameter `binary_data_output`. `logit`,
        `heatmap` and `offset` take a second run of the model.
        """
        deadline = service.deadline()
        _check_name(service, name, version)
        answerer = service.answerer
        size = answerer.facts.size
        with service.bodies.reserve() as reservation:
            body = await read_body(request, reservation, deadline - time.monotonic())
            asked = await _read(body, _header_bytes(request), size)
            del body
            answers = await service.answer(answerer, asked.photos, deadline, asked.explains)
        model = {"model_name": name, "model_version": MODEL_VERSION}
        found, json_bytes = write_response(asked, _all_answers(answers), model, size)
        if json_bytes is None:
            return Response(found, media_type="application/json")
        return Response(found, media_type="application/octet-stream", headers={HEADER: str(json_bytes)})


async def _read(body: bytes, header_bytes: int | None, size: int) -> InferRequest:
    """Read a request. Large JSON is read in a thread, one request after the other, because it takes much memory.

    Raises:
        HTTPException: the request breaks the protocol (400).
    """
    try:
        if (len(body) if header_bytes is None else header_bytes) <= _SMALL_JSON:
            return read_request(body, header_bytes, size)
        async with _large_json:
            return await run_in_threadpool(read_request, body, header_bytes, size)
    except ProtocolError as error:
        raise HTTPException(400, str(error)) from None


def _check_name(service: Service, name: str, version: str) -> None:
    if name != service.settings.name or version != MODEL_VERSION:
        raise HTTPException(404, f"expected the model {service.settings.name!r} in version {MODEL_VERSION}")


def _header_bytes(request: Request) -> int | None:
    """Read the header with the number of bytes of JSON; None where there is none."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise HTTPException(400, f"expected a whole number as {HEADER}")
    return int(text)


def _all_answers(answers: list[Answer | PhotoError]) -> list[Answer]:
    """Refuse the request where one photo cannot be used: the protocol knows no error for a single element.

    Raises:
        HTTPException: a photo cannot be used (422).
    """
    for place, answer in enumerate(answers):
        if isinstance(answer, PhotoError):
            raise HTTPException(422, f"photo {place}: {answer.reason}")
    return [answer for answer in answers if isinstance(answer, Answer)]
