"""Options of `serve`. Light to import, for the command line."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.errors import OptionError
from roadclear.utils.settings import Setting, Settings

MAX_PHOTOS = 64
"""Largest number of photos in one request."""

MODEL_VERSION = "1"
"""Version of the model under /v2. Model servers number versions; this server has the current one alone."""


@dataclass(kw_only=True)
class ServeSettings(Settings):
    """Where the server listens, and how much it takes on."""

    panel: ClassVar[str] = "Network"

    host: Annotated[
        str,
        Setting("Address to listen at. Any address beyond this machine needs a key: see --api-key.", metavar="HOST"),
    ] = "127.0.0.1"
    port: Annotated[int, Setting("Port to listen at; 0 for any free port.", ge=0, le=65_535)] = 8000
    queue: Annotated[
        int, Setting("Largest number of photos that wait. Further requests get the status 503.", ge=1, le=10_000)
    ] = 128
    deadline: Annotated[
        float,
        Setting("Seconds from the head of a request to its answer. A later answer is the status 504.", gt=0, le=600),
    ] = 30.0
    max_body: Annotated[
        float, Setting("Largest body of a request, in MB. A larger body gets the status 413.", gt=0, le=200)
    ] = 20.0
    name: Annotated[str, Setting("Name of the model under /v2/models.", metavar="NAME")] = "roadclear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", self.name):
            raise OptionError(f"--name must be letters, digits, '_', '-' and '.', got {self.name!r}")
