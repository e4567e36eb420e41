"""`roadclear studio`: a folder of photos -> a local page to label, train, understand and try."""

import shlex
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from roadclear.cli.collect import LABELS
from roadclear.cli.options import takes
from roadclear.data.settings import LabelSettings
from roadclear.deploy.studio.settings import StudioSettings
from roadclear.errors import OptionError
from roadclear.features.settings import EngineSettings, FeatureSettings
from roadclear.model.settings import DecisionSettings, HeadSettings
from roadclear.training.config import TrainSettings
from roadclear.utils.settings import SeedSettings, options_of
from roadclear.utils.text import printable

_KINDS = (LabelSettings, HeadSettings, DecisionSettings, FeatureSettings, EngineSettings, SeedSettings)
"""Options of the training that the studio takes. Fine-tuning takes too long to follow every change."""

_NEEDS = "the studio needs FastAPI and uvicorn: pip install 'roadclear[serve]'"


@takes(StudioSettings, *_KINDS)
def studio(
    chosen: dict[str, Any],
    photos: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PHOTOS]",
            help="Folder with one subfolder of photos per label. (default: a new folder with two empty labels)",
            show_default=False,
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of unlabelled photos. (default: beside PHOTOS, with -unlabelled behind its name)",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the runs that the page exports.", rich_help_panel="Output"),
    ] = Path("runs"),
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the npm package onnxruntime-web, for the exported web page. (default: fetched by npm)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option(
            "--allow-private",
            help="Collect from private network addresses, too. Use only if you trust every source.",
            rich_help_panel="Output",
        ),
    ] = False,
) -> None:
    """Open a page on this machine to label photos, see how good the model is, try it, and take it away.

    Folders stay the interface: every change is a move on disk, and can be undone. Ctrl-C ends the studio.
    """
    own = {option.name for option in options_of(StudioSettings)}
    settings = TrainSettings.from_mapping({name: value for name, value in chosen.items() if name not in own})
    _check_installed()

    from roadclear.cli.studio.exporter import RunExporter
    from roadclear.cli.studio.trainer import SessionTrainer
    from roadclear.curation.editing import Editor
    from roadclear.data.dataset import label_names
    from roadclear.deploy.studio.behind import Studio
    from roadclear.deploy.studio.run import lock_studio, serve
    from roadclear.features.cache import open_cache
    from roadclear.utils.files import as_output_error
    from roadclear.utils.paths import default_cache_path

    folder = photos if photos is not None else _new_folder()
    with ExitStack() as stack:
        with as_output_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
        lock_studio(folder, stack)
        labels = LABELS if _is_bare(folder) else label_names(folder)
        editor = Editor(folder, labels, unlabelled if unlabelled is not None else _beside(folder))
        cache = stack.enter_context(open_cache(default_cache_path()))
        options = {name: value for name, value in chosen.items() if name not in own}
        exporter = RunExporter(folder, settings, runs, runtime, _words(options))
        made = Studio(editor, SessionTrainer(settings, cache), exporter, allow_private)
        serve(made, StudioSettings(**{name: chosen[name] for name in own if name in chosen}), _tell(folder))


def _tell(folder: Path) -> Any:
    def tell(address: str) -> None:
        print(f"Studio of {printable(folder)}: {address}\nCtrl-C ends it.", flush=True)

    return tell


def _is_bare(folder: Path) -> bool:
    """Whether a folder has no subfolder yet, so that its labels are to be made."""
    return not any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir())


def _new_folder() -> Path:
    return Path(f"photos-{datetime.now().astimezone():%Y%m%d-%H%M%S}")


def _beside(folder: Path) -> Path:
    """The folder of unlabelled photos where the person names none."""
    place = folder.resolve()
    return place.with_name(f"{place.name}-unlabelled")


def _words(options: dict[str, Any]) -> str:
    """The options of the training, as they are typed."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [flag, str(value)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise OptionError(_NEEDS)
