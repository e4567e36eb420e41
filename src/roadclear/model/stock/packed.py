"""Arrays and facts of the stock model, packed for the package: NumPy arrays and JSON without pickle."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import WeightsError
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution, load_weights
from roadclear.model.content_filter import ContentFilter
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.ood import Ood, OodGaussian, OodReference
from roadclear.model.decision.promise import Promise
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.heads import DenseHead
from roadclear.model.metadata import ModelFacts


def pack(base: BackboneWeights, weights: BackboneWeights, head: DenseHead, ood: Ood, facts: ModelFacts) -> bytes:
    """Pack a trained model, with kernels in half precision.

    Args:
        base: weights before the training. Convolutions that did not change are left out.
        weights: weights of the model's backbone. The facts hold their name, SHA-256 and origin.
        head: calibrated head.
        ood: distance to the training photos, with its limit.
        facts: facts about the model.
    """
    about = {
        "base": {"name": base.name, "sha256": base.sha256},
        "facts": asdict(facts),
        "familiar_tensor": ood.tensor,
    }
    file = io.BytesIO()
    np.savez_compressed(
        file,
        about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        hidden_kernel=head.hidden_kernel.astype(np.float16),
        hidden_bias=head.hidden_bias,
        output_kernel=head.output_kernel,
        output_bias=head.output_bias,
        **_ood_arrays(ood),
        **_changed(base, weights),
    )
    return file.getvalue()


def unpack(packed: bytes) -> tuple[BackboneWeights, DenseHead, Ood, ModelFacts]:
    """Restore weights, head, reference vectors and facts from `pack`, with kernels rounded to half precision.

    Raises:
        WeightsError: the installed base weights are missing, damaged, or differ from the weights of the training.
    """
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        arrays: dict[str, NDArray[Any]] = dict(file)
    about = json.loads(arrays["about"].tobytes())
    known, validation, promise = (about["facts"].get(name) for name in ("trained_on", "validation", "promise"))
    parts = {
        "band": UnsureBand(**about["facts"]["band"]),
        "trained_on": None if known is None else ContentFilter.from_json(json.dumps(known)),
        "validation": None if validation is None else ValidationScores.from_values(validation),
        "promise": None if promise is None else Promise.from_json(json.dumps(promise)),
    }
    facts = ModelFacts(**{**about["facts"], **parts})
    weights = _tuned(_base(**about["base"]), arrays, facts)
    head = DenseHead(
        arrays["hidden_kernel"].astype(np.float32),
        arrays["hidden_bias"],
        arrays["output_kernel"],
        np.float32(arrays["output_bias"]),
    )
    return weights, head, _ood(arrays, facts.distance_limit, about["familiar_tensor"]), facts


def _ood_arrays(ood: Ood) -> dict[str, Any]:
    if isinstance(ood, OodGaussian):
        return {"ood_mean": ood.mean, "ood_whitening": ood.whitening}
    return {"references": ood.references, "neighbours": np.int64(ood.neighbours)}


def _ood(arrays: Mapping[str, NDArray[Any]], limit: float, tensor: str) -> Ood:
    if "ood_mean" in arrays:
        return OodGaussian(arrays["ood_mean"], arrays["ood_whitening"], limit, tensor)
    return OodReference(arrays["references"], int(arrays["neighbours"]), limit, tensor)


def _changed(base: BackboneWeights, weights: BackboneWeights) -> dict[str, Any]:
    """Collect kernels in half precision, and biases, of the convolutions that differ from the base."""
    arrays: dict[str, Any] = {}
    for name, after in weights.convolutions.items():
        before = base.convolutions[name]
        if not (np.array_equal(after.kernel, before.kernel) and np.array_equal(after.bias, before.bias)):
            arrays |= {f"{name}/kernel": after.kernel.astype(np.float16), f"{name}/bias": after.bias}
    return arrays


def _base(name: str, sha256: str) -> BackboneWeights:
    base = load_weights(name)
    if base.sha256 != sha256:
        raise WeightsError(
            f"expected the {name} weights that the stock model was trained on, SHA-256 {sha256}, "
            f"found {base.sha256}: install roadclear again"
        )
    return base


def _tuned(base: BackboneWeights, arrays: Mapping[str, NDArray[Any]], facts: ModelFacts) -> BackboneWeights:
    """Replace convolutions of the base by the convolutions among the arrays."""
    changed = {
        name: FoldedConvolution(arrays[f"{name}/kernel"].astype(np.float32), arrays[f"{name}/bias"])
        for name in base.convolutions
        if f"{name}/kernel" in arrays
    }
    return replace(
        base,
        name=facts.weights_name,
        sha256=facts.weights_sha256,
        origin=facts.weights_origin,
        convolutions={**base.convolutions, **changed},
    )
