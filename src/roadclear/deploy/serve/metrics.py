"""Metrics for Prometheus: answers, requests, latency, queue, unfamiliar photos, drift."""

from collections.abc import Iterator
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from roadclear.deploy.serve.answers import Answer, Answerer
from roadclear.deploy.serve.drift import Drift, RecentPhotos
from roadclear.deploy.serve.work_queue import WorkQueue
from roadclear.model.decision.ood import FALSE_ALARMS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counts of a server, and what is measured when somebody asks.

    Args:
        queue: queue whose length is shown.
        answerer: first model.
    """

    def __init__(self, queue: WorkQueue, answerer: Answerer) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._answers = Counter("roadclear_answers", "Photos by their answer.", ["answer"], registry=registry)
        self._unfamiliar = Counter("roadclear_unfamiliar", "Photos unlike the training photos.", registry=registry)
        self._unreadable = Counter("roadclear_unreadable", "Photos that could not be used.", registry=registry)
        self._requests = Counter(
            "roadclear_requests", "Requests by endpoint and status.", ["endpoint", "status"], registry=registry
        )
        self._latency = Histogram(
            "roadclear_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._reloads = Counter("roadclear_reloads", "New models by result.", ["result"], registry=registry)
        self._measured = _Measured(queue, answerer)
        registry.register(self._measured)
        ProcessCollector(registry=registry)

    def use(self, answerer: Answerer) -> None:
        """Show another model from now on. Photos that other models answered leave the window of the drift."""
        self._measured.use(answerer)

    def count_answer(self, answerer: Answerer, answer: Answer) -> None:
        """Count an answer of a model."""
        self._answers.labels(answer.prediction.answer).inc()
        self._unfamiliar.inc(answer.prediction.unfamiliar)
        self._measured.add(answerer, answer)

    def count_unreadable(self) -> None:
        """Count a photo that could not be used."""
        self._unreadable.inc()

    def count_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request with its time in seconds. The endpoint is one of few names, never what a client sent."""
        self._requests.labels(endpoint, str(status)).inc()
        self._latency.labels(endpoint).observe(seconds)

    def count_reload(self, succeeded: bool) -> None:
        """Count a new model at the model's path."""
        self._reloads.labels("taken" if succeeded else "refused").inc()

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Measured(Collector):
    """What is measured when somebody asks."""

    def __init__(self, queue: WorkQueue, answerer: Answerer) -> None:
        self._queue = queue
        self._lock = Lock()
        self.use(answerer)

    def use(self, answerer: Answerer) -> None:
        with self._lock:
            self._answerer, self._recent = answerer, RecentPhotos(answerer.facts.validation)

    def add(self, answerer: Answerer, answer: Answer) -> None:
        with self._lock:
            if answerer is self._answerer:
                self._recent.add(answer.prediction.probability, answer.prediction.unfamiliar)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            answerer, share, drift = self._answerer, self._recent.unfamiliar_share(), self._recent.drift()
        facts = answerer.facts
        yield _gauge("queue_length", "Photos that wait.", self._queue.waiting)
        yield _gauge("queue_limit", "Largest number of photos that may wait.", self._queue.limit)
        model = GaugeMetricFamily(
            "roadclear_model", "The model that answers.", labels=["sha256", "positive", "negative"]
        )
        model.add_metric([answerer.sha256, facts.positive, facts.negative], 1)
        yield model
        yield _gauge("unfamiliar_expected", "Largest share of unfamiliar photos without drift.", FALSE_ALARMS)
        if share is not None:
            yield _gauge("unfamiliar_share", "Share of unfamiliar photos among the last 1,000.", share)
        known = facts.validation is not None
        yield _gauge(
            "drift_available", "1 for a model file that holds the probabilities of its validation photos.", known
        )
        if drift is not None:
            yield from _of_drift(drift)


def _of_drift(drift: Drift) -> Iterator[GaugeMetricFamily]:
    yield _gauge("drift_photos", "Photos in the comparison.", drift.photos)
    yield _gauge(
        "drift_distance",
        "Kolmogorov-Smirnov distance of the last photos' probabilities from those of the validation photos, in the mix "
        "of labels that fits best.",
        drift.distance,
    )
    yield _gauge("drift_limit", "Distance that chance exceeds in at most 1 of 100 cases.", drift.limit)
    yield _gauge("drift_positive_share", "Share of the positive label in the mix that fits best.", drift.positive_share)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"roadclear_{name}", words, value=float(value))
