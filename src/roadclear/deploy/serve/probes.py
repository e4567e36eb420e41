"""Routes for probes, load balancers and Prometheus."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from roadclear.deploy.serve.metrics import CONTENT_TYPE
from roadclear.deploy.serve.schema import GUARDED, LiveBody, ReadyBody
from roadclear.deploy.serve.service import Service


def add_probes(router: APIRouter, service: Service, live_path: str, ready_path: str) -> None:
    """Add two routes: whether the server runs, and whether there is room for a photo."""

    @router.get(live_path, response_model=LiveBody, summary="Whether the server runs")
    async def live() -> dict[str, bool]:
        """For probes. Needs no key."""
        return {"live": True}

    @router.get(
        ready_path,
        response_model=ReadyBody,
        summary="Whether there is room for a photo",
        responses={503: {"model": ReadyBody, "description": "The queue is full."}},
    )
    async def ready() -> JSONResponse:
        """For load balancers. Needs no key."""
        there = not service.queue.is_full
        return JSONResponse({"ready": there}, 200 if there else 503)


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    add_probes(router, service, "/healthz", "/readyz")

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
