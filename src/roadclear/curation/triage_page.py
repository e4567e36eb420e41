"""One HTML page that shows the cases of triage, with buttons to decide on them.

The page is one file with its pictures inside, and loads nothing. One script, allowed by its hash, answers keys and
writes decisions.csv. The rows are made here, so that file names of any bytes pass. Without the script the page shows
the same, and photos grow on click.
"""

import hashlib
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.decisions import COLUMNS, KEEP, SET_ASIDE, move_to
from roadclear.data.archive import is_archive
from roadclear.data.shards.opening import is_sharded
from roadclear.data.sources import is_table
from roadclear.errors import PhotoError
from roadclear.images.thumbnails import data_uri, jpeg_bytes, thumbnail, view_photo
from roadclear.model.drawing.overlay import lay_over, scale_ticks
from roadclear.utils.html import html_environment
from roadclear.utils.storage import name_of
from roadclear.utils.tables import csv_bytes, csv_lines
from roadclear.utils.text import printable
from roadclear.utils.threads import ordered_map, worker_threads

SHOWN = 300
"""Maximum number of cases shown for each reason. An open page takes about 15 kB of memory for each small picture."""

LARGE = 100
"""Number of photos, the most urgent first, with a large picture and a map: about 100 kB of the page for each photo."""

_SIDE = 224
_LARGE_SIDE = 640
_MAP_SIDE = 400
_MAP_QUALITY = 72
# Photos that are proposed have a section for each label.
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
    TriageReason.LABEL_NEXT: (
        "Label these next",
        "These photos are uncertain, and differ from each other and from the labelled photos. A prediction is only a "
        "guess.",
    ),
    TriageReason.PROPOSAL: (
        "Proposed: {label}",
        "The least certain photo comes first. Near copies of other photos come last.",
    ),
}
_GUESSES = {TriageReason.LABEL_NEXT, TriageReason.UNSURE}
"""Reasons whose predictions are not accepted with all others at once for photos without a label."""


@dataclass(frozen=True)
class _Choice:
    """A radio button. `key` is the key on the keyboard, `row` is the row for decisions.csv, in Base64."""

    key: str
    text: str
    row: str
    suggested: bool


@dataclass(frozen=True)
class _Figure:
    """A photo to decide on.

    Attributes:
        entry: the photo, and why it is listed.
        file: path of the photo relative to its folder.
        picture: data URI, or None where the photo can no longer be read.
        map: grey photo under its evidence map as a data URI, or None.
        limit: end of the map's scale, in log-odds for each place.
        choices: decisions to choose from.
    """

    entry: Entry
    file: str
    picture: str | None
    map: str | None
    limit: float
    choices: list[_Choice]


@dataclass(frozen=True)
class _Section:
    """All cases of one reason, and for proposals of one label. `anchor` is the address on the page."""

    anchor: str
    heading: str
    advice: str
    count: int
    cases: list[list[_Figure]]
    hidden: int


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Attributes:
        photos: number of photos that were predicted.
        labels: the negative and the positive label.
        folder: folder, archive or table of labelled photos; None where none is named yet.
        unlabelled: folder of unlabelled photos; None for a page about the labelled ones.
        model: name of the model that predicts the unlabelled photos; None for a head on the labelled photos.
    """

    photos: int
    labels: tuple[str, str]
    folder: Path | None
    unlabelled: Path | None = None
    model: str | None = None

    @property
    def name(self) -> str:
        """Path of the photos that the page is about."""
        return name_of(self.unlabelled or self.folder or "")

    @property
    def command(self) -> str:
        """The command that carries decisions out, without its last option."""
        words = ["roadclear triage", _quoted(self.folder) if self.folder is not None else "PHOTOS"]
        return " ".join(words if self.unlabelled is None else [*words, "--unlabelled", _quoted(self.unlabelled)])


def render_page(subject: Subject, cases: Sequence[Case], maps: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Render the page.

    Args:
        subject: what the page is about.
        cases: cases to show.
        maps: evidence maps by file, float32 [rows, columns]; see `roadclear.curation.evidence`.

    Returns:
        HTML in UTF-8.
    """
    script = files("roadclear.curation").joinpath("triage.js").read_text(encoding="utf-8")
    template = html_environment("roadclear.curation").get_template("triage.html.j2")
    page = template.render(
        subject=subject,
        labels=subject.labels,
        source=_kind(subject),
        count=sum(len(case.entries) for case in cases),
        sections=_sections(cases, subject.labels, maps),
        header=b64encode(csv_bytes(COLUMNS)).decode(),
        script=script,
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return page.encode()


def _quoted(path: Path) -> str:
    return shlex.quote(printable(name_of(path)))


def _kind(subject: Subject) -> str:
    """Say where photos come from: "shards", a "table", an "archive" or a "folder". Only files of a folder move."""
    sources = [source for source in (subject.folder, subject.unlabelled) if source is not None]
    for kind, holds in (("shards", is_sharded), ("table", is_table), ("archive", is_archive)):
        if any(holds(source) for source in sources):
            return kind
    return "folder"


def _sections(
    cases: Sequence[Case], labels: tuple[str, str], maps: Mapping[str, NDArray[np.float32]]
) -> list[_Section]:
    sections: list[_Section] = []
    for reason, (heading, advice) in _HEADINGS.items():
        proposed = labels[::-1] if reason == TriageReason.PROPOSAL else (None,)
        for number, label in enumerate(proposed, start=1):
            chosen = [case for case in cases if case.reason == reason and label in (None, case.entries[0].suggested)]
            if chosen:
                shown = ordered_map(
                    lambda case: [_figure(entry, labels, maps) for entry in case.entries],
                    chosen[:SHOWN],
                    worker_threads(),
                )
                hidden = max(0, len(chosen) - SHOWN)
                anchor = reason if label is None else f"{reason}-{number}"
                title = heading.format(label=label)
                sections.append(_Section(anchor, title, advice, len(chosen), list(shown), hidden))
    return sections


def _figure(entry: Entry, labels: tuple[str, str], maps: Mapping[str, NDArray[np.float32]]) -> _Figure:
    photo = entry.photo
    picture = thumbnail(photo.path, _LARGE_SIDE if entry.rank <= LARGE else _SIDE)
    drawn, limit = None, 0.0
    if picture is not None and photo.file in maps:
        limit = scale_ticks(maps[photo.file])[-1]
        try:
            overlay = lay_over(view_photo(photo.path, _MAP_SIDE), maps[photo.file], limit)
            drawn = data_uri(jpeg_bytes(overlay, _MAP_QUALITY))
        except PhotoError:  # the photo has gone a moment ago
            drawn = None
    return _Figure(entry, photo.file, picture, drawn, limit, _choices(entry, labels))


def _choices(entry: Entry, labels: tuple[str, str]) -> list[_Choice]:
    """Offer the decisions in one order for every photo: key 1 is the negative label, key 2 is the positive label."""
    guessed = not entry.photo.label and entry.reason in _GUESSES
    offered = [
        ("1", labels[0], KEEP if entry.photo.label == labels[0] else move_to(labels[0])),
        ("2", labels[1], KEEP if entry.photo.label == labels[1] else move_to(labels[1])),
        ("s", None, SET_ASIDE),
    ]
    return [
        _Choice(
            key,
            f"keep {label}" if decision == KEEP else decision,
            b64encode(csv_lines([(entry.photo.file, entry.sha256, decision)])).decode(),
            suggested=label is not None and label == entry.suggested and not guessed,
        )
        for key, label, decision in offered
    ]
