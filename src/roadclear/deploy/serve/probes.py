"""Routes for probes, load balancers and Prometheus."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from roadclear.deploy.serve.metrics import CONTENT_TYPE
from roadclear.deploy.serve.schema import GUARDED, LiveBody, ReadyBody
from roadclear.deploy.serve.service import Service


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/healthz", response_model=LiveBody, summary="Whether the server runs")
    async def healthz() -> dict[str, bool]:
        """For probes. Needs no key."""
        return {"live": True}

    @router.get(
        "/readyz",
        response_model=ReadyBody,
        summary="Whether there is room for a photo",
        responses={503: {"model": ReadyBody, "description": "The queue is full."}},
    )
    async def readyz() -> JSONResponse:
        """For load balancers. Needs no key."""
        ready = not service.queue.is_full
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **GUARDED},
    )
    async def metrics() -> Response:
        """Answers, requests, latency, queue, unfamiliar photos and drift."""
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})

    return router
