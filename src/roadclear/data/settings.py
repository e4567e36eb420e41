"""Options of `data`: labels, splits and groups. Light to import, for the command line."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.errors import OptionError
from roadclear.utils.settings import Setting, Settings


@dataclass(kw_only=True)
class SplitSettings(Settings):
    """Where the split comes from."""

    panel: ClassVar[str] = "Split"

    split: Annotated[
        str | None, Setting("CSV file with the split of every photo. A new split is drawn without it.", metavar="FILE")
    ] = None


@dataclass(kw_only=True)
class LabelSettings(Settings):
    """Which label is the positive class."""

    panel: ClassVar[str] = "Data"

    positive: Annotated[str | None, Setting("Positive class: the label whose probability the model gives.")] = None


@dataclass(kw_only=True)
class GroupSettings(Settings):
    """What links photos beside their content, look and scene.

    Raises:
        OptionError: the pattern is no regular expression.
    """

    panel: ClassVar[str] = "Split"

    group_by: Annotated[
        str | None,
        Setting(
            "Regular expression for file names. Photos in whose names it finds the same text stay in one split, "
            "as frames of one video should.",
            metavar="REGEX",
        ),
    ] = None
    group_by_page: Annotated[bool, Setting("Keep photos from one web page in one split (sources.csv).")] = False
    group_by_author: Annotated[bool, Setting("Keep photos by one author in one split (sources.csv).")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise OptionError(f"group_by must be a regular expression, got {self.group_by!r}: {error}") from error
