"""What `roadclear triage` prints of the photos that it lists."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadclear.cli.console import console, table
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.cases import Case, Entry
    from roadclear.curation.triage import Triage
    from roadclear.curation.unlabelled import Proposals
    from roadclear.images.decode import UnreadablePhoto

_ROWS_SHOWN = 20


def print_issues_as_json(found: "Triage") -> None:
    """Print the result of triage of labelled photos."""
    from roadclear.utils.tables import to_json

    wrong = dict(zip(found.labels, found.label_issues.wrong_share, strict=True))
    values = {
        "photos": found.photos,
        "positive": found.labels[1],
        "by_model": found.by_model,
        "wrong_share": wrong,
        **_entry_values(found.cases, found.skipped),
    }
    print(to_json(values))


def print_proposals_as_json(found: "Proposals") -> None:
    """Print the result of triage of unlabelled photos."""
    from roadclear.utils.tables import to_json

    values = {
        "photos": found.photos,
        "labelled": found.labelled,
        "positive": found.labels[1],
        "model": found.model,
        "copies": found.copies,
        "seen": found.seen,
        **_entry_values(found.cases, found.skipped),
    }
    print(to_json(values))


def print_issues(found: "Triage", photos: Path, folder: Path) -> None:
    """Print the photos that need a review, and what comes next."""
    from roadclear.curation.cases import TriageReason

    out = console()
    _print_rows(found.cases, found.labels, folder)
    counts = {reason: sum(case.reason == reason for case in found.cases) for reason in TriageReason}
    out.print(
        f"{found.photos:,} photos. Label issues: {int(found.label_issues.suggested.sum()):,}. "
        f"Other groups of look-alikes with different labels: {counts[TriageReason.LOOK_ALIKES_DISAGREE]:,}. "
        f"Most unsure photos: {counts[TriageReason.UNSURE]:,}."
    )
    if found.by_model is not None:
        out.print(
            f"The model had a say about the {found.by_model:,} photos that it was not trained on. Heads on the frozen "
            f"base alone predicted the {found.photos - found.by_model:,} others."
        )
    shares = zip(found.labels, found.label_issues.wrong_share, strict=True)
    out.print("Estimated share of wrong labels: " + ", ".join(f"{label} {share:.1%}" for label, share in shares))
    out.print(f"Review the photos and decide: {printable(folder / 'triage.html')}")
    from roadclear.data.sources import has_files

    if not has_files(photos):
        out.print("Then change the labels in the source. --apply moves the files of a folder alone.")
        return
    quoted = shlex.quote(printable(photos))
    out.print(f"Then carry out the decisions: roadclear triage {quoted} --apply decisions.csv")


def print_proposals(found: "Proposals", photos: Path | None, folder: Path) -> None:
    """Print the photos to label, and what comes next."""
    from roadclear.data.shards.opening import is_sharded

    out = console()
    _print_rows(found.cases, found.labels, folder)
    by = f"the model {printable(found.model)}" if found.model is not None else f"{found.labelled:,} labelled photos"
    sentences = [f"{found.photos:,} unlabelled photos, predicted by {by}. Listed: {len(found.cases):,}."]
    if found.copies:
        sentences.append(f"Near copies, which come last: {found.copies:,}.")
    if found.seen:
        sentences.append(f"The model was trained on {found.seen:,} of the photos.")
    out.print(" ".join(sentences))
    out.print(f"Decide on the photos: {printable(folder / 'triage.html')}")
    if is_sharded(found.unlabelled) or (photos is not None and is_sharded(photos)):
        out.print("Photos of shards and of object stores are not moved: the tables say how to label them.")
        return
    target = "PHOTOS" if photos is None else shlex.quote(printable(photos))
    command = f"roadclear triage {target} --unlabelled {shlex.quote(printable(found.unlabelled))}"
    out.print(f"Then move the photos to their labels: {command} --apply decisions.csv")
    if photos is None:
        out.print("PHOTOS is the folder that the photos go to: a new one, or one with labelled photos.")


def _print_rows(cases: "Sequence[Case]", labels: tuple[str, str], folder: Path) -> None:
    from rich.text import Text

    entries = [entry for case in cases for entry in case.entries]
    out, rows = console(), table("rank", "file", "suggested", f"P({labels[1]})", "why", numbers=["rank"])
    for entry in entries[:_ROWS_SHOWN]:
        name, suggested = printable(entry.photo.file), entry.suggested or ""
        rows.add_row(str(entry.rank), Text(name), Text(suggested), f"{entry.probability:.3f}", _why(entry))
    if rows.row_count:
        out.print(rows)
    if len(entries) > _ROWS_SHOWN:
        out.print(f"and {len(entries) - _ROWS_SHOWN:,} more, see {printable(folder / 'triage.csv')}")


def _why(entry: "Entry") -> Any:
    from rich.text import Text

    reason = entry.reason.replace("-", " ")
    return Text(reason if entry.photo.label or not entry.why else f"{reason}: {printable(entry.why)}")


def _entry_values(cases: "Iterable[Case]", skipped: "Iterable[UnreadablePhoto]") -> dict[str, Any]:
    entries: list[dict[str, Any]] = [
        {
            "rank": entry.rank,
            "reason": entry.reason,
            "file": entry.photo.file,
            "label": entry.photo.label or None,
            "suggested": entry.suggested,
            "probability": entry.probability,
            "sha256": entry.sha256,
            "why": entry.why,
        }
        for case in cases
        for entry in case.entries
    ]
    return {"entries": entries, "skipped": [{"file": str(photo.file), "reason": photo.reason} for photo in skipped]}
