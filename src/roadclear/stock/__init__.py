"""The stock model: crossing or empty road, ready after installation, trained by us.

The package carries what was trained (`head.npz`: the head, directions of training photos, facts); the base comes from
the weights that are installed. Both are joined when the model is first used, and kept in the cache folder with a
checksum. `scripts/build_stock.py` trains it anew; docs/stock-model.md is its model card.
"""

import hashlib
import io
import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from roadclear.backbone import load_weights
from roadclear.cache import default_cache_path
from roadclear.conformal import UnsureBand
from roadclear.errors import OutputError
from roadclear.familiarity import Familiarity
from roadclear.head import DenseHead
from roadclear.modelfile import FORMAT_VERSION, ModelFacts, build_model_file
from roadclear.output import write_file

HEAD_FILE = "head.npz"
_DIGEST_BYTES = 32


def stock_model() -> bytes:
    """The content of the stock model file, from the cache folder or made now.

    A cached file that is damaged, of another version or for other weights is made again; where the folder cannot be
    written, nothing is kept.

    Raises:
        WeightsError: the installed base weights are missing or damaged.
    """
    packed = files(__name__).joinpath(HEAD_FILE).read_bytes()
    cached = _cached_path(packed)
    model = _read_checked(cached)
    if model is None:
        model = _join(packed)
        try:
            write_file(cached, hashlib.sha256(model).digest() + model)
        except OutputError:
            return model
    return model


def pack(head: DenseHead, familiarity: Familiarity, facts: ModelFacts) -> bytes:
    """What the package carries of a trained model, in half precision: NumPy arrays and JSON, no pickle."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        facts=np.frombuffer(json.dumps(asdict(facts)).encode(), dtype=np.uint8),
        hidden_kernel=head.hidden_kernel.astype(np.float16),
        hidden_bias=head.hidden_bias,
        output_kernel=head.output_kernel,
        output_bias=head.output_bias,
        references=familiarity.references,
        neighbours=np.int64(familiarity.neighbours),
    )
    return file.getvalue()


def unpack(packed: bytes) -> tuple[DenseHead, Familiarity, ModelFacts]:
    """What `pack` was given, but for the rounding of the hidden kernel."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        values: dict[str, Any] = json.loads(arrays["facts"].tobytes())
        facts = ModelFacts(**{**values, "band": UnsureBand(**values["band"])})
        head = DenseHead(
            arrays["hidden_kernel"].astype(np.float32),
            arrays["hidden_bias"],
            arrays["output_kernel"],
            np.float32(arrays["output_bias"]),
        )
        return head, Familiarity(arrays["references"], int(arrays["neighbours"]), facts.distance_limit), facts


def _join(packed: bytes) -> bytes:
    head, familiarity, facts = unpack(packed)
    return build_model_file(load_weights(facts.weights_name), head, familiarity, facts)


def _cached_path(packed: bytes) -> Path:
    name = hashlib.sha256(packed).hexdigest()[:16]
    return default_cache_path().with_name(f"stock-{name}-format-{FORMAT_VERSION}.model")


def _read_checked(path: Path) -> bytes | None:
    """A model behind its SHA-256; None where there is none, or not all of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, model = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return model if hashlib.sha256(model).digest() == digest else None
