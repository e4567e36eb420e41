"""Ray Serve application: the server's own application in each of several replicas, on the machines of a Ray cluster.

    serve run roadclear.deploy.serve.ray_app:build run=/models/first replicas=2

The proxies of Ray Serve take requests and choose a replica. A replica is the application of `roadclear serve`: it
counts bodies, checks the key, and holds the queue. A replica that dies or fails its health check is replaced.

Where the proxies listen is a setting of the cluster, which the application does not know. So without a key the guard
refuses every request that came in at an address which other machines can reach.
"""

import asyncio
import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from roadclear.deploy.serve.guard import make_access
from roadclear.deploy.serve.server import GRACE_S, ServeJob, answering, check_installed
from roadclear.deploy.serve.settings import ServeSettings
from roadclear.errors import EngineError, OptionError
from roadclear.model.predictor import STOCK, load
from roadclear.utils.threads import limit_cores

if TYPE_CHECKING:
    from starlette.types import ASGIApp

KEY_VARIABLE = "ROADCLEAR_API_KEY"
"""Environment variable with the key. Arguments of the command line are shown by the list of processes."""

_HA_PROXY = "RAY_SERVE_ENABLE_HA_PROXY"
_ATTEMPTS = 3
"""Attempts to start a replica. A model that cannot be used is reported after so many, not after Ray's usual 20."""

_MOST_REQUESTS = 1000
_RETRY_AFTER_S = 1.0
_HEALTH_PAUSE_S, _HEALTH_WAIT_S = 5.0, 10.0
"""Pause between two questions for the health of a replica, and patience with its answer. Ray's are 10 and 30.

A replica is replaced after three questions without an answer. Until then, requests wait for a frozen replica.
"""


class Arguments(BaseModel):
    """Arguments of `build`, as the command line and the configuration file of Ray Serve give them.

    Attributes:
        run: run folder or model file, at the same path on every machine; or "stock".
        replicas: number of replicas.
        cores: cores of each replica.
        engine: "openvino" or "onnxruntime".
        queue: largest number of photos that wait at a replica, and of requests that wait at a proxy.
        deadline: seconds from the head of a request at a replica to the answer.
        max_body: largest body of a request, in MB.
        name: name of the model under /v2/models.
        allow_hosts: host names that requests may name, separated by commas.
        allow_origins: origins of foreign pages that may ask, separated by commas.
        runtime: folder with onnxruntime-web on every machine; None for a page that answers through the server alone.
    """

    model_config = ConfigDict(extra="forbid")

    run: str = STOCK
    replicas: int = 1
    cores: int = 1
    engine: str = "openvino"
    queue: int = ServeSettings.queue
    deadline: float = ServeSettings.deadline
    max_body: float = ServeSettings.max_body
    name: str = ServeSettings.name
    allow_hosts: str = ""
    allow_origins: str = ""
    runtime: str | None = None


class Replica:
    """Application of the server in a process of Ray Serve.

    Args:
        job: what to serve, and to whom.
        cores: cores to use.

    Raises:
        OptionError, ModelFileError, EngineError: see `roadclear.deploy.serve.server.serve`.
    """

    def __init__(self, job: ServeJob, cores: int) -> None:
        self._ends = ExitStack()
        _check_proxies(job)
        limit_cores(cores)
        access = make_access(job.settings.host, job.key, job.hosts, job.origins)
        log = logging.getLogger("ray.serve")
        self._app, self._service = self._ends.enter_context(answering(job, access, log.info))

    def __serve_build_asgi_app__(self) -> "ASGIApp":
        """Hand the application to Ray Serve."""
        return self._app

    async def check_health(self) -> None:
        """Answer a grey photo. Ray Serve asks again and again, and replaces a replica that raises or hangs.

        Raises:
            ModelFileError, EngineError: the model gives no number, or cannot be run.
        """
        await asyncio.to_thread(self._service.answerer.warm_up)

    def __del__(self) -> None:
        """End the threads. Ray Serve calls this after the requests in flight."""
        self._ends.close()


def build(arguments: Arguments) -> Any:
    """Build the application, for `serve run`, `serve build` and `ray.serve.run`.

    The key is taken from ROADCLEAR_API_KEY where this function runs, and sent to the replicas.

    Args:
        arguments: what to serve, and how often.

    Raises:
        OptionError: an argument is wrong.
        ModelFileError: there is no model, or not one of ours.
        EngineError: a package is missing.

    Returns:
        Application of Ray Serve.
    """
    check_installed()
    job = make_job(arguments, os.environ.get(KEY_VARIABLE))
    load(job.model, job.engine)  # what cannot be used is said here, and not in the log of a replica
    serve = _import_serve()
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="roadclear",
        num_replicas=arguments.replicas,
        ray_actor_options={"num_cpus": arguments.cores},
        # A body is read by its replica at once, and counted. Serve's proxies do not bound what they hold.
        max_ongoing_requests=_MOST_REQUESTS,
        max_queued_requests=job.settings.queue,
        backpressure_config={"status_code": 503, "retry_after_s": _RETRY_AFTER_S},
        health_check_period_s=_HEALTH_PAUSE_S,
        health_check_timeout_s=_HEALTH_WAIT_S,
        graceful_shutdown_timeout_s=job.settings.deadline + GRACE_S,
        max_constructor_retry_count=_ATTEMPTS,
    )
    return deployment.bind(job, arguments.cores)


def make_job(arguments: Arguments, key: str | None) -> ServeJob:
    """Check the arguments, and say what each replica serves.

    Args:
        arguments: arguments of `build`.
        key: key that requests must send; None for no key.

    Raises:
        OptionError: an argument is wrong, or the proxies of this cluster demand a key.
    """
    for name in ("replicas", "cores"):
        if getattr(arguments, name) < 1:
            raise OptionError(f"{name} must be at least 1, got {getattr(arguments, name)}")
    settings = ServeSettings(
        host="127.0.0.1" if key is None else "0.0.0.0",  # noqa: S104, with a key any host may be named
        queue=arguments.queue,
        deadline=arguments.deadline,
        max_body=arguments.max_body,
        name=arguments.name,
    )
    job = ServeJob(
        model=arguments.run if arguments.run == STOCK else str(Path(arguments.run).absolute()),
        settings=settings,
        engine=arguments.engine,
        key=key,
        hosts=_words(arguments.allow_hosts),
        origins=_words(arguments.allow_origins),
        runtime=None if arguments.runtime is None else Path(arguments.runtime).absolute(),
    )
    make_access(settings.host, job.key, job.hosts, job.origins)
    _check_proxies(job)
    return job


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _check_proxies(job: ServeJob) -> None:
    """Demand a key where HAProxy stands before the replicas.

    HAProxy listens at all addresses, and may reach a replica by loopback. Then the guard cannot tell who asks.
    """
    if job.key is None and os.environ.get(_HA_PROXY) == "1":
        raise OptionError(f"expected a key where {_HA_PROXY}=1 opens all addresses, found none: set {KEY_VARIABLE}")


def _import_serve() -> Any:
    """Import Ray Serve, without Ray's usage statistics.

    Raises:
        EngineError: Ray Serve is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        from ray import serve
    except ImportError as error:
        raise EngineError(
            "a cluster needs the extras ray and serve: run `pip install 'roadclear[ray,serve]'`"
        ) from error
    return serve
