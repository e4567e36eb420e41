"""Options of `data`: labels, splits and groups. Light to import, for the command line."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.errors import OptionError
from roadclear.utils.settings import Setting, Settings


@dataclass(kw_only=True)
class SplitSettings(Settings):
    """Source of the split: a table, or a new draw."""

    panel: ClassVar[str] = "Split"

    split: Annotated[
        str | None,
        Setting("CSV file with the split of every photo. Without a file, a new split is drawn.", metavar="FILE"),
    ] = None


@dataclass(kw_only=True)
class SourceSettings(Settings):
    """Where photos and labels are in tables and archives."""

    panel: ClassVar[str] = "Data"

    label_column: Annotated[
        str | None,
        Setting(
            "Column with the labels in a Parquet file or a CSV table, or key of the label in the .json members of a "
            "tar archive: label, unless another is named.",
            metavar="NAME",
        ),
    ] = None
    image_column: Annotated[
        str | None,
        Setting(
            "Column with the photos' bytes in a Parquet file, or with their file names in a CSV table: image or file, "
            "unless another is named.",
            metavar="NAME",
        ),
    ] = None


@dataclass(kw_only=True)
class LabelSettings(Settings):
    """Choice of the positive class."""

    panel: ClassVar[str] = "Data"

    positive: Annotated[str | None, Setting("Positive class: the label whose probability the model gives.")] = None


@dataclass(kw_only=True)
class GroupSettings(Settings):
    """Links between photos, in addition to equal content, near-duplicates and scenes.

    Raises:
        OptionError: `group_by` is not a regular expression.
    """

    panel: ClassVar[str] = "Split"

    group_by: Annotated[
        str | None,
        Setting(
            "Regular expression for file names. Photos with the same matched text stay in one split, "
            "for example frames of one video.",
            metavar="REGEX",
        ),
    ] = None
    group_by_page: Annotated[bool, Setting("Keep photos from one web page in one split (needs sources.csv).")] = False
    group_by_author: Annotated[bool, Setting("Keep photos by one author in one split (needs sources.csv).")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise OptionError(f"group_by must be a regular expression, got {self.group_by!r}: {error}") from error
