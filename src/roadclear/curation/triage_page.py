"""One HTML page that shows the cases of triage, with buttons to decide on them.

The page is one file with thumbnails inside, and loads nothing. One script, allowed by its hash, writes decisions.csv.
The rows are made here, so that file names of any bytes pass. Without the script the page shows the same.
"""

import hashlib
import os
import shlex
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.decisions import COLUMNS, KEEP, SET_ASIDE, move_to
from roadclear.images.thumbnails import thumbnail
from roadclear.utils.html import html_environment
from roadclear.utils.tables import csv_bytes, csv_lines
from roadclear.utils.text import printable
from roadclear.utils.threads import ordered_map, worker_threads

SHOWN = 300
"""Maximum number of cases shown for each reason. An open page takes about 15 kB of memory for each picture."""

_SIDE = 224
_HEADINGS = {
    TriageReason.WRONG_LABEL: (
        "Label issues",
        "The most doubtful label comes first. Look-alikes with the other label are shown beside the photo.",
    ),
    TriageReason.LOOK_ALIKES_DISAGREE: (
        "Look-alikes with different labels",
        "Copies of one picture have one label. Frames of one camera can show both labels.",
    ),
    TriageReason.UNSURE: (
        "The model is unsure",
        "The photo nearest to the threshold comes first. Right labels on these photos help the model most.",
    ),
}


@dataclass(frozen=True)
class _Choice:
    """A radio button. `row` is the row for decisions.csv, in Base64."""

    text: str
    row: str


@dataclass(frozen=True)
class _Figure:
    """A photo to decide on. `picture` is a data URI, or None where the photo can no longer be read."""

    entry: Entry
    file: str
    picture: str | None
    choices: list[_Choice]


@dataclass(frozen=True)
class _Section:
    """All cases of one reason."""

    reason: str
    heading: str
    advice: str
    count: int
    cases: list[list[_Figure]]
    hidden: int


def render_page(folder: str | os.PathLike[str], cases: Sequence[Case], labels: tuple[str, str], photos: int) -> bytes:
    """Render the page.

    Args:
        folder: path of the folder of photos.
        cases: cases to show.
        labels: the negative and the positive label.
        photos: number of photos in the folder.

    Returns:
        HTML in UTF-8.
    """
    script = files("roadclear.curation").joinpath("triage.js").read_text(encoding="utf-8")
    template = html_environment("roadclear.curation").get_template("triage.html.j2")
    page = template.render(
        folder=os.fspath(folder),
        quoted_folder=shlex.quote(printable(os.fspath(folder))),
        photos=photos,
        count=sum(len(case.entries) for case in cases),
        labels=labels,
        sections=_sections(cases, labels),
        header=b64encode(csv_bytes(COLUMNS)).decode(),
        script=script,
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return page.encode()


def _sections(cases: Sequence[Case], labels: tuple[str, str]) -> list[_Section]:
    sections: list[_Section] = []
    for reason, (heading, advice) in _HEADINGS.items():
        chosen = [case for case in cases if case.reason == reason]
        if chosen:
            shown = ordered_map(lambda case: _figures(case, labels), chosen[:SHOWN], worker_threads())
            hidden = max(0, len(chosen) - SHOWN)
            sections.append(_Section(reason, heading, advice, len(chosen), list(shown), hidden))
    return sections


def _figures(case: Case, labels: tuple[str, str]) -> list[_Figure]:
    return [
        _Figure(
            entry=entry,
            file=entry.photo.file,
            picture=thumbnail(entry.photo.path, _SIDE),
            choices=_choices(entry, labels),
        )
        for entry in case.entries
    ]


def _choices(entry: Entry, labels: tuple[str, str]) -> list[_Choice]:
    other = next(label for label in labels if label != entry.photo.label)
    return [
        _Choice(text, b64encode(csv_lines([(entry.photo.file, entry.sha256, decision)])).decode())
        for text, decision in (
            (f"keep {entry.photo.label}", KEEP),
            (move_to(other), move_to(other)),
            (SET_ASIDE, SET_ASIDE),
        )
    ]
