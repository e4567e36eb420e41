"""Route of the plain way: photos in, answers out."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from roadclear.deploy.serve.answers import Answer, answer_values, model_values
from roadclear.deploy.serve.bodies import SentFile, read_body, read_files
from roadclear.deploy.serve.schema import BINARY, BODY_ERRORS, GUARDED, MULTIPART, ErrorBody, PredictBody
from roadclear.deploy.serve.service import Service
from roadclear.errors import PhotoError
from roadclear.model.metadata import ModelFacts
from roadclear.utils.text import printable

_CONTENT = {
    "multipart/form-data": {"schema": MULTIPART},
    "application/octet-stream": {"schema": BINARY},
    "image/*": {"schema": BINARY},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **GUARDED,
    **BODY_ERRORS,
    422: {"model": PredictBody | ErrorBody, "description": "No photo can be used; each has its reason."},
}


def routes(service: Service) -> APIRouter:
    """Make the route."""
    router = APIRouter()

    @router.post(
        "/predict",
        response_model=PredictBody,
        response_model_exclude_none=True,
        summary="Answer photos",
        responses=_RESPONSES,
        openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
    )
    async def predict(
        request: Request,
        with_map: Annotated[bool, Query(alias="map", description="Whether to say what each place adds.")] = False,
    ) -> Response:
        """Send one photo as the body, or up to 64 photos as files of a form.

        The content decides how a photo is read; names and types do not. A photo that cannot be used has `error` in the
        place of an answer, and the others are answered.
        """
        deadline = service.deadline()
        answerer = service.answerer
        with service.bodies.reserve() as reservation:
            body = await read_body(request, reservation, deadline - time.monotonic())
            files = await read_files(request, reservation, body)
            del body
            answers = await service.answer(answerer, [file.data for file in files], deadline, with_map)
        photos = [_values(*pair, answerer.facts) for pair in zip(files, answers, strict=True)]
        status = 422 if all("error" in photo for photo in photos) else 200
        return JSONResponse({"model": model_values(answerer), "photos": photos}, status)

    return router


def _values(file: SentFile, answer: Answer | PhotoError, facts: ModelFacts) -> dict[str, Any]:
    """Write the answer to a file as plain values."""
    name = {} if file.name is None else {"name": printable(file.name)}
    if isinstance(answer, PhotoError):
        return {**name, "error": answer.reason}
    return {**name, **answer_values(answer, facts)}
