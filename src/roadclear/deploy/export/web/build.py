"""Build of the page: template, scripts, runtime and model become one HTML file."""

import base64
import gzip
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from roadclear.deploy.export.made import Made
from roadclear.deploy.export.readme import web_readme
from roadclear.deploy.export.web.runner import NodeRunner, scales_rows_first, script
from roadclear.deploy.export.web.runtime import Runtime, get_runtime, node
from roadclear.model.metadata import ModelFacts
from roadclear.model.predictor import Model
from roadclear.utils.html import html_environment

_PAGE = "index.html"
_ROOM = "roadclear.deploy.export.web"


def make_web(model: Model, runtime: Path | None) -> Made:
    """Make the page, with the runtime and the model inside.

    Args:
        model: model to export.
        runtime: folder with the files of onnxruntime-web; None to get them by npm.

    Raises:
        EngineError: Node.js or npm is missing, or the runtime is another.
    """
    node()
    files = get_runtime(runtime)
    worker = resources.files(_ROOM).joinpath("sw.js").read_bytes()
    page = build_page(model.data, model.facts, files)
    made = {_PAGE: page, "sw.js": worker, "README.md": web_readme(model.facts)}
    return Made(made, (_PAGE,), True, lambda folder: NodeRunner(files, model.data, model.facts.size))


def build_page(model: bytes, facts: ModelFacts, runtime: Runtime) -> bytes:
    """Render the page as one HTML file in UTF-8 that needs no network."""
    return _render(facts, {"model": model, "wasm": runtime.wasm, "ort": runtime.script}, None)


def build_served_page(facts: ModelFacts, sha256: str, megabytes: float | None) -> bytes:
    """Render the page that a server answers, as HTML in UTF-8. It asks the server by relative addresses.

    Args:
        facts: facts of the model.
        sha256: SHA-256 of the model file, in hex.
        megabytes: size of the model and its runtime, which the server also offers to answer in the browser; None where
            the server alone answers.
    """
    return _render(facts, {}, {"sha256": sha256, "inBrowser": megabytes is not None, "megabytes": megabytes})


def _render(facts: ModelFacts, parts: Mapping[str, bytes], served: Mapping[str, Any] | None) -> bytes:
    names = {
        "positive": facts.positive,
        "negative": facts.negative,
        "threshold": facts.threshold,
        "size": facts.size,
        "rowsFirst": scales_rows_first(),
        **({} if served is None else {"served": True, **served}),
    }
    scripts = script("page.js") if served is None else script("server.js", "page.js")
    page = (
        html_environment(_ROOM)
        .get_template("page.html.j2")
        .render(
            facts=facts,
            served=served,
            known=Markup(_harmless(json.dumps(names))),  # noqa: S704, JSON without a tag
            script=Markup(scripts),  # noqa: S704, our own scripts
            parts={name: _packed(data) for name, data in parts.items()},
        )
    )
    return page.encode()


def _packed(data: bytes) -> Markup:
    """Write bytes as base64 of their gzip, which no HTML can end."""
    return Markup(base64.b64encode(gzip.compress(data, 6, mtime=0)).decode())  # noqa: S704


def _harmless(text: str) -> str:
    """Escape what could end a script element."""
    return text.replace("<", "\\u003c")
