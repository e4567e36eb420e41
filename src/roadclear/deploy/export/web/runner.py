"""Runner of the page's parts in Node.js: the JPEG decoder, the scaling, the runtime and the model of the page."""

import json
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from roadclear.deploy.export.runners import Answer
from roadclear.deploy.export.web.runtime import Runtime, node
from roadclear.errors import EngineError
from roadclear.images.decode import decode, read_bytes

PARTS = ("jpeg.js", "photo.js", "model.js")
"""Scripts that the page and the check share, in their order."""

_STRICT = '"use strict";\n'


def script(*names: str) -> str:
    """Join scripts of the page to one."""
    folder = resources.files("roadclear.deploy.export.web")
    return _STRICT + "".join(
        folder.joinpath(name).read_text(encoding="utf-8").replace(_STRICT, "") for name in (*PARTS, *names)
    )


def scales_rows_first() -> bool:
    """Whether the installed Pillow sometimes scales rows before columns, so that the page does so, too.

    Both passes round to 8 bits. So one call gives the pixels of two calls in the order that Pillow has.
    """
    pixels = Image.fromarray((np.arange(90 * 60) ** 2 % 251).astype(np.uint8).reshape(90, 60))
    whole = pixels.resize((48, 48), Image.Resampling.BILINEAR)
    steps = pixels.resize((60, 48), Image.Resampling.BILINEAR).resize((48, 48), Image.Resampling.BILINEAR)
    return whole.tobytes() == steps.tobytes()


class NodeRunner:
    """The page without a browser. A JPEG is decoded by the page's decoder, another photo by Pillow.

    Args:
        runtime: runtime of the page.
        model: content of model.onnx.
        size: side of the square input, in pixels.

    Raises:
        EngineError: Node.js is not installed.
    """

    def __init__(self, runtime: Runtime, model: bytes, size: int) -> None:
        program = node()
        self._folder = tempfile.TemporaryDirectory()
        place = Path(self._folder.name)
        files = {"check.js": script("check.js").encode(), "ort.mjs": runtime.script, "ort.wasm": runtime.wasm}
        for name, data in {**files, "model.onnx": model}.items():
            (place / name).write_bytes(data)
        names = [str(place / name) for name in ("check.js", "ort.mjs", "ort.wasm", "model.onnx")]
        self._process = subprocess.Popen(  # noqa: S603
            [program, *names, str(size), json.dumps(scales_rows_first())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self, photo: Path) -> Answer:
        """Predict a photo; see `roadclear.deploy.export.runners.Runner`."""
        place = Path(self._folder.name) / "photo"
        place.write_bytes(read_bytes(photo))
        found = self._ask({"file": str(place)})
        if "needs" in found:
            pixels = decode(read_bytes(photo))
            place.write_bytes(pixels.tobytes())
            found = self._ask({"file": str(place), "width": pixels.shape[1], "height": pixels.shape[0]})
        # JSON writes NaN and infinity as null, which becomes NaN here.
        probability, logit, offset = (float(np.float64(found[name])) for name in ("probability", "logit", "offset"))
        return Answer(
            probability=probability,
            logit=logit,
            residual=abs(logit - float(np.sum(np.array(found["heatmap"], np.float64))) - offset),
            unsure=found["unsure"],
            unfamiliar=found["unfamiliar"],
            seconds=found["seconds"],
        )

    def close(self) -> None:
        """End Node.js, and remove its files."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise EngineError("expected a running Node.js, found none")
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise EngineError(f"expected an answer from Node.js, found none ({self._last_words()}): install Node.js 20")
        found: dict[str, Any] = json.loads(line)
        return found

    def _last_words(self) -> str:
        self._process.kill()
        errors = self._process.communicate()[1] or ""
        return (errors.strip().splitlines() or ["no message"])[-1][:200]
