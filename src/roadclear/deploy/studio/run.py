"""The server of the page: one process, for one person, on this machine."""

import socket
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from roadclear.deploy.studio.app import create_app
from roadclear.deploy.studio.behind import Studio
from roadclear.deploy.studio.settings import PORT, StudioSettings
from roadclear.errors import OutputError
from roadclear.utils.locks import folder_lock

HOST = "127.0.0.1"
LOCK = ".roadclear.studio.lock"
_REFUSAL = "a studio is open on {} already: use its page, or end it first"


def lock_studio(folder: Path, stack: ExitStack) -> None:
    """Hold the lock that keeps a second studio away, until the stack ends. Other commands may use the folder.

    Raises:
        OutputError: another studio is open on the folder, or the folder cannot be written.
    """
    stack.enter_context(folder_lock(folder, LOCK, _REFUSAL))


def serve(studio: Studio, settings: StudioSettings, tell: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        studio: what is behind the page.
        settings: port, and whether the browser stays closed.
        tell: called with the address, once the page can be opened.

    Raises:
        OutputError: the port is taken.
    """
    import uvicorn

    with listen(settings.port) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}/"

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                tell(address)
                if not settings.no_browser:
                    webbrowser.open(address)

        config = uvicorn.Config(
            create_app(studio),
            log_level="warning",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        Server(config).run(sockets=[listener])


def listen(port: int | None) -> socket.socket:
    """Open a port on this machine. Without a number the usual port is taken, or a free one.

    Raises:
        OutputError: the port is taken.
    """
    for wanted in (PORT, 0) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, wanted))
        except OSError as error:
            listener.close()
            if port is not None:
                raise OutputError(
                    f"cannot use port {port}: {error.strerror}; choose another with --port, or leave --port out"
                ) from error
            continue
        return listener
    raise OutputError("expected a free port on this machine, found none: name one with --port")
