"""The model that answers now, and its replacement when the file has another content."""

import threading
from collections.abc import Callable
from pathlib import Path

from roadclear.deploy.serve.answers import Answerer
from roadclear.errors import RoadclearError
from roadclear.model.model_file import METRICS_FILE, MODEL_FILE, is_folder
from roadclear.model.predictor import STOCK, load

_PAUSE_S = 1.0
_Signature = tuple[tuple[int, ...] | None, ...]


class CurrentModel:
    """Model that answers now. Requests in flight keep the model that they began with.

    A thread looks at the file once a second. A file of another content is loaded and tried on a grey photo. Only then
    it takes the place of the old model. A file that cannot be used changes nothing.

    Args:
        path: run folder or model file, or "stock", which never changes.
        engine: "openvino" or "onnxruntime".

    Attributes:
        answerer: model that answers now.

    Raises:
        ModelFileError: there is no model, or not one of ours.
        EngineError: the engine is not installed, or cannot run the model.
    """

    def __init__(self, path: str, engine: str = "openvino") -> None:
        self._path, self._engine = path, engine
        self._signature = self._look()
        self.answerer = Answerer(load(path, engine))
        self.answerer.warm_up()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, tell: Callable[["Answerer | RoadclearError"], None], pause: float = _PAUSE_S) -> None:
        """Look for another model in a thread, until `close`.

        Args:
            tell: called with each new model, after it has taken its place, and with the error of a refused one.
            pause: seconds between two looks.
        """
        if self._path != STOCK:
            self._thread = threading.Thread(
                target=self._watch, args=(tell, pause), name="roadclear-reload", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, tell: Callable[["Answerer | RoadclearError"], None], pause: float) -> None:
        while not self._stopped.wait(pause):
            signature = self._look()
            if signature == self._signature:
                continue
            # A file that is half written is refused now, and changes once more when it is whole.
            self._signature = signature
            try:
                found = Answerer(load(self._path, self._engine))
                if found.sha256 == self.answerer.sha256:
                    continue
                found.warm_up()
            except RoadclearError as error:
                tell(error)
                continue
            self.answerer = found
            tell(found)

    def _look(self) -> _Signature:
        """What the system says of the files: a change of content changes this, and little else does."""
        path = Path(self._path)
        files = (path / MODEL_FILE, path / METRICS_FILE) if is_folder(path) else (path,)
        return tuple(_status(file) for file in files)


def _status(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
