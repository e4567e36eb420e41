"""Service: the current model, the queue, the body limits and the metrics, joined. Knows HTTP only by its bodies."""

import time
from collections.abc import Sequence
from functools import partial

from PIL import Image

from roadclear.deploy.serve.answers import Answer, Answerer, SentPhoto
from roadclear.deploy.serve.bodies import BodyLimits
from roadclear.deploy.serve.metrics import Metrics
from roadclear.deploy.serve.reload import CurrentModel
from roadclear.deploy.serve.settings import ServeSettings
from roadclear.deploy.serve.work_queue import WorkQueue
from roadclear.errors import PhotoError
from roadclear.images.isolated import decode_isolated
from roadclear.images.photo import png_bytes
from roadclear.utils.threads import worker_threads


class Service:
    """Answers to photos, on all cores, within limits.

    Args:
        model: model that answers.
        settings: queue, deadline and largest body.

    Attributes:
        bodies: limits of bodies.
        metrics: counts for Prometheus.
        queue: queue of photos.
        settings: settings of the server.
    """

    def __init__(self, model: CurrentModel, settings: ServeSettings) -> None:
        self._model = model
        self.settings = settings
        # One more than cores, because one often waits for a decoder in another process.
        self.queue = WorkQueue(worker_threads(), settings.queue)
        self.bodies = BodyLimits(int(settings.max_body * 1e6))
        self.metrics = Metrics(self.queue, model.answerer)

    @property
    def answerer(self) -> Answerer:
        """Model that answers now."""
        return self._model.answerer

    def deadline(self) -> float:
        """Moment of `time.monotonic` at which a request that begins now must be answered."""
        return time.monotonic() + self.settings.deadline

    async def answer(
        self, answerer: Answerer, photos: Sequence[SentPhoto], deadline: float, explain: bool = False
    ) -> list[Answer | PhotoError]:
        """Answer photos by one model.

        Args:
            answerer: model that answers, see `answerer`.
            photos: contents of files, or pixels of the model's size.
            deadline: moment of `time.monotonic` at which the answer must be there.
            explain: whether the places of the photos are explained.

        Returns:
            Answer to each photo, or why the photo cannot be used.

        Raises:
            QueueFullError: too many photos wait.
            DeadlineError: the deadline passed.
            ModelFileError, EngineError: the model cannot answer.
        """
        tasks = [partial(_answer, answerer, photo, explain) for photo in photos]
        answers = await self.queue.run(tasks, deadline)
        for answer in answers:
            if isinstance(answer, PhotoError):
                self.metrics.count_unreadable()
            else:
                self.metrics.count_answer(answerer, answer)
        return answers

    def warm_up(self) -> None:
        """Start the decoders, one a thread, so that the first photos do not wait for them."""
        size = self.answerer.facts.size
        photo = png_bytes(Image.new("RGB", (size, size)))
        self.queue.do_on_all_threads(partial(decode_isolated, photo, size))

    def close(self) -> None:
        """End the threads."""
        self.queue.close()


def _answer(answerer: Answerer, photo: SentPhoto, explain: bool) -> Answer | PhotoError:
    try:
        return answerer.answer(photo, explain)
    except PhotoError as error:
        return error
