"""One HTML page that shows which photos cleaning would set aside and why, and names the command that does so.

The page is one file with thumbnails inside. It loads nothing and runs nothing.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.curation.rules import CleanReason, CleanRules, Finding
from roadclear.data.dataset import LabelledPhoto
from roadclear.data.sources import has_files
from roadclear.images.thumbnails import thumbnail
from roadclear.utils.files import write_file
from roadclear.utils.html import html_environment
from roadclear.utils.storage import name_of
from roadclear.utils.text import printable
from roadclear.utils.threads import ordered_map, worker_threads

SHOWN = 300
"""Maximum number of cases shown for each reason. An open page takes about 10 kB of memory for each picture."""

_SIDE = 160
_DEFAULT_RULES = CleanRules()
_HEADINGS = {
    CleanReason.UNREADABLE: (
        "Files that cannot be read",
        "These files are empty, damaged, too large, or no photos. Training cannot use the files.",
    ),
    CleanReason.UNSUPPORTED: (
        "Files in another format",
        "These photos are in a format that is not accepted. A copy in JPEG or PNG would be accepted.",
    ),
    CleanReason.TOO_SMALL: (
        "Photos that are too small",
        "The shorter side has fewer than {min_side:,} pixels. The option --min-side changes the limit.",
    ),
    CleanReason.BLANK: ("Blank pictures", "These pictures have one flat colour. A model learns nothing from them."),
    CleanReason.CONFLICTING_LABEL: (
        "One picture under both labels",
        "Nobody can know which label is right, so all copies are set aside. Delete the wrong copy to keep the other.",
    ),
    CleanReason.DUPLICATE: (
        "Exact copies",
        "These files show the same pixels. The best copy stays, in a green frame. Copies in training and test photos "
        "make a model look better than it is.",
    ),
    CleanReason.LOOK_ALIKE: (
        "Photos that look alike",
        "These photos show nearly the same picture. The best one stays, in a green frame. Name the scene in "
        "manifest.csv to keep frames of one camera, or use --no-look-alikes.",
    ),
}


@dataclass(frozen=True)
class _Figure:
    """A picture with its caption. `picture` is a data URI, or None where the photo cannot be read."""

    file: str
    label: str
    detail: str
    picture: str | None
    stays: bool


@dataclass(frozen=True)
class _Section:
    """All cases of one reason. A case is one picture, or several copies side by side."""

    reason: str
    heading: str
    meaning: str
    count: int
    cases: list[list[_Figure]]
    hidden: int


def write_review(
    path: Path,
    folder: Path,
    findings: Sequence[Finding],
    photos: int,
    overwrite: bool = False,
    rules: CleanRules = _DEFAULT_RULES,
) -> None:
    """Write the page.

    Args:
        path: file to write.
        folder: folder or other source of the photos.
        findings: findings among the photos.
        photos: number of photos.
        overwrite: whether a file that is there is replaced.
        rules: rules of the findings, for the command that the page names.

    Raises:
        OutputError: the page cannot be written, or is there and must not be replaced.
    """
    named = printable(name_of(folder))
    quoted = shlex.quote(named)
    template = html_environment("roadclear.curation").get_template("clean.html.j2")
    page = template.render(
        folder=name_of(folder),
        movable=has_files(folder),
        command=shlex.join(["roadclear", "clean", named, *_options(rules)]),
        restore=f"roadclear clean {quoted} --restore",
        triage=f"roadclear triage {quoted}",
        photos=photos,
        count=len(findings),
        sections=list(_sections(findings, rules)),
    )
    write_file(path, page.encode(), overwrite=overwrite)


def _options(rules: CleanRules) -> Iterator[str]:
    """Yield the options of `clean` that give the rules."""
    if rules.formats != _DEFAULT_RULES.formats:
        yield from ("--formats", ",".join(rules.formats).lower())
    if rules.min_side != _DEFAULT_RULES.min_side:
        yield from ("--min-side", str(rules.min_side))
    if not rules.look_alikes:
        yield "--no-look-alikes"


def _sections(findings: Sequence[Finding], rules: CleanRules) -> Iterator[_Section]:
    for reason, (heading, meaning) in _HEADINGS.items():
        chosen = [finding for finding in findings if finding.reason == reason]
        if chosen:
            cases = _cases(chosen)
            figures = ordered_map(_figures, cases[:SHOWN], worker_threads())
            hidden = max(0, len(cases) - SHOWN)
            named = meaning.format(min_side=rules.min_side)
            yield _Section(reason, heading, named, len(chosen), list(figures), hidden)


def _cases(findings: Sequence[Finding]) -> list[list[tuple[LabelledPhoto, Finding | None]]]:
    """Group findings that belong side by side: copies of one picture, after the copy that stays."""
    cases: dict[tuple[LabelledPhoto, ...], list[tuple[LabelledPhoto, Finding | None]]] = {}
    for finding in findings:
        if finding.kept is None:
            case = cases.setdefault(finding.copies or (finding.photo,), [])
        else:
            case = cases.setdefault(finding.copies, [(finding.copies[0], None)])
        case.append((finding.photo, finding))
    return list(cases.values())


def _figures(case: list[tuple[LabelledPhoto, Finding | None]]) -> list[_Figure]:
    return [
        _Figure(
            file=photo.file,
            label=photo.label,
            detail=finding.detail if finding else "stays",
            picture=thumbnail(photo.path, _SIDE),
            stays=finding is None,
        )
        for photo, finding in case
    ]
