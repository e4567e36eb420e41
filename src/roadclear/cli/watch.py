"""`roadclear watch`: a model and a video, folder or camera -> the times with the positive class in view."""

import shlex
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import SOME_UNREADABLE, console, progress_bars
from roadclear.cli.options import EngineOption, OverwriteOption, out_option, takes
from roadclear.cli.remarks import names_a_model, remark
from roadclear.deploy.watch.settings import EventSettings, FrameSettings
from roadclear.errors import OptionError
from roadclear.utils.files import check_free_file
from roadclear.utils.settings import options_of
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.deploy.watch.source import Source
    from roadclear.deploy.watch.watch import WatchJob, WatchResult
    from roadclear.model.predictor import Model

_STOCK = "stock"


@takes(FrameSettings, EventSettings)
def watch(
    chosen: dict[str, Any],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] SOURCE",
            help="A run folder, a model.onnx or 'stock'. (default: the stock model) Then a video file, a folder of "
            "frames, a camera number, or an address with rtsp:// or http://.",
            show_default=False,
        ),
    ],
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="Polygon of the view that matters: 'x,y x,y x,y', as shares of width and height or in pixels, or a "
            "JSON file. (default: the whole view)",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    began: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            help="Clock time at the start of a file, for the hours of the page. (default: not known)",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    engine: EngineOption = "openvino",
    out: Annotated[
        Path | None, out_option("events.csv, frames.csv, events.jsonl and index.html. (default: watch/<time>)")
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="New video of the watched frames with state and probability drawn in. (default: none)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    keep_unsure: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for frames that could not be decided, in one subfolder a label, to sort and train on. "
            "(default: none)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    at_most: Annotated[
        int,
        typer.Option(min=1, max=2000, help="Largest number of frames that are kept.", rich_help_panel="Output"),
    ] = 100,
    overwrite: OverwriteOption = False,
) -> None:
    """Find the times with people on the road: events of a video, a folder of frames, or a live camera.

    Lines of JSON on stdout tell when an event starts and when it ends. Ctrl-C ends a live watch.
    """
    from roadclear.deploy.watch.records import new_folder
    from roadclear.deploy.watch.watch import Keep, WatchJob
    from roadclear.model.predictor import load

    run, source = _divide(words)
    folder = out if out is not None else _default_folder()
    job = WatchJob(
        source=source,
        out=folder,
        frames=FrameSettings(**_named(chosen, FrameSettings)),
        events=EventSettings(**_named(chosen, EventSettings)),
        zone=_zone(zone),
        keep=None if keep_unsure is None else Keep(keep_unsure, at_most),
        annotate=annotate,
        began=None if began is None else began.astimezone(),
    )
    _check(job, overwrite)
    model = load(run, engine)
    new_folder(folder, overwrite)
    result = _watch(model, job)
    _print_result(result, job, model, run)
    sys.exit(SOME_UNREADABLE if result.broken else 0)


def _watch(model: "Model", job: "WatchJob") -> "WatchResult":
    """Watch to the end. A service is stopped by SIGTERM, which ends a live watch as Ctrl-C does."""
    from roadclear.deploy.watch.watch import watch as watch_source

    def tell(line: str) -> None:
        print(line, flush=True)

    if job.source.live:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress_bars() as progress:
        return watch_source(model, job, tell, remark, progress)


def _divide(words: list[str]) -> "tuple[str, Source]":
    """Split the words into a model and a source. Without a model, it is the stock model."""
    from roadclear.deploy.watch.source import find_source

    if len(words) > 2:
        raise OptionError(f"expected [RUN] SOURCE, got {len(words)} words: name one source")
    if len(words) == 2:
        if not names_a_model(words[0]) and words[0] != _STOCK:
            raise OptionError("expected a run or a model first, then the source: roadclear watch RUN SOURCE")
        return words[0], find_source(words[1])
    if names_a_model(words[0]):
        raise OptionError("expected a source after the model: a video, a folder of frames, a camera or an address")
    remark("No run was named: this is the stock model (roadclear info stock).")
    return _STOCK, find_source(words[0])


def _named(chosen: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {option.name: chosen[option.name] for option in options_of(kind) if option.name in chosen}


def _zone(text: str | None) -> Any:
    from roadclear.deploy.watch.zone import read_zone

    return None if text is None else read_zone(text)


def _default_folder() -> Path:
    return Path("watch") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _check(job: "WatchJob", overwrite: bool) -> None:
    """Refuse, before any work is done, what cannot be written."""
    from roadclear.deploy.watch.annotate import check_name

    if job.annotate is not None:
        check_name(job.annotate)
        check_free_file(job.annotate, overwrite)
    if job.keep is not None and job.keep.folder.exists() and not job.keep.folder.is_dir():
        raise OptionError(f"--keep-unsure needs a folder, found a file: {printable(str(job.keep.folder))!r}")


def _print_result(result: "WatchResult", job: "WatchJob", model: "Model", run: str) -> None:
    """Say what was found, on stderr, so that stdout has JSON alone. Frames to sort are trained on from the same run."""
    err = console(stderr=True)
    label = printable(model.facts.positive)
    events = f"{result.events:,} event{'' if result.events == 1 else 's'} of {label}"
    err.print(f"{events} in {result.seconds:,.1f} s, {result.event_seconds:,.1f} s in all. {result.frames:,} frames.")
    if result.broken:
        err.print(f"{result.broken:,} broken frames were passed over.")
    if job.keep is not None:
        where = printable(str(job.keep.folder))
        again = shlex.join(["roadclear", "train", where, "--weights", printable(run)])
        err.print(f"{result.kept:,} undecided frames: {where}. Sort them, then: {again}")
    err.print(f"Events: {printable(str(job.out / 'index.html'))}")
