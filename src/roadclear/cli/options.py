"""Options of the command line: those that settings declare, and those that several commands share."""

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from roadclear.cli.remarks import quietly
from roadclear.utils.settings import Option, Settings, options_of

PANELS = ("Data", "Split", "Augmentation", "Head", "Fine-tuning", "Decision", "Engine", "Output")
"""Groups of options, in the order in which the help shows them."""

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, a model.onnx, or 'stock'.", show_default=False)
]
SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS",
        help="Folder with one subfolder of photos per label, a ZIP or tar archive of such a folder, a CSV table with "
        "the columns file and label, or a Parquet file; here, or by an s3://, gs:// or https:// address.",
        show_default=False,
    ),
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder or s3:// address with Parquet files of features, as roadclear extract writes them. Missing "
        "files are computed. train takes all photos in the folder where no PHOTOS are named. (default: the cache)",
        show_default=False,
        rich_help_panel="Output",
    ),
]
OnOption = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="local|ray",
        help="Where photos are read and computed: on this machine, or on the Ray cluster of RAY_ADDRESS. Without "
        "RAY_ADDRESS, a cluster is started here.",
        rich_help_panel="Engine",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="openvino|onnxruntime", help="Inference engine that runs the model.", rich_help_panel="Engine"
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the numbers as JSON on stdout.", rich_help_panel="Output")
]
CacheOption = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Cache what is computed from each photo, for later runs.", rich_help_panel="Output"
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an existing output folder of this command.", rich_help_panel="Output"),
]


def out_option(content: str) -> Any:
    """Declare the option for the folder that a command makes, a parameter of type `Path | None`.

    Args:
        content: what the folder is for, and its default.
    """
    return typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help=f"New folder for {content}",
        show_default=False,
        rich_help_panel="Output",
    )


FoldsOption = Annotated[int, typer.Option(help="Number of cross-validation folds.", rich_help_panel="Split")]
RepeatsOption = Annotated[
    int, typer.Option(help="Number of repeats of cross-validation, each with new folds.", rich_help_panel="Split")
]

QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show neither progress nor remarks.", rich_help_panel="Output"),
]

Command = Callable[..., Any]


def takes(*kinds: type[Settings], without: Collection[str] = (), **defaults: Any) -> Callable[[Command], Command]:
    """Give a command the options that settings declare.

    The command has a parameter `chosen`: it gets the options that the user named, by name, and what `defaults` says.

    Args:
        kinds: settings classes, whose options the command takes.
        without: names of options that the command does not take.
        defaults: defaults of the command that differ from those of the settings.
    """
    declared = {option.name: option for kind in kinds for option in options_of(kind)}  # type: ignore[arg-type]
    declared = {name: option for name, option in declared.items() if name not in without}

    def decorate(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "chosen"]
        made = [_parameter(option, defaults.get(name, option.default)) for name, option in declared.items()]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = [context, *sorted([*own, *made], key=_panel)]

        @wraps(command)
        def run(context: typer.Context, **values: Any) -> Any:
            given = {name: values.pop(name) for name in declared}
            chosen = {name: value for name, value in given.items() if _is_named(context, name)}
            return command(chosen={**defaults, **chosen}, **values)

        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def can_be_quiet(command: Command) -> Command:
    """Give a command the option `--quiet`."""
    own = inspect.signature(command).parameters.values()
    quiet = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QuietOption)
    parameters = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), quiet]

    @wraps(command)
    def run(quiet: bool, **values: Any) -> Any:
        with quietly(quiet):
            return command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _is_named(context: typer.Context, name: str) -> bool:
    """Whether the user named an option on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameter(option: Option, default: Any) -> inspect.Parameter:
    """A declared option as Typer wants it."""
    flag = [f"--{option.name.replace('_', '-')}"] if option.type is bool else []
    numbers_and_words = option.type == int | str
    info = typer.Option(
        *flag,
        help=_help(option),
        metavar=_metavar(option),
        rich_help_panel=option.panel,
        parser=_number_or_word if numbers_and_words else None,
    )
    kind = str if numbers_and_words else option.type
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=str(default) if numbers_and_words else default,
        annotation=Annotated[kind, info],
    )


def _help(option: Option) -> str:
    expected = option.setting.expected
    return option.setting.help if option.setting.choices or not expected else f"{option.setting.help} ({expected})"


def _metavar(option: Option) -> str | None:
    setting = option.setting
    if setting.metavar or not setting.choices:
        return setting.metavar or None
    numbers = [f"{setting.ge}-{setting.le}"] if setting.ge is not None and setting.le is not None else []
    return "|".join([*numbers, *setting.choices])


def _number_or_word(value: str) -> int | str:
    """A whole number where the text is one; the settings say which words may stand there."""
    return int(value) if value.lstrip("-").isdecimal() else value


def _panel(parameter: inspect.Parameter) -> int:
    """Arguments first, then options by panel, in the order of their declaration."""
    info = next((entry for entry in get_args(parameter.annotation)[1:]), None)
    if not isinstance(info, typer.models.OptionInfo):
        return -1
    return PANELS.index(info.rich_help_panel) if info.rich_help_panel in PANELS else 0
