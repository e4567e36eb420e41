"""A frame as the model sees it: zone, prediction, and a small picture for the page."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from PIL import Image

from roadclear.deploy.watch.evidence import Answer, answer_of
from roadclear.deploy.watch.frames import Frame
from roadclear.deploy.watch.keep import look_of
from roadclear.deploy.watch.zone import Zone
from roadclear.errors import PhotoError
from roadclear.images.thumbnails import jpeg_bytes
from roadclear.model.predictor import Model
from roadclear.utils.threads import ordered_map, worker_threads

THUMBNAIL_SIDE = 320
_QUALITY = 70


@dataclass(frozen=True, eq=False)
class Seen:
    """Frame with the model's answer.

    Attributes:
        answer: what the model says; None for a frame that cannot be used.
        thumbnail: JPEG of the whole frame, 320 pixels at the longer side.
        look: fingerprint of what the model saw; 0 where nobody asked.
        whole: the whole frame, RGB; None where nobody asked.
        part: what the model saw, RGB; None where nobody asked.
    """

    answer: Answer | None
    thumbnail: bytes = b""
    look: int = 0
    whole: Image.Image | None = None
    part: Image.Image | None = None


class Eye:
    """Model that looks at frames. Thread-safe.

    Args:
        model: model that predicts.
        zone: part of the view that matters; None for all.
        looks: whether fingerprints are needed.
        pictures: whether pictures at full size are needed.
    """

    def __init__(self, model: Model, zone: Zone | None, looks: bool, pictures: bool) -> None:
        self._model, self._zone, self._looks, self._pictures = model, zone, looks, pictures

    def see(self, frame: Frame) -> Seen:
        """Predict one frame.

        Raises:
            OptionError: the zone does not fit the frame.
            EngineError, ModelFileError: see `roadclear.model.predictor.Model.predict`.
        """
        try:
            whole = frame.picture()
            part = whole if self._zone is None else self._zone.apply(whole)
            prediction = self._model.predict(part)
        except PhotoError:
            return Seen(None)
        small = whole.copy()
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
        return Seen(
            answer_of(frame.time, prediction),
            jpeg_bytes(small, _QUALITY),
            look_of(part) if self._looks else 0,
            whole if self._pictures else None,
            part if self._pictures else None,
        )

    def see_all(self, frames: Iterator[Frame]) -> Generator[Seen, None, None]:
        """Predict frames on all cores, in their order; memory does not grow with their number."""
        return ordered_map(self.see, frames, worker_threads())
