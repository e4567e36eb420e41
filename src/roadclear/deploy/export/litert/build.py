"""Export to LiteRT: the file, and a runner that checks the file by LiteRT's interpreter."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from roadclear.deploy.export.litert.translate import translate
from roadclear.deploy.export.made import Made
from roadclear.deploy.export.readme import litert_readme
from roadclear.deploy.export.runners import OUTPUTS, Answer, answer_of
from roadclear.errors import EngineError
from roadclear.images.decode import read_photo
from roadclear.model.predictor import Model

FILE = "model.tflite"
WEIGHTS: Mapping[str, str] = {"litert": "float32", "litert-f16": "float16", "litert-int8": "int8"}
"""How each format stores large constants."""

_STDERR = 2


def make_litert(model: Model, to: str) -> Made:
    """Make model.tflite.

    Args:
        model: model to export.
        to: format, one of `WEIGHTS`.

    Raises:
        EngineError: ai-edge-litert is not installed.
    """
    files = {
        FILE: translate(model.data, model.facts, WEIGHTS[to]),
        "README.md": litert_readme(model.facts),
    }
    return Made(files, (FILE,), to == "litert", lambda folder: LitertRunner(folder / FILE, model.facts.size))


class LitertRunner:
    """A .tflite file in LiteRT's interpreter, on one thread.

    Args:
        file: path of the file.
        size: side of the square input, in pixels.

    Raises:
        EngineError: the interpreter refuses the file.
    """

    def __init__(self, file: Path, size: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with _quiet():
                self._run = Interpreter(str(file), num_threads=1).get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"LiteRT refuses {file.name}: {str(error).strip()[:200]}") from error
        self._size = size

    def answer(self, photo: Path) -> Answer:
        """Predict a photo; see `roadclear.deploy.export.runners.Runner`."""
        pixels = read_photo(photo, self._size)
        started = time.perf_counter()
        outputs = self._run(photo=pixels[None])
        seconds = time.perf_counter() - started
        return answer_of({name: outputs[name][0] for name in OUTPUTS}, seconds)

    def close(self) -> None:
        """Nothing was started."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's note on its delegate from stderr. LiteRT has no switch for its notes."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # stderr is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123, a device
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
