"""The server in a thread of the test's own process, on a free port of loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from roadclear.deploy.serve.server import ServeJob, address, serving
from roadclear.deploy.serve.settings import ServeSettings


@dataclass
class Running:
    """A server that runs.

    Attributes:
        address: address with a slash at its end.
        port: port on 127.0.0.1.
        client: client that asks the server.
        told: sentences that the server told.
    """

    address: str
    port: int
    client: httpx.Client
    told: list[str] = field(default_factory=list)

    def answers(self, data: bytes, **query: Any) -> list[dict[str, Any]]:
        """Answers to a raw body."""
        response = self.client.post("predict", content=data, params=query)
        assert response.status_code == 200, response.text
        return list(response.json()["photos"])


@contextmanager
def running(model: str | Path, job: dict[str, Any] | None = None, **settings: Any) -> Iterator[Running]:
    """Serve a model until the block ends.

    Args:
        model: path of a model.
        job: further fields of the job.
        settings: settings of the server that differ from the defaults.
    """
    made = ServeJob(str(model), ServeSettings(port=0, **settings), **(job or {}))
    told: list[str] = []
    with serving(made, told.append) as (server, listener):
        place = address(listener)
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=place, timeout=30, trust_env=False) as client:
                yield Running(place, port, client, told)
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()
