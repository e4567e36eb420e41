"""Options of `studio`. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.utils.settings import Setting, Settings

PORT = 8420
"""Port of the page where the user names none."""


@dataclass(kw_only=True)
class StudioSettings(Settings):
    """Where the page is, and how it begins."""

    panel: ClassVar[str] = "Output"

    port: Annotated[
        int | None,
        Setting(f"Port of the page on this machine; 0 for any. (default: {PORT}, or a free one)", ge=0, le=65_535),
    ] = None
    no_browser: Annotated[bool, Setting("Print the address, and do not open the browser.")] = False
