"""Work in a process of its own, which is ended when the work takes too much time or memory.

Native libraries decode files of strangers. A fault or a loop in one of them ends the worker, and never the caller.
Requests and answers are JSON and bytes, never pickles: a worker that was taken over must not take over the caller.

A worker has no limit of memory where the system knows none: on Windows, and in practice on macOS.
"""

import contextlib
import importlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

Message: TypeAlias = tuple[dict[str, Any], bytes]
"""Values for JSON, and bytes."""

Handler: TypeAlias = Callable[[dict[str, Any], bytes], Message]
"""Function of a worker, from a request to its answer."""

_LENGTHS = struct.Struct("<IQ")
_MAX_HEADER_BYTES = 2**20
# `-P` keeps the current folder out of the search path: a file there must not run as a module.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from roadclear.utils.worker import serve; serve()"

# Threads and their heaps reserve address space, which is limited.
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class WorkerError(Exception):
    """A worker was ended before it answered.

    Attributes:
        late: whether the time was over.
    """

    def __init__(self, late: bool) -> None:
        super().__init__("out of time" if late else "ended without an answer")
        self.late = late


@dataclass(eq=False)
class _Watched:
    """A process that must answer by a moment of `time.monotonic`."""

    process: "subprocess.Popen[bytes]"
    deadline: float
    late: bool = False


class _Watchdog:
    """Kills processes that are late. One thread watches all: a thread a request would cost more than its work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[_Watched] = set()
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    def watch(self, process: "subprocess.Popen[bytes]", seconds: float) -> _Watched:
        """Kill a process after so many seconds, unless it leaves before."""
        watched = _Watched(process, time.monotonic() + seconds)
        with self._changed:
            self._watched.add(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="roadclear-watchdog", daemon=True)
                self._thread.start()
            elif watched.deadline < self._wakes:
                self._changed.notify()
        return watched

    def leave(self, watched: _Watched) -> None:
        """Watch a process no longer."""
        with self._changed:
            self._watched.discard(watched)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for watched in [each for each in self._watched if each.deadline <= now]:
                    watched.late = True
                    watched.process.kill()
                    self._watched.discard(watched)
                self._wakes = min((each.deadline for each in self._watched), default=math.inf)
                self._changed.wait(None if self._wakes == math.inf else self._wakes - now)


class WorkerPool:
    """Processes that answer requests with one function. A process starts when all others are busy, and is used again.

    Several threads may call at once.

    Args:
        handler: the function as "module:name"; the module is imported in the worker.
        seconds: longest time for one request, in seconds of the clock. The first request of a process has twice the
            time, because the process imports its modules.
        memory_bytes: largest address space of a worker, in bytes.
        answer_bytes: largest answer, in bytes.
    """

    def __init__(self, handler: str, seconds: float, memory_bytes: int, answer_bytes: int) -> None:
        self._handler = handler
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._answer_bytes = answer_bytes
        self._idle: list[subprocess.Popen[bytes]] = []
        self._watchdog = _Watchdog()
        self._owner = os.getpid()

    def call(self, values: dict[str, Any], data: bytes) -> Message:
        """Send a request to a worker, and wait for its answer.

        Args:
            values: values for JSON.
            data: bytes.

        Raises:
            WorkerError: the worker took too long, ran out of memory, or ended.
        """
        with contextlib.suppress(IndexError):
            process = self._fork_safe_idle().pop()
            try:
                return self._ask(process, self._seconds, values, data)
            except WorkerError as error:
                # Perhaps the worker ended between two requests, or suffered from an earlier one.
                if error.late:
                    raise
        return self._ask(self._start(), 2 * self._seconds, values, data)

    def close(self) -> None:
        """End all workers that are idle. A further call starts new ones."""
        while self._idle:
            _close(self._idle.pop())

    def _ask(self, process: "subprocess.Popen[bytes]", seconds: float, values: dict[str, Any], data: bytes) -> Message:
        watched = self._watchdog.watch(process, seconds)
        try:
            _write(cast(BinaryIO, process.stdin), values, data)
            answer = _read(cast(BinaryIO, process.stdout), self._answer_bytes)
        except (OSError, EOFError, ValueError) as error:
            _close(process)
            raise WorkerError(watched.late) from error
        except BaseException:
            _close(process)
            raise
        finally:
            self._watchdog.leave(watched)
        self._idle.append(process)
        return answer

    def _fork_safe_idle(self) -> list["subprocess.Popen[bytes]"]:
        """Workers that wait for a request. A forked process must not share the pipes of its parent."""
        if self._owner != os.getpid():
            self._idle, self._watchdog, self._owner = [], _Watchdog(), os.getpid()
        return self._idle

    def _start(self) -> "subprocess.Popen[bytes]":
        limits = json.dumps([self._handler, self._memory_bytes, self._seconds])
        search_path = json.dumps([path or str(Path.cwd()) for path in sys.path])
        return subprocess.Popen(  # noqa: S603 - this interpreter, with the package's own code
            [sys.executable, "-P", "-c", _START, search_path, limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _FRUGAL,
            start_new_session=True,  # Ctrl-C is for the caller, who ends the worker
        )


def serve() -> None:
    """Answer requests from standard input, in a worker, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name, memory_bytes, seconds = json.loads(sys.argv[2])
    module, function = name.split(":")
    handler: Handler = getattr(importlib.import_module(module), function)
    # Whatever a library prints must not come between the answers.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    limit = _limit_resources(memory_bytes)
    while True:
        try:
            values, data = _read(requests, None)
        except EOFError:
            return
        limit(seconds)
        _write(answers, *handler(values, data))


def _limit_resources(memory_bytes: int) -> Callable[[float], None]:
    """Limit memory, files and core dumps of this process; return a function that limits its time from now on."""
    try:
        import resource
    except ImportError:  # Windows: the caller's clock remains
        return lambda seconds: None
    for kind, most in (("RLIMIT_AS", memory_bytes), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0)):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, kind), (most, most))

    def limit_time(seconds: float) -> None:
        # The caller may have been killed; its worker then ends by itself.
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        most = int(used.ru_utime + used.ru_stime + 2 * seconds * (os.cpu_count() or 1)) + 1
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (most, hard))

    return limit_time


def _write(stream: BinaryIO, values: dict[str, Any], data: bytes) -> None:
    header = json.dumps(values).encode()
    stream.write(_LENGTHS.pack(len(header), len(data)))
    stream.write(header)
    stream.write(data)
    stream.flush()


def _read(stream: BinaryIO, most: int | None) -> Message:
    """Read a message of at most so many bytes.

    Raises:
        EOFError: the stream ends.
        ValueError: the message is too large, or is no message.
    """
    header_bytes, data_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if header_bytes > _MAX_HEADER_BYTES or (most is not None and data_bytes > most):
        raise ValueError(f"expected at most {most} bytes, got {data_bytes}")
    values = json.loads(_exactly(stream, header_bytes))
    if not isinstance(values, dict):
        raise ValueError("expected a mapping")
    return values, _exactly(stream, data_bytes)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _close(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()
