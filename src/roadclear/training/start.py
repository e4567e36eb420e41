"""Start of a training from an earlier model: its weights, its head, and the photos that it has seen."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadclear.errors import OptionError
from roadclear.features.backbone.sources import SOURCES, InstalledFile
from roadclear.features.backbone.weights import BackboneWeights, load_weights
from roadclear.features.settings import FeatureSettings
from roadclear.model.heads import Head
from roadclear.model.metadata import ModelFacts
from roadclear.model.model_file import MODEL_FILE, is_file, is_folder
from roadclear.model.onnx_parts import read_parts
from roadclear.model.predictor import STOCK, load
from roadclear.utils.arrays import Bools
from roadclear.utils.text import printable

_PINNED = re.compile(r"(.+)@sha256:([0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Start:
    """An earlier model that a training starts from.

    Attributes:
        name: "stock", or the last part of the path of a run folder or a model file.
        option: value of `weights` that names this model and no other: path and SHA-256.
        sha256: SHA-256 of the model file, in hex.
        facts: facts in the model file.
        weights: weights of the backbone.
        head: calibrated head.
        ood_tensor: name of the highest tensor below which no training changed a layer.
    """

    name: str
    option: str
    sha256: str
    facts: ModelFacts
    weights: BackboneWeights
    head: Head
    ood_tensor: str

    def head_for(self, positive: str, negative: str, kind: str) -> Head | None:
        """Return the head for a task; None where the model has other labels, or a head of another kind.

        Args:
            positive: positive label. The head's logits are turned around where it is the model's negative label.
            negative: negative label.
            kind: kind of the head, "dense" or "linear".
        """
        facts = self.facts
        if {positive, negative} != {facts.positive, facts.negative} or kind != facts.head:
            return None
        return self.head if positive == facts.positive else self.head.with_temperature(-1.0)

    def has_seen(self, hashes: Sequence[str]) -> Bools:
        """Find photos that the model was trained on, by the filter in its file: bool [n].

        A file without a filter knows none. Other photos are found by chance at a rate of 1 in 10,000.

        Args:
            hashes: SHA-256 of the photos' files, in hex.
        """
        known = self.facts.trained_on
        return np.array([known is not None and sha256 in known for sha256 in hashes], dtype=np.bool_)


def open_start(settings: FeatureSettings) -> Start | None:
    """Open the earlier model that the settings name; None for a source of weights such as ``imagenet``.

    Args:
        settings: `weights` is the name of a source, "stock", or a path of a run folder or a model file. A path may be
            followed by ``@sha256:`` and the SHA-256 that the model file must have.

    Raises:
        OptionError: there is no source and no file of this name, the model has another SHA-256, or `weights_file` is
            given as well.
        ModelFileError: the file is not a model of ours.
        WeightsError: the installed weights are missing or damaged.
    """
    pinned = _PINNED.fullmatch(settings.weights)
    named, expected = (pinned[1], pinned[2]) if pinned else (settings.weights, None)
    if named in SOURCES and expected is None:
        return None
    _check_named(named, settings)
    model = load(named)
    sha256 = hashlib.sha256(model.data).hexdigest()
    if expected not in (None, sha256):
        raise OptionError(
            f"expected the model with the SHA-256 {expected} at {named!r}, found another with {sha256}: name the "
            "model that the run started from, or leave @sha256 out to start from this one"
        )
    parts = read_parts(model.data, sha256, model.facts)
    place = Path(named).resolve()
    return Start(
        name=named if named == STOCK else printable(place.parent.name if place.name == MODEL_FILE else place.name),
        option=f"{named if named == STOCK else place}@sha256:{sha256}",
        sha256=sha256,
        facts=model.facts,
        weights=_as_installed(parts.weights),
        head=parts.head,
        ood_tensor=parts.ood_tensor,
    )


def _check_named(named: str, settings: FeatureSettings) -> None:
    """Refuse what names neither a source of weights nor a model."""
    if not named or (named != STOCK and not is_folder(Path(named)) and not is_file(Path(named))):
        raise OptionError(
            f"weights must be one of {', '.join(SOURCES)}, stock, or the path of a run or a model.onnx, found "
            f"{named!r}: choose one of these"
        )
    if settings.weights_file is not None:
        raise OptionError(
            f"weights_file is a copy of the file of one of {', '.join(SOURCES)}, but weights names the model "
            f"{named!r}: leave weights_file out"
        )


def _as_installed(weights: BackboneWeights) -> BackboneWeights:
    """Return the installed weights where a model's backbone is equal to them, so that cached features serve both."""
    source = SOURCES.get(weights.name)
    if source is None or not isinstance(source.location, InstalledFile):
        return weights
    installed = load_weights(weights.name)
    here, there = installed.preprocessing, weights.preprocessing
    scaled_alike = np.allclose((here.mean, here.std), (there.mean, there.std), rtol=1e-6, atol=0)
    same = (
        scaled_alike
        and installed.padding == weights.padding
        and all(
            np.array_equal(folded.kernel, weights.convolutions[name].kernel)
            and np.array_equal(folded.bias, weights.convolutions[name].bias)
            for name, folded in installed.convolutions.items()
        )
    )
    return installed if same else weights
