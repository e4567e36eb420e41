"""The model that would be taken away, kept at hand to be tried.

The model is trained when somebody tries it, and again when photos or labels have changed. Until the new one is ready,
the last one answers, and the answer says so.
"""

import threading
import time
from typing import Any

from roadclear.deploy.studio.library import Library
from roadclear.deploy.studio.ports import Trainer
from roadclear.errors import RoadclearError
from roadclear.model.drawing.overlay import scale_ticks
from roadclear.model.predictor import Model


class Trying:
    """Answers to photos by the newest model. Threads may share an object.

    Args:
        library: photos of the folder.
        trainer: training.
    """

    def __init__(self, library: Library, trainer: Trainer) -> None:
        self._library, self._trainer = library, trainer
        self._training = threading.Lock()
        self._model: Model | None = None
        self._version = 0

    def answer(self, photo: bytes) -> dict[str, Any]:
        """Predict a photo, and say what every place of the photo adds.

        Args:
            photo: content of the file.

        Raises:
            PhotoError: the photo cannot be used.
            RoadclearError: there is no model yet.
        """
        model = self._newest()
        started = time.perf_counter()
        explained = model.explain(photo)
        seconds = time.perf_counter() - started
        said = explained.prediction
        return {
            "answer": said.answer,
            "label": said.label,
            "probability": said.probability,
            "positive": model.facts.positive,
            "threshold": model.facts.threshold,
            "unsure": said.unsure,
            "unfamiliar": said.unfamiliar,
            "distance": said.distance,
            "logit": explained.logit,
            "offset": explained.offset,
            "map": {"heatmap": explained.heatmap.tolist(), "limit": scale_ticks(explained.heatmap)[-1]},
            "milliseconds": 1000 * seconds,
            "outdated": self._version != self._library.listing.version,
        }

    def _newest(self) -> Model:
        """Return the newest model. The first one is waited for, later ones are trained aside."""
        if self._model is None:
            with self._training:
                if self._model is None:
                    self._train()
        elif self._version != self._library.listing.version and self._training.acquire(blocking=False):
            threading.Thread(target=self._train_aside, name="roadclear-try", daemon=True).start()
        assert self._model is not None  # noqa: S101, for the type checker
        return self._model

    def _train_aside(self) -> None:
        try:
            self._train()
        except RoadclearError:
            self._version = self._library.listing.version  # there are too few photos now; the last model answers on
        finally:
            self._training.release()

    def _train(self) -> None:
        listing = self._library.listing
        self._model = self._trainer.model(listing.dataset)
        self._version = listing.version
