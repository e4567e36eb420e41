"""One HTML page that shows which photos cleaning would set aside, to look at before deciding.

The page is one file with thumbnails inside. It loads nothing and runs nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.curation.rules import CleanReason, Finding
from roadclear.data.dataset import LabelledPhoto
from roadclear.images.thumbnails import thumbnail
from roadclear.utils.files import write_file
from roadclear.utils.html import html_environment
from roadclear.utils.threads import ordered_map, worker_threads

SHOWN = 300
"""Maximum number of cases shown for each reason. An open page takes about 10 kB of memory for each picture."""

_SIDE = 160


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
    count: int
    cases: list[list[_Figure]]
    hidden: int


def write_review(path: Path, folder: Path, findings: Sequence[Finding], photos: int) -> None:
    """Write the page.

    Args:
        path: file to write. A file that is there is replaced.
        folder: path of the folder of photos.
        findings: findings in the folder.
        photos: number of photos in the folder.

    Raises:
        OutputError: the page cannot be written.
    """
    template = html_environment("roadclear.curation").get_template("clean.html.j2")
    page = template.render(folder=str(folder), photos=photos, count=len(findings), sections=list(_sections(findings)))
    write_file(path, page.encode())


def _sections(findings: Sequence[Finding]) -> Iterator[_Section]:
    for reason in CleanReason:
        chosen = [finding for finding in findings if finding.reason == reason]
        if chosen:
            cases = _cases(chosen)
            figures = ordered_map(_figures, cases[:SHOWN], worker_threads())
            yield _Section(reason, len(chosen), list(figures), max(0, len(cases) - SHOWN))


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
