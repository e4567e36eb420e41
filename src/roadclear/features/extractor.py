"""Photo and view to features, through the cache: the embedding, or the tensor that leaves a block on the way to it.

Every photo is read once a pass and hashed; what the cache lacks is decoded, warped and run through the frozen
base on a pool of threads, so that decoding one photo overlaps with the network on another.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import PhotoError
from roadclear.features.backbone import build, build_trunk
from roadclear.features.backbone.mobilenetv2 import EMBEDDING, tensor_shape
from roadclear.features.backbone.weights import BackboneWeights, load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.engine import Engine, engine_key, open_engine
from roadclear.images.augment import PLAIN_VIEW, view
from roadclear.images.decode import decode, read_bytes
from roadclear.images.phash import fingerprint
from roadclear.images.settings import AugmentSettings
from roadclear.utils.threads import ordered_map, worker_threads

# Raised whenever a photo's pixels reach the network otherwise than before (decoding, resizing, views).
_PIPELINE = 1
_PLAIN = "plain"
_NO_PHOTO = np.empty((0, 0, 3), dtype=np.uint8)

OnPhoto = Callable[[int, int], None]
"""Called with how many photos are done, and how many there are."""


@dataclass
class ExtractionStats:
    """What extraction cost so far. `decode_s` adds up over threads.

    Attributes:
        photos: photos read.
        inferences: views that went through the network; what the cache had is not counted.
        decode_s: seconds of reading, hashing, decoding, warping and fingerprinting, summed over threads.
        features_s: seconds that passed.
    """

    photos: int = 0
    inferences: int = 0
    decode_s: float = 0.0
    features_s: float = 0.0


@dataclass(frozen=True)
class FeatureSpace:
    """What, besides the photo and its view, determines its features.

    Attributes:
        weights: of the backbone.
        size: side of the square that photos are squashed to, in pixels; a multiple of 32.
        engine: name of the engine.
        precision: "f32" or "bf16".
        tensor: which of the network's tensors: "embedding", float32 [1280], or a name that
            `roadclear.features.backbone.mobilenetv2.trunk_output` gives, [channels, side, side], kept in half
            precision.
    """

    weights: BackboneWeights
    size: int
    engine: str
    precision: str
    tensor: str = EMBEDDING

    @property
    def key(self) -> str:
        """Text that is equal for equal feature spaces, for the cache."""
        weights = f"mobilenetv2/{self.weights.name}-{self.weights.sha256[:16]}"
        whole = f"{weights}/{self.size}px/{engine_key(self.engine, self.precision)}/pipeline-{_PIPELINE}"
        return whole if self.tensor == EMBEDDING else f"{whole}/{self.tensor}/f16"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one photo's features."""
        return tensor_shape(self.tensor, self.size)

    @property
    def stored_type(self) -> type[np.float32] | type[np.float16]:
        """In which features are kept. Activations are large, and their rounding is far below what training changes."""
        return np.float32 if self.tensor == EMBEDDING else np.float16

    def graph(self) -> bytes:
        """The network up to the tensor, serialized."""
        if self.tensor == EMBEDDING:
            return bytes(build(self.weights, self.size).SerializeToString())
        return bytes(build_trunk(self.weights, self.tensor, self.size).SerializeToString())


@dataclass(frozen=True, eq=False)
class ExtractedPhoto:
    """What was computed of a photo: only what the cache did not have.

    Attributes:
        sha256: of the photo's file.
        features: by number of the view, in the shape and type of the feature space.
        fingerprint: uint64 [k], or None.
        decode_s: seconds of reading, hashing, decoding, warping and fingerprinting.
    """

    sha256: str
    features: Mapping[int, NDArray[np.floating]]
    fingerprint: NDArray[np.uint64] | None
    decode_s: float


@dataclass
class FeatureExtractor:
    """Fills a cache with features and reads them from there.

    Attributes:
        space: what computes the features.
        policy: what the augmented views look like.
        cache: where features are kept.
        effort: what it has cost so far.
    """

    space: FeatureSpace
    policy: AugmentSettings
    cache: FeatureCache
    stats: ExtractionStats = field(default_factory=ExtractionStats)
    _starting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def extract(
        self, paths: Sequence[str | os.PathLike[str]], views: Sequence[int], on_photo: OnPhoto | None = None
    ) -> Iterator[str | PhotoError]:
        """See to it that the cache holds the given views of every photo, and with the plain one its fingerprint.

        Args:
            paths: of the photos.
            views: numbers of the views; 0 is the plain photo.
            on_photo: called after every photo.

        Yields:
            For every photo, in order, the SHA-256 of its bytes in hex, or why it cannot be used.

        Raises:
            OutputError: the cache cannot be written.
        """
        started = time.perf_counter()
        tasks = ((Path(path), tuple(views)) for path in paths)
        try:
            for done, result in enumerate(ordered_map(self._process, tasks, worker_threads()), start=1):
                if isinstance(result, ExtractedPhoto):
                    self.keep(result)
                    self._count(result)
                if on_photo is not None:
                    on_photo(done, len(paths))
                yield result.sha256 if isinstance(result, ExtractedPhoto) else result
        finally:
            self.cache.flush()
            self.stats.features_s += time.perf_counter() - started

    def load(self, photos: Sequence[str], k: int) -> NDArray[np.float32]:
        """Features of the k-th view of photos that were extracted, known by their SHA-256: float32 [n, *shape]."""
        stored = self.cache.load(photos, self.space.key, self._view_key(k), self.space.stored_type)
        return stored.astype(np.float32, copy=False).reshape(len(photos), *self.space.shape)

    def load_fingerprints(self, photos: Sequence[str]) -> NDArray[np.uint64]:
        """Fingerprints of photos whose plain view was extracted: uint64 [n, k], see `roadclear.images.phash`."""
        return self.cache.load(photos, self._fingerprint_kind, _PLAIN, np.uint64)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self.space.graph(), [self.space.tensor], self.space.engine, self.space.precision)

    def compute(self, data: bytes, sha256: str, views: Sequence[int]) -> "ExtractedPhoto":
        """Compute what the cache lacks of a photo. May be called from many threads at once.

        Args:
            data: the bytes of the photo's file.
            sha256: of these, in hex.
            views: numbers of the views; 0 is the plain photo.

        Raises:
            PhotoError: it cannot be decoded.
        """
        started = time.perf_counter()
        missing = [k for k in views if (sha256, self.space.key, self._view_key(k)) not in self.cache]
        lacks_print = PLAIN_VIEW in views and (sha256, self._fingerprint_kind, _PLAIN) not in self.cache
        photo = decode(data, self.space.size) if missing or lacks_print else _NO_PHOTO
        pixels = {k: view(photo, sha256, k, self.policy) for k in missing}
        prints = fingerprint(photo) if lacks_print else None
        decode_s = time.perf_counter() - started
        features = {k: self._infer(seen) for k, seen in pixels.items()}
        return ExtractedPhoto(sha256, features, prints, decode_s)

    def keep(self, extracted: "ExtractedPhoto") -> None:
        """Put into the cache what was computed of a photo.

        Raises:
            OutputError: the cache cannot be written.
        """
        for k, features in extracted.features.items():
            self.cache.put(extracted.sha256, self.space.key, self._view_key(k), features)
        if extracted.fingerprint is not None:
            self.cache.put(extracted.sha256, self._fingerprint_kind, _PLAIN, extracted.fingerprint)

    def _process(self, task: tuple[Path, tuple[int, ...]]) -> "ExtractedPhoto | PhotoError":
        path, views = task
        started = time.perf_counter()
        try:
            data = read_bytes(path)
            sha256 = hashlib.sha256(data).hexdigest()
            read_s = time.perf_counter() - started
            extracted = self.compute(data, sha256, views)
        except PhotoError as error:
            return error
        return replace(extracted, decode_s=extracted.decode_s + read_s)

    def _infer(self, photo: NDArray[np.uint8]) -> NDArray[np.floating]:
        result: NDArray[np.float32] = self._engine_for_all().infer(photo)[self.space.tensor]
        return result.astype(self.space.stored_type, copy=False)

    def _engine_for_all(self) -> Engine:
        """The engine, made by the first thread that needs it; a warm cache needs none."""
        with self._starting:
            return self._engine

    def _count(self, extracted: "ExtractedPhoto") -> None:
        self.stats.photos += 1
        self.stats.inferences += len(extracted.features)
        self.stats.decode_s += extracted.decode_s

    def _view_key(self, k: int) -> str:
        return _PLAIN if k == PLAIN_VIEW else f"{k}:{self.policy.key}"

    @property
    def _fingerprint_kind(self) -> str:
        return f"fingerprint/{self.space.size}px/pipeline-{_PIPELINE}"


def default_extractor(cache: FeatureCache, engine: str = "openvino") -> FeatureExtractor:
    """The extractor whose plain embeddings a training with default options uses, too."""
    return FeatureExtractor(FeatureSpace(load_weights(), 224, engine, "f32"), AugmentSettings(), cache)
