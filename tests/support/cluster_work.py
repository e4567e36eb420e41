"""Functions that workers of a cluster call in tests. Workers import this module by its name."""

import os
import signal
from pathlib import Path
from typing import Any

from roadclear.errors import DatasetError
from roadclear.utils.threads import available_cores


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


class WithEndpoint:
    """Function that finds the S3 server of a test, which the nodes of the cluster do not know."""

    def __init__(self, function: Any, address: str) -> None:
        self._function, self._address = function, address

    def __call__(self, item: Any) -> Any:
        os.environ["AWS_ENDPOINT_URL"] = self._address
        return self._function(item)
