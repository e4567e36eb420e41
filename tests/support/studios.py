"""`roadclear studio` as a process of its own, and what a program may ask it over HTTP."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from process import START, environment

PATIENCE_S = 120
SMALL = ("--size", "96")
"""Options for a training that takes no time."""


class RunningStudio:
    """A studio that runs, at `address`."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process, self.address = process, address

    def ask(self, path: str, values: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Ask for JSON: by GET, or by POST where there are values (bytes as they are)."""
        return json.loads(self.raw(path, values, headers)[1])

    def raw(self, path: str, values: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
        """Ask, and return the status, the body and the headers of the answer, also of a refusal."""
        body = values if isinstance(values, bytes | None) else json.dumps(values).encode()
        kind = "application/octet-stream" if isinstance(values, bytes) else "application/json"
        request = urllib.request.Request(self.address + path, body, {"Content-Type": kind, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def photos(self) -> dict[str, str]:
        """Names of the photos, and the words that stand for them."""
        return {row[1]: row[0] for row in self.ask("api/photos")["photos"]}

    def add(self, label: str, name: str, data: bytes, step: str = "") -> Any:
        query = urllib.parse.urlencode({"label": label, "name": name, "step": step})
        return self.ask(f"api/photos?{query}", data)

    def numbers(self, version: int) -> dict[str, Any]:
        """Wait for the numbers of a listing, or of a later one."""
        return wait_for(lambda: found if (found := self.ask("api/numbers")).get("version", 0) >= version else None)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def wait_for(look: Callable[[], Any]) -> Any:
    """Wait until a function returns something."""
    until = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)
    return found


@contextmanager
def running_studio(*arguments: str | Path, cwd: Path | None = None, **variables: str | None) -> Iterator[RunningStudio]:
    """Run a studio at a free port."""
    command = [*START, "studio", "--no-browser", "--port", "0", *map(os.fspath, arguments)]
    with subprocess.Popen(
        command, cwd=cwd, env=environment(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        try:
            yield RunningStudio(process, line.rsplit(" ", 1)[1].strip())
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
