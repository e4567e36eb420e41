"""Functions that workers of a cluster call in tests. Workers import this module by its name."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from roadclear.errors import DatasetError
from roadclear.images import isolated as images_isolated
from roadclear.utils.threads import available_cores
from roadclear.utils.worker import WorkerPool


def facts(number: int) -> tuple[int, int, str]:
    """The number, the cores of the worker, and whether it reports how Ray is used."""
    return number, available_cores(), os.environ["RAY_USAGE_STATS_ENABLED"]


def refuse(number: int) -> int:
    """Raise an error of ours, and one that is none."""
    if number == 1:
        raise DatasetError("expected another number, found 1")
    raise ZeroDivisionError


class Dies:
    """Function that ends its worker at the number 3: always, or the first time."""

    def __init__(self, mark: Path, always: bool) -> None:
        self._mark, self._always = mark, always

    def __call__(self, number: int) -> int:
        if number == 3 and (self._always or not self._mark.exists()):
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number


DEADLY = b"ends every decoder"
"""End of a photo on which decoders end, as on a fault in a library."""


class EndsDecoders:
    """Work of which a photo that ends with `DEADLY` ends the decoder."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.key = work.key
        self.fields = work.fields

    def open(self, isolated: bool) -> Any:
        """Open the work; the processes that decode apart end as well."""
        images_isolated._workers = WorkerPool("cluster_work:decode_apart", 60, 4_000_000_000, 100_000_000)
        compute = self._work.open(isolated)

        def guarded(content: bytes, sha256: str) -> Any:
            if not isolated:
                _end_at(content)
            return compute(content, sha256)

        return guarded


def decode_apart(values: dict[str, Any], data: bytes) -> Any:
    """Answer as the process that decodes apart does, or end."""
    _end_at(data)
    return images_isolated.answer(values, data)


def _end_at(content: bytes) -> None:
    if content.endswith(DEADLY):
        os.kill(os.getpid(), signal.SIGKILL)


def dawdle(number: int) -> int:
    """Take some time."""
    time.sleep(0.5)
    return number


class WithEndpoint:
    """Function that finds the S3 server of a test, which the nodes of the cluster do not know."""

    def __init__(self, function: Any, address: str) -> None:
        self._function, self._address = function, address

    def __call__(self, item: Any) -> Any:
        os.environ["AWS_ENDPOINT_URL"] = self._address
        return self._function(item)
