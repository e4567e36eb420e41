"""`roadclear triage --apply` and `--undo`: decisions are carried out, and taken back."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from roadclear.cli.console import FAILED, console, print_not_moved
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadclear.curation.clean import Restoring
    from roadclear.curation.moves import NotMoved


@dataclass(frozen=True)
class _Places:
    """Folder of labelled photos, and folder of unlabelled photos, if there is one."""

    photos: Path
    unlabelled: Path | None

    @property
    def command(self) -> str:
        """The command on these folders, without its last option."""
        beside = "" if self.unlabelled is None else f" --unlabelled {_quoted(self.unlabelled)}"
        return f"roadclear triage {_quoted(self.photos)}{beside}"


def move_photos(photos: Path, unlabelled: Path | None, decisions: Path | None, json: bool) -> NoReturn:
    """Carry decisions out, or take them back.

    Args:
        photos: folder of labelled photos.
        unlabelled: folder of unlabelled photos that the decisions are about; None for decisions on labelled photos.
        decisions: table of decisions to carry out; None to take decisions back.
        json: whether to print JSON.
    """
    places = _Places(photos, unlabelled)
    if decisions is None:
        _undo(places, json)
    if unlabelled is None:
        from roadclear.curation.apply import apply_decisions

        applied = apply_decisions(photos, decisions)
        done = f"Moved to the other label: {applied.relabelled:,}."
        counts = {"relabelled": applied.relabelled, "set_aside": applied.set_aside, "earlier": applied.earlier}
        _report(done, counts, applied.left, places, json)
    from roadclear.curation.labelling import label_photos

    labelled = label_photos(photos, unlabelled, decisions)
    done = f"Moved to a label: {labelled.labelled:,}."
    counts = {"labelled": labelled.labelled, "set_aside": labelled.set_aside, "earlier": labelled.earlier}
    _report(done, counts, labelled.left, places, json)


def _report(done: str, counts: dict[str, int], left: "Sequence[NotMoved]", places: _Places, json: bool) -> NoReturn:
    """Print what was carried out, and end the command."""
    from roadclear.utils.tables import to_json

    if json:
        print(to_json({**counts, "left": [{"file": one.file, "why": one.why} for one in left]}))
    else:
        done += f" Set aside: {counts['set_aside']:,}."
        if counts["earlier"]:
            done += f" Moved earlier: {counts['earlier']:,}."
        console().print(f"{done}   Undo: {places.command} --undo")
    print_not_moved(left)
    sys.exit(FAILED if left else 0)


def _undo(places: _Places, json: bool) -> NoReturn:
    from roadclear.utils.tables import to_json

    result = _put_back(places)
    if json:
        left = [{"file": left.file, "why": left.why} for left in result.left]
        print(to_json({"restored": result.restored, "left": left}))
    else:
        message = f"{result.restored:,} {'photo was' if result.restored == 1 else 'photos were'} put back."
        if not result.restored and not result.left:
            message = _why_none(places)
        console().print(message)
    print_not_moved(result.left)
    sys.exit(FAILED if result.left else 0)


def _put_back(places: _Places) -> "Restoring":
    if places.unlabelled is None:
        from roadclear.curation.apply import undo

        return undo(places.photos)
    from roadclear.curation.labelling import unlabel_photos

    return unlabel_photos(places.photos, places.unlabelled)


def _why_none(places: _Places) -> str:
    """Say why no photo was put back, and which command puts others back."""
    if places.unlabelled is not None:
        return f"No photo of {printable(places.photos)} was moved there from {printable(places.unlabelled)}."
    from roadclear.curation.journal import read_journal

    latest = next(iter(reversed(read_journal(places.photos))), None)
    if latest is not None and latest.is_from_unlabelled:
        return f"The latest photos were {printable(latest.detail)}.   Undo: {places.command} --unlabelled DIR --undo"
    again = _quoted(places.photos)
    return f"No photo was moved since the last cleaning.   Undo the cleaning: roadclear clean {again} --restore"


def _quoted(path: Path) -> str:
    return shlex.quote(printable(path))
