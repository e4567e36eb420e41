"""`roadclear collect`: phrases -> two folders of photos, with their sources."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from roadclear.cli.console import FAILED, SOME_UNREADABLE, console, progress_bars, table
from roadclear.cli.options import JsonOption
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.collect.client import ClientPolicy
    from roadclear.collect.collector import Collection, CollectRequest

POSITIVE, NEGATIVE = ("people crossing the road",), ("empty road",)
LABELS = ("crossing", "empty")

LabelsOption = Annotated[
    tuple[str, str], typer.Option(metavar="POSITIVE NEGATIVE", help="Names of the two folders.", show_default=False)
]
PerLabelOption = Annotated[int, typer.Option(help="Good photos in each folder.")]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Where to search; repeat it. (default: openverse and wikimedia)"),
]
LicencesOption = Annotated[
    str | None, typer.Option("--licenses", metavar="LIST", help="Only under these, as cc0,by,by-sa. (default: any)")
]
ContactOption = Annotated[
    str,
    typer.Option(
        envvar="ROADCLEAR_CONTACT", help="Your e-mail address or page, told to every host.", show_default=False
    ),
]
MaxRateOption = Annotated[float, typer.Option(help="Requests a second to one host.")]
ProxyOption = Annotated[str | None, typer.Option(metavar="URL", help="An http or https proxy.")]
AllowPrivateOption = Annotated[
    bool, typer.Option("--allow-private", help="Fetch from private addresses, too; only where you trust every source.")
]


def collect(
    photos: Annotated[Path, typer.Argument(help="Folder to collect in.", show_default=False)],
    positive: Annotated[
        list[str], typer.Option(metavar="PHRASE", help="Search for photos of the first label; repeat it for more.")
    ] = list(POSITIVE),  # noqa: B006, typer copies it
    negative: Annotated[
        list[str], typer.Option(metavar="PHRASE", help="Search for photos of the second label; repeat it for more.")
    ] = list(NEGATIVE),  # noqa: B006
    labels: LabelsOption = LABELS,
    per_label: PerLabelOption = 300,
    provider: ProviderOption = None,
    urls: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="List of addresses for the provider urls; repeat it.")
    ] = None,
    licences: LicencesOption = None,
    contact: ContactOption = "",
    max_rate: MaxRateOption = 2.0,
    proxy: ProxyOption = None,
    allow_private: AllowPrivateOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be fetched; write nothing.")] = False,
    credits: Annotated[  # noqa: A002
        bool, typer.Option("--credits", help="Write PHOTOS/CREDITS.md of what was collected; fetch nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Search the web for photos of both labels, and file the good ones: PHOTOS/<label>/*.

    PHOTOS/sources.csv says where each is from and under which licence, PHOTOS/rejected.csv why others were not taken.
    Start it again to go on where it stopped.
    """
    if credits:
        _write_credits(photos)
        return

    from roadclear.collect.client import ClientPolicy
    from roadclear.collect.collector import CollectRequest, searches_of
    from roadclear.collect.licences import licence_codes
    from roadclear.collect.providers import BY_LABEL, DEFAULT, make_provider
    from roadclear.collect.providers.settings import Settings

    manners = ClientPolicy(contact, max_rate, proxy, allow_private)
    codes = licence_codes(licences) if licences is not None else None
    settings = Settings(licences=codes, contact=contact, url_files=tuple(urls or ()), proxy=proxy)
    names = dict.fromkeys(provider or (["urls"] if urls else DEFAULT))
    providers = [make_provider(name, settings) for name in names]
    by_phrase = searches_of(
        {labels[0]: positive, labels[1]: negative}, [p for p in providers if p.name not in BY_LABEL]
    )
    by_label = searches_of({label: [label] for label in labels}, [p for p in providers if p.name in BY_LABEL])
    wish = CollectRequest(labels, per_label, (*by_phrase, *by_label), codes)
    (_plan if dry_run else _collect)(photos, wish, manners, json)


def _write_credits(photos: Path) -> None:
    from roadclear.collect.credits import write_credits

    console().print(f"Written: {printable(write_credits(photos))}")


def _plan(photos: Path, wish: "CollectRequest", manners: "ClientPolicy", json: bool) -> NoReturn:
    from dataclasses import asdict

    from roadclear.collect.client import open_client
    from roadclear.collect.collector import plan
    from roadclear.utils.tables import to_json

    with open_client(manners) as client:
        found, failures = plan(photos, wish, client)
    if json:
        print(to_json({"photos": [asdict(source) for source in found], "failures": failures}))
    else:
        rows = table("label", "provider", "licence", "address")
        for source in found:
            rows.add_row(source.label, source.provider, printable(source.licence), printable(source.image_url))
        console().print(rows)
        console().print(f"{len(found):,} photos would be fetched first. Nothing was written.")
    _end(failures, bool(found))


def _collect(photos: Path, wish: "CollectRequest", manners: "ClientPolicy", json: bool) -> NoReturn:
    from roadclear.collect.client import open_client
    from roadclear.collect.collector import collect
    from roadclear.utils.tables import to_json

    try:
        with open_client(manners) as client, progress_bars() as report:
            collection = collect(photos, wish, client, report)
    except KeyboardInterrupt:
        print("roadclear: stopped; start it again to go on", file=sys.stderr, flush=True)
        os._exit(FAILED)  # threads may be waiting for hosts; they write nothing
    if json:
        print(to_json(_values(collection, wish)))
    else:
        _print_summary(collection, wish, photos)
    _end(collection.failures, any(collection.photos.values()))


def _end(failures: tuple[str, ...], anything: bool) -> NoReturn:
    """Tell on stderr what failed, and end the command."""
    for failure in failures:
        print(f"roadclear: {printable(failure)}", file=sys.stderr)
    sys.exit((SOME_UNREADABLE if anything else FAILED) if failures else 0)


def _values(collection: "Collection", wish: "CollectRequest") -> dict[str, object]:
    return {
        "wanted": wish.per_label,
        "photos": collection.photos,
        "searches": [
            {
                "label": label,
                "provider": provider,
                "found": tally.found,
                "known": tally.known,
                "collected": tally.collected,
                "rejected": dict(tally.rejected),
            }
            for (label, provider), tally in collection.tallies.items()
        ],
        "licences": dict(collection.licences),
        "failures": collection.failures,
    }


def _print_summary(collection: "Collection", wish: "CollectRequest", photos: Path) -> None:
    from roadclear.collect.licences import UNKNOWN

    out = console()
    numbers = ["found", "known", "collected"]
    rows = table("label", "provider", *numbers, "rejected", numbers=numbers)
    for (label, provider), tally in collection.tallies.items():
        rejected = "\n".join(f"{count:,} {reason}" for reason, count in tally.rejected.most_common())
        rows.add_row(label, provider, f"{tally.found:,}", f"{tally.known:,}", f"{tally.collected:,}", rejected)
    out.print(rows)
    if collection.licences:
        licences = table("licence", "photos", numbers=["photos"])
        for licence, count in collection.licences.most_common():
            licences.add_row(printable(licence), f"{count:,}")
        out.print(licences)
    there = ", ".join(f"{count:,} {label}" for label, count in collection.photos.items())
    out.print(f"{printable(photos)}: {there}; asked for {wish.per_label:,} each.")
    if any(count < wish.per_label for count in collection.photos.values()):
        out.print("Too few? Add phrases (--positive, --negative) or providers (--provider).")
    if collection.licences[UNKNOWN]:
        out.print(
            f"Warning: for {collection.licences[UNKNOWN]:,} photos no licence is known. Look at their pages in "
            "sources.csv before you publish them.",
            style="yellow",
        )
