"""Server: the application on a socket, until a signal ends it."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from roadclear.deploy.serve.settings import ServeSettings
from roadclear.errors import EngineError, OptionError, RoadclearError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from roadclear.deploy.serve.guard import Access
    from roadclear.deploy.serve.service import Service

GRACE_S = 5.0
"""Seconds beyond the deadline after which the server ends although requests are in flight."""

_IDLE_S = 65
"""Seconds for which an idle connection is kept: longer than the 60 seconds that proxies keep theirs."""

_HEADER_BYTES = 32_768

Tell = Callable[[str], None]


@dataclass(frozen=True)
class ServeJob:
    """What to serve, and to whom.

    Attributes:
        model: run folder, model file, or "stock".
        settings: address and limits.
        engine: "openvino" or "onnxruntime".
        key: key that requests must send; None for no key.
        hosts: further host names that requests may name.
        origins: origins of foreign pages that may ask.
        runtime: folder with onnxruntime-web, so that the page can answer in the browser; None for the server alone.
    """

    model: str
    settings: ServeSettings
    engine: str = "openvino"
    key: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    runtime: Path | None = None


def check_installed() -> None:
    """Refuse to go on without the packages of the extra.

    Raises:
        EngineError: a package is missing.
    """
    try:
        import fastapi
        import prometheus_client
        import python_multipart
        import uvicorn

        _ = fastapi, prometheus_client, python_multipart, uvicorn
    except ImportError as error:
        raise EngineError("serving needs the extra serve: run `pip install 'roadclear[serve]'`") from error


def serve(job: ServeJob, tell: Tell) -> None:
    """Serve a model until SIGTERM or Ctrl-C. Requests in flight are answered first.

    Args:
        job: what to serve, and to whom.
        tell: called with a sentence when the server is ready, and when there is a new model.

    Raises:
        OptionError: an option is wrong, or the address cannot be used.
        ModelFileError: there is no model, or not one of ours.
        EngineError: the engine cannot run the model, or the runtime of the page is another.
    """
    with serving(job, tell) as (server, listener):
        tell(f"Serving at {address(listener)}. Ctrl-C ends the server.")
        with _signals_end(server):
            server.run(sockets=[listener])


@contextmanager
def serving(job: ServeJob, tell: Tell) -> "Iterator[tuple[uvicorn.Server, socket.socket]]":
    """Make a server that is ready to run, and its listening socket. At the end, its threads are ended."""
    import uvicorn

    from roadclear.deploy.serve.guard import make_access

    access = make_access(job.settings.host, job.key, job.hosts, job.origins)
    listener = _listen(job.settings)
    try:
        with answering(job, access, tell) as (app, _):
            yield uvicorn.Server(_config(app, job.settings)), listener
    finally:
        listener.close()


@contextmanager
def answering(job: ServeJob, access: "Access", tell: Tell) -> "Iterator[tuple[ASGIApp, Service]]":
    """Make the application, ready to answer, and what answers in it. At the end, its threads are ended.

    Args:
        job: what to serve. Nothing listens at its address by this.
        access: who may ask.
        tell: called with a sentence when there is a new model.

    Raises:
        ModelFileError: there is no model, or not one of ours.
        EngineError: the engine cannot run the model, or the runtime of the page is another.
    """
    from roadclear.deploy.export.web.runtime import get_runtime
    from roadclear.deploy.serve.answers import Answerer
    from roadclear.deploy.serve.app import create_app
    from roadclear.deploy.serve.page import Page
    from roadclear.deploy.serve.reload import CurrentModel
    from roadclear.deploy.serve.service import Service

    page = Page(None if job.runtime is None else get_runtime(job.runtime))
    model = CurrentModel(job.model, job.engine)
    service = Service(model, job.settings)
    service.warm_up()

    def reloaded(found: Answerer | RoadclearError) -> None:
        succeeded = isinstance(found, Answerer)
        service.metrics.count_reload(succeeded)
        if isinstance(found, Answerer):
            service.metrics.use(found)
            tell(f"There is a new model: SHA-256 {found.sha256[:12]}...")
        else:
            tell(f"The new model is not taken, and the old one answers: {found}")

    app = create_app(service, access, page)
    model.watch(reloaded)
    try:
        yield app, service
    finally:
        model.close()
        service.close()


def address(listener: socket.socket) -> str:
    """Address of a listening socket, for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _config(app: "ASGIApp", settings: ServeSettings) -> "uvicorn.Config":
    """Configure uvicorn: HTTP/1.1 alone, bounded, and silent but for errors."""
    import logging

    import uvicorn

    from roadclear.deploy.serve.connections import BURST, BoundedProtocol, connection_limit

    for name in ("uvicorn.error", "python_multipart"):  # which warn of every damaged request
        logging.getLogger(name).setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BURST,
        limit_concurrency=connection_limit(),
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=int(settings.deadline + GRACE_S),
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )


def _listen(settings: ServeSettings) -> socket.socket:
    """Open the listening socket.

    Raises:
        OptionError: the address cannot be used.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # there, the option would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        raise OptionError(
            f"expected a free address, cannot listen at {settings.host!r}, port {settings.port} ({error}): choose "
            "another --port or --host"
        ) from error
    return listener


@contextmanager
def _signals_end(server: "uvicorn.Server") -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end the server without an error.

    The server handles both signals while it runs, and raises them once more at its end.
    """

    def end(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
