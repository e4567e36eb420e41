"""Answers of a model as columns of a table, for photos that are read shard by shard."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from roadclear.data.shards.mapping import Columns
from roadclear.features.engine import engine_key
from roadclear.features.space import PIPELINE
from roadclear.images.isolated import decode_isolated
from roadclear.model.predictor import Model


@dataclass(frozen=True)
class PredictionWork:
    """The answer for every photo; see `roadclear.data.shards.mapping.PhotoWork`.

    Attributes:
        model: model that answers. The model can be pickled.
        engine: inference engine of the model.
    """

    model: Model
    engine: str

    @property
    def key(self) -> str:
        """Everything that determines an answer, beside the photo."""
        facts = self.model.facts
        content = hashlib.sha256(self.model.data).hexdigest()
        rule = f"{facts.threshold!r} {facts.band!r}"
        return f"answers {content} {engine_key(self.engine, 'f32')} pipeline-{PIPELINE} {rule}"

    def fields(self) -> Sequence[tuple[str, Any]]:
        """Names and pyarrow types of the columns."""
        import pyarrow as pa

        numbers = [("probability", pa.float64()), ("distance", pa.float64())]
        return [("answer", pa.string()), ("predicted", pa.string()), *numbers, ("unfamiliar", pa.bool_())]

    def open(self, isolated: bool) -> Callable[[bytes, str], Columns]:
        """Make the function from a photo's content and SHA-256 to the columns."""
        size = self.model.facts.size

        def answer(content: bytes, sha256: str) -> Columns:
            found = self.model.predict(decode_isolated(content, size) if isolated else content)
            return {
                "answer": found.answer,
                "predicted": found.label,
                "probability": found.probability,
                "distance": found.distance,
                "unfamiliar": found.unfamiliar,
            }

        return answer
