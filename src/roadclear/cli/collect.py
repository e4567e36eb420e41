"""`roadclear collect`: search phrases -> two folders of photos, or tar shards, and tables of their sources."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from roadclear.cli.console import FAILED, SOME_UNREADABLE, console, progress_bars, table
from roadclear.cli.options import JsonOption
from roadclear.errors import OptionError
from roadclear.utils.storage import address_of, name_of
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.collect.client import ClientPolicy
    from roadclear.collect.collector import Collection, CollectRequest

POSITIVE, NEGATIVE = ("people crossing the road",), ("empty road",)
LABELS = ("crossing", "empty")

LabelsOption = Annotated[
    tuple[str, str],
    typer.Option(
        metavar="POSITIVE NEGATIVE",
        help="Names of the two label folders. (default: crossing empty)",
        show_default=False,
        rich_help_panel="Data",
    ),
]
PerLabelOption = Annotated[int, typer.Option(help="Number of photos to collect per label.", rich_help_panel="Data")]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Provider to search. Repeat the option for several. (default: openverse and wikimedia)",
        rich_help_panel="Data",
    ),
]
UrlsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="File of photo addresses for the provider urls. Repeat the option for several.",
        rich_help_panel="Data",
    ),
]
LicencesOption = Annotated[
    str | None,
    typer.Option(
        "--licenses",
        metavar="LIST",
        help="Accepted licences, such as cc0,by,by-sa. (default: any)",
        rich_help_panel="Data",
    ),
]
ContactOption = Annotated[
    str,
    typer.Option(
        envvar="ROADCLEAR_CONTACT",
        help="Your e-mail address or web page, sent to every host.",
        show_default=False,
        rich_help_panel="Network",
    ),
]
MaxRateOption = Annotated[
    float, typer.Option(help="Maximum number of requests per second to one host.", rich_help_panel="Network")
]
ProxyOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Address of an http or https proxy.", rich_help_panel="Network")
]
AllowPrivateOption = Annotated[
    bool,
    typer.Option(
        "--allow-private",
        help="Also fetch from private network addresses. Use only if you trust every source.",
        rich_help_panel="Network",
    ),
]


def collect(
    photos: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PHOTOS]", help="Folder for the collected photos, new or from an earlier run.", show_default=False
        ),
    ] = None,
    positive: Annotated[
        list[str],
        typer.Option(
            metavar="PHRASE",
            help="Search phrase for the first label. Repeat the option for several.",
            rich_help_panel="Data",
        ),
    ] = list(POSITIVE),  # noqa: B006, typer copies it
    negative: Annotated[
        list[str],
        typer.Option(
            metavar="PHRASE",
            help="Search phrase for the second label. Repeat the option for several.",
            rich_help_panel="Data",
        ),
    ] = list(NEGATIVE),  # noqa: B006
    labels: LabelsOption = LABELS,
    per_label: PerLabelOption = 300,
    provider: ProviderOption = None,
    urls: UrlsOption = None,
    licences: LicencesOption = None,
    contact: ContactOption = "",
    max_rate: MaxRateOption = 2.0,
    proxy: ProxyOption = None,
    allow_private: AllowPrivateOption = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Append the photos to tar shards in this folder or at this s3:// address, in the place of PHOTOS.",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    shard_photos: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of photos in a tar shard of --to. A shard of 1 GB is finished earlier. (default: 1000)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="List the photos that would be fetched, without writing any.", rich_help_panel="Output"
        ),
    ] = False,
    credits: Annotated[  # noqa: A002
        bool,
        typer.Option(
            "--credits",
            help="Write CREDITS.md about the collected photos beside the photos, without fetching any.",
            rich_help_panel="Output",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing CREDITS.md.", rich_help_panel="Output")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Search the web for photos of both labels, and save the usable photos under PHOTOS/<label>/.

    PHOTOS/sources.csv lists the source and licence of every photo, PHOTOS/rejected.csv why other photos were rejected.
    Run the same command again to continue after an interruption.

    With --to the photos go to tar shards, beside tables of the same content. Runs at the same time keep --max-rate
    together, and may collect into one place of shards.
    """
    place = _place(photos, to, shard_photos)
    if credits:
        _write_credits(place, to is not None, overwrite)
        return

    from roadclear.collect.client import ClientPolicy
    from roadclear.collect.collector import CollectRequest, searches_of
    from roadclear.collect.licences import licence_codes
    from roadclear.collect.providers import BY_LABEL, DEFAULT, make_provider
    from roadclear.collect.providers.settings import Settings
    from roadclear.collect.shard_store import PHOTOS_A_SHARD
    from roadclear.utils.paths import turns_path

    policy = ClientPolicy(contact, max_rate, proxy, allow_private, turns_path())
    codes = licence_codes(licences) if licences is not None else None
    settings = Settings(licences=codes, contact=contact, url_files=tuple(urls or ()), proxy=proxy)
    names = dict.fromkeys(provider or (["urls"] if urls else DEFAULT))
    providers = [make_provider(name, settings) for name in names]
    by_phrase = searches_of(
        {labels[0]: positive, labels[1]: negative}, [p for p in providers if p.name not in BY_LABEL]
    )
    by_label = searches_of({label: [label] for label in labels}, [p for p in providers if p.name in BY_LABEL])
    shards = None if to is None else PHOTOS_A_SHARD if shard_photos is None else shard_photos
    request = CollectRequest(labels, per_label, (*by_phrase, *by_label), codes, shards)
    (_plan if dry_run else _collect)(place, request, policy, json)


def _place(photos: Path | None, to: str | None, shard_photos: int | None) -> str:
    """Return the one place that photos are collected in."""
    if (photos is None) == (to is None):
        raise OptionError("expected PHOTOS, a folder of photos, or --to DIR for tar shards: name one of them")
    if to is not None:
        return to
    if shard_photos is not None:
        raise OptionError("--shard-photos is the size of tar shards: expected --to DIR, found a folder of photos")
    if address_of(photos or "") is not None:
        raise OptionError(f"expected tar shards in an object store: write --to {name_of(photos or '')}")
    return str(photos)


def _write_credits(place: str, sharded: bool, overwrite: bool) -> None:
    from roadclear.collect.credits import write_credits, write_shard_credits

    path = write_shard_credits(place, overwrite) if sharded else write_credits(Path(place), overwrite)
    console().print(f"Credits: {printable(path)}")


def _plan(place: str, request: "CollectRequest", policy: "ClientPolicy", json: bool) -> NoReturn:
    from dataclasses import asdict

    from roadclear.collect.client import open_client
    from roadclear.collect.collector import plan
    from roadclear.utils.tables import to_json

    with open_client(policy) as client:
        found, failures = plan(place, request, client)
    if json:
        print(to_json({"photos": [asdict(source) for source in found], "failures": failures}))
    else:
        rows = table("label", "provider", "licence", "address")
        for source in found:
            rows.add_row(source.label, source.provider, printable(source.licence), printable(source.image_url))
        console().print(rows)
        console().print(f"{len(found):,} photos would be fetched first. No file was written.")
    _end(failures, bool(found))


def _collect(place: str, request: "CollectRequest", policy: "ClientPolicy", json: bool) -> NoReturn:
    from roadclear.collect.client import open_client
    from roadclear.collect.collector import collect
    from roadclear.utils.tables import to_json

    # A machine that is taken away ends its programs by SIGTERM. The open shard is then written, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open_client(policy) as client, progress_bars() as progress:
            collection = collect(place, request, client, progress)
    except KeyboardInterrupt:
        print("roadclear: stopped; run the same command again to continue", file=sys.stderr, flush=True)
        os._exit(FAILED)  # threads may still wait for hosts; the threads write nothing
    if json:
        print(to_json(_values(collection, request)))
    else:
        _print_summary(collection, request, place)
    _end(collection.failures, any(collection.photos.values()))


def _end(failures: tuple[str, ...], anything: bool) -> NoReturn:
    """Print failures on stderr, and end the command."""
    for failure in failures:
        print(f"roadclear: {printable(failure)}", file=sys.stderr)
    sys.exit((SOME_UNREADABLE if anything else FAILED) if failures else 0)


def _values(collection: "Collection", request: "CollectRequest") -> dict[str, object]:
    return {
        "wanted": request.per_label,
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


def _print_summary(collection: "Collection", request: "CollectRequest", place: str) -> None:
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
    out.print(f"{printable(place)}: {there}. Requested: {request.per_label:,} per label.")
    if any(count < request.per_label for count in collection.photos.values()):
        out.print(
            "There are fewer photos than requested. Add phrases (--positive, --negative) or providers (--provider)."
        )
    if collection.licences[UNKNOWN]:
        out.print(
            f"Warning: {collection.licences[UNKNOWN]:,} photos have no known licence. Check the web pages listed in "
            "the tables of sources before publishing the photos.",
            style="yellow",
        )
