"""`roadclear serve`: a model behind HTTP, for programs, model servers' clients and browsers."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from roadclear.cli.options import EngineOption, takes
from roadclear.cli.remarks import remark
from roadclear.deploy.serve.settings import ServeSettings

_STOCK = "stock"


@takes(ServeSettings)
def serve(
    chosen: dict[str, Any],
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder, a model.onnx or 'stock'. A new model at the same place is taken up without a stop. "
            "(default: the stock model)",
            show_default=False,
        ),
    ] = _STOCK,
    engine: EngineOption = "openvino",
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar="ROADCLEAR_API_KEY",
            help="Key that every request must send. Other users of this machine can read options, so rather set the "
            "variable. (default: none, which is allowed on this machine alone)",
            show_default=False,
            rich_help_panel="Network",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Host name that requests may name, for a reverse proxy. May be repeated. (default: names of this "
            "machine; with a key and another --host, any)",
            show_default=False,
            rich_help_panel="Network",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin of foreign pages that may ask, such as https://example.org. May be repeated. (default: none)",
            show_default=False,
            rich_help_panel="Network",
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the npm package onnxruntime-web, so that the page can answer in the browser, too. "
            "(default: the server alone answers)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Answer photos over HTTP: a page, a simple address for programs, and the Open Inference Protocol.

    The server is reached from this machine alone, unless there is a key. SIGTERM and Ctrl-C end the server after the
    requests in flight.
    """
    from roadclear.deploy.serve.server import ServeJob, check_installed
    from roadclear.deploy.serve.server import serve as serve_model

    check_installed()
    job = ServeJob(
        model=run,
        settings=ServeSettings(**chosen),
        engine=engine,
        key=api_key,
        hosts=tuple(allow_host or ()),
        origins=tuple(allow_origin or ()),
        runtime=runtime,
    )
    if run == _STOCK:
        remark("This is the stock model (roadclear info stock).")
    serve_model(job, remark)
    sys.exit(0)
