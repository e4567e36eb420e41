"""Seconds by stage of a training."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from roadclear.features.extractor import ExtractionStats


@dataclass
class Stopwatch:
    """Measures stages. Features that a stage has computed count as features, not as part of the stage.

    Attributes:
        stats: what the extraction of features has cost so far.
        seconds: by stage.
    """

    stats: ExtractionStats
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what runs inside."""
        started, features_before = time.perf_counter(), self.stats.features_s
        yield
        features_meanwhile = self.stats.features_s - features_before
        self.seconds[name] = time.perf_counter() - started - features_meanwhile

    def timing(self, photos: int, total_s: float) -> Mapping[str, float]:
        """Seconds by stage (`decode_s` summed over threads), and counts of photos and computed views."""
        return {
            "photos": photos,
            "views": self.stats.inferences,
            "decode_s": self.stats.decode_s,
            "features_s": self.stats.features_s,
            **self.seconds,
            "total_s": total_s,
        }
