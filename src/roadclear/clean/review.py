"""One HTML page that shows what cleaning would set aside, to look at before deciding.

The page is one file: small pictures are inside it, and it loads and runs nothing.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from roadclear.clean.findings import Finding, Reason
from roadclear.dataset import LabelledPhoto
from roadclear.errors import PhotoError
from roadclear.output import write_file
from roadclear.parallel import ordered_map, worker_threads
from roadclear.photos import decode, identify, read_bytes

SHOWN = 300
"""So many cases of a reason are shown; an open page takes about 10 kB of memory for each picture."""

_SIDE = 160
_DECODED = 224
_QUALITY = 70


@dataclass(frozen=True)
class _Figure:
    """A picture with its caption; `picture` is a data URI, or None for what cannot be read."""

    file: str
    label: str
    detail: str
    picture: str | None
    stays: bool


@dataclass(frozen=True)
class _Section:
    """All there is to say about one reason: cases of one picture, or of several side by side."""

    reason: str
    count: int
    cases: list[list[_Figure]]
    hidden: int


def write_review(path: Path, folder: Path, findings: Sequence[Finding], photos: int) -> None:
    """Write the page.

    Args:
        path: of the page; what is there is replaced.
        folder: that was looked at.
        findings: in it.
        photos: how many photos were looked at.

    Raises:
        OutputError: it cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("roadclear.clean", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("review.html.j2").render(
        folder=_printable(str(folder)), photos=photos, count=len(findings), sections=list(_sections(findings))
    )
    write_file(path, page.encode())


def _sections(findings: Sequence[Finding]) -> Iterator[_Section]:
    for reason in Reason:
        chosen = [finding for finding in findings if finding.reason == reason]
        if chosen:
            cases = _cases(chosen)
            figures = ordered_map(_figures, cases[:SHOWN], worker_threads())
            yield _Section(reason, len(chosen), list(figures), max(0, len(cases) - SHOWN))


def _cases(findings: Sequence[Finding]) -> list[list[tuple[LabelledPhoto, Finding | None]]]:
    """Findings that belong side by side: copies of one picture, after the copy that stays."""
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
            file=_printable(photo.file),
            label=photo.label,
            detail=_printable(finding.detail) if finding else "stays",
            picture=_thumbnail(photo.path),
            stays=finding is None,
        )
        for photo, finding in case
    ]


def _thumbnail(path: Path) -> str | None:
    """A data URI of a small JPEG of the whole photo in its own proportions."""
    from PIL import Image

    try:
        data = read_bytes(path)
        info = identify(data)
        pixels = decode(data, _DECODED)
    except PhotoError:
        return None
    scale = min(1.0, _SIDE / max(info.width, info.height))
    size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    small = BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).save(small, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(small.getvalue()).decode()}"


def _printable(text: str) -> str:
    """Text on one line, without what cannot be printed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
