"""Feature extraction through the cache: views of photos -> embeddings, or activations of an inner layer.

Every pass reads and hashes each photo once. Features that the cache lacks are computed on a thread pool: decode, warp,
and run the frozen base. So one photo is decoded while another is in the network.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError, PhotoError, RoadclearError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.decoded import DecodedPhotos
from roadclear.features.engine import Engine
from roadclear.features.precision import F32
from roadclear.features.space import PIPELINE, FeatureSpace
from roadclear.images.augment import PLAIN_VIEW, view
from roadclear.images.decode import decode, read_bytes
from roadclear.images.phash import fingerprint
from roadclear.images.settings import AugmentSettings
from roadclear.utils.rows import Rows
from roadclear.utils.threads import ordered_map, worker_threads

_PLAIN = "plain"
_NO_PHOTO = np.empty((0, 0, 3), dtype=np.uint8)


def view_key(k: int, augmentation: AugmentSettings) -> str:
    """Key of the k-th views of photos in the cache."""
    return _PLAIN if k == PLAIN_VIEW else f"{k}:{augmentation.key}"


def fingerprint_kind(size: int) -> str:
    """Key of the fingerprints of photos that are decoded to a size in pixels, in the cache."""
    return f"fingerprint/{size}px/pipeline-{PIPELINE}"


OnPhoto = Callable[[int, int], None]
"""Callback with the number of finished photos and the total number."""


@dataclass
class ExtractionStats:
    """Counts and times of an extractor.

    Attributes:
        photos: number of photos read.
        inferences: number of views computed by the network. Views in the cache are not counted.
        decode_s: seconds of reading, hashing, decoding, warping and fingerprinting, summed over threads.
        features_s: seconds of wall-clock time.
    """

    photos: int = 0
    inferences: int = 0
    decode_s: float = 0.0
    features_s: float = 0.0


@dataclass(frozen=True, eq=False)
class ExtractedPhoto:
    """Newly computed features of a photo. Features in the cache are not computed again.

    Attributes:
        sha256: SHA-256 of the photo's file, in hex.
        features: features by number of the view, in the shape and dtype of the feature space.
        fingerprint: uint64 [k], perceptual hashes, or None where the cache has them.
        decode_s: seconds of reading, hashing, decoding, warping and fingerprinting.
        inner: the inner tensor of the plain photo as the cache holds it, or None.
    """

    sha256: str
    features: Mapping[int, NDArray[np.floating]]
    fingerprint: NDArray[np.uint64] | None
    decode_s: float
    inner: NDArray[np.floating] | None = None


@dataclass
class FeatureExtractor:
    """Extractor that fills a cache with features, and loads features from the cache.

    Attributes:
        space: feature space.
        augmentation: settings of the augmented views.
        cache: feature cache.
        stats: counts and times so far.
        decoded: decoded photos of a pass with plain views, for the pass without that follows and releases them. The
            default keeps none.
        inner: name of an inner tensor that is cached as well where an embedding of a plain photo is computed in f32.
            One run of the network gives both.
    """

    space: FeatureSpace
    augmentation: AugmentSettings
    cache: FeatureCache
    stats: ExtractionStats = field(default_factory=ExtractionStats)
    decoded: DecodedPhotos = field(default_factory=lambda: DecodedPhotos(0))
    inner: str | None = None
    _starting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    # By precision. `replace` makes an extractor of another space, which opens its own.
    _engines: dict[str, Engine] = field(default_factory=dict, init=False, repr=False)
    # Where each photo was read, by its SHA-256, in case that the cache loses a feature before the feature is loaded.
    _paths: dict[str, str] = field(default_factory=dict, repr=False)

    def extract(
        self, paths: Sequence[str | os.PathLike[str]], views: Sequence[int], on_photo: OnPhoto | None = None
    ) -> Iterator[str | PhotoError]:
        """Put the features of views of photos into the cache. With view 0 the fingerprint is cached as well.

        Args:
            paths: paths of the photos.
            views: numbers of the views; 0 is the plain photo.
            on_photo: callback after every photo.

        Yields:
            For every photo, in order: the SHA-256 of its bytes in hex, or the error of an unusable photo.
        """
        started = time.perf_counter()
        try:
            # Closed here, so that no thread is at work any more when the caller closes the cache after an error.
            with closing(self._process_all(paths, tuple(views))) as results:
                for done, result in enumerate(results, start=1):
                    if isinstance(result, ExtractedPhoto):
                        self.keep(result)
                        self._count(result)
                    if on_photo is not None:
                        on_photo(done, len(paths))
                    yield result.sha256 if isinstance(result, ExtractedPhoto) else result
            if PLAIN_VIEW in views:
                self._open_for_views()
        finally:
            if PLAIN_VIEW not in views:
                self.decoded.clear()
            self.cache.flush()
            self.stats.features_s += time.perf_counter() - started

    def load(self, photos: Sequence[str], k: int) -> NDArray[np.float32]:
        """Load features of the k-th view of extracted photos, by their SHA-256: float32 [n, *shape].

        A feature that the cache has lost meanwhile is computed again.

        Raises:
            DatasetError: a feature was lost, and its photo has changed since it was extracted.
            KeyError: a photo was never extracted.
        """
        restore = partial(self._restore, k)
        rows = self.cache.load(photos, self.space.key_of(k), self._view_key(k), self.space.stored_type, restore)
        return rows.astype(np.float32, copy=False).reshape(len(photos), *self.space.shape)

    def load_embeddings(self, photos: Sequence[str], k: int) -> Rows:
        """Load embeddings of the k-th view of extracted photos: float32 [n, 1280], in a file where there are many.

        Raises:
            DatasetError, KeyError: see `load`.
            OutputError: there is no room for the file.
        """
        return self.cache.load_rows(photos, self.space.key_of(k), self._view_key(k), partial(self._restore, k))

    def _restore(self, k: int, sha256: str) -> NDArray[Any]:
        """Compute a feature again that the cache has lost."""
        photo = view(self._decode_again(sha256), sha256, k, self.augmentation)
        features, _ = self._infer(photo, k)
        features = features.reshape(-1)
        self.cache.put(sha256, self.space.key_of(k), self._view_key(k), features)
        return features

    def load_fingerprints(self, photos: Sequence[str]) -> NDArray[np.uint64]:
        """Load fingerprints of photos with an extracted plain view: uint64 [n, k], see `roadclear.images.phash`.

        Raises:
            DatasetError, KeyError: see `load`.
        """

        def restore(sha256: str) -> NDArray[np.uint64]:
            hashes = fingerprint(self._decode_again(sha256))
            self.cache.put(sha256, self._fingerprint_kind, _PLAIN, hashes)
            return hashes

        return self.cache.load(photos, self._fingerprint_kind, _PLAIN, np.uint64, restore)

    def _decode_again(self, sha256: str) -> NDArray[np.uint8]:
        """Decode a photo whose features the cache has lost."""
        return decode(self._read_again(sha256), self.space.size)

    def _read_again(self, sha256: str) -> bytes:
        """Read an extracted photo again, and check that the photo has not changed."""
        path = self._paths[sha256]
        with suppress(PhotoError):
            data = read_bytes(Path(path))
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        raise DatasetError(f"expected {path!r} to stay as it was, found another content: start again")

    def compute(self, path: Path, data: bytes, sha256: str, views: Sequence[int]) -> "ExtractedPhoto":
        """Compute the features of a photo that the cache lacks. May be called from many threads at once.

        Args:
            path: path of the photo's file.
            data: content of the photo's file.
            sha256: SHA-256 of the content, in hex.
            views: numbers of the views; 0 is the plain photo.

        Raises:
            PhotoError: the photo cannot be decoded.
        """
        started = time.perf_counter()
        self._paths[sha256] = str(path)
        missing = [k for k in views if (sha256, self.space.key_of(k), self._view_key(k)) not in self.cache]
        lacks_print = PLAIN_VIEW in views and (sha256, self._fingerprint_kind, _PLAIN) not in self.cache
        photo = self._decode(data, sha256) if missing or lacks_print else _NO_PHOTO
        if PLAIN_VIEW in views and missing:
            self.decoded.put(sha256, photo)
        pixels = {k: view(photo, sha256, k, self.augmentation) for k in missing}
        prints = fingerprint(photo) if lacks_print else None
        decode_s = time.perf_counter() - started
        inferred = {k: self._infer(square, k) for k, square in pixels.items()}
        features = {k: found for k, (found, _) in inferred.items()}
        _, inner = inferred.get(PLAIN_VIEW, (None, None))
        return ExtractedPhoto(sha256, features, prints, decode_s, inner)

    def _decode(self, data: bytes, sha256: str) -> NDArray[np.uint8]:
        kept = self.decoded.take(sha256)
        return kept if kept is not None else decode(data, self.space.size)

    def keep(self, extracted: "ExtractedPhoto") -> None:
        """Put computed features of a photo into the cache."""
        for k, features in extracted.features.items():
            self.cache.put(extracted.sha256, self.space.key_of(k), self._view_key(k), features)
        inner = self._inner_space(PLAIN_VIEW)
        if inner is not None and extracted.inner is not None:
            self.cache.put(extracted.sha256, inner.key, _PLAIN, extracted.inner)
        if extracted.fingerprint is not None:
            self.cache.put(extracted.sha256, self._fingerprint_kind, _PLAIN, extracted.fingerprint)

    def _process_all(
        self, paths: Sequence[str | os.PathLike[str]], views: tuple[int, ...]
    ) -> Generator["ExtractedPhoto | PhotoError", None, None]:
        """Process photos in order, on all cores where one of them must be read."""
        tasks = ((Path(path), views) for path in paths)
        if all(self._known(Path(path), views) is not None for path in paths):
            yield from map(self._process, tasks)
            return
        with closing(ordered_map(self._process, tasks, worker_threads())) as results:
            yield from results

    def _known(self, path: Path, views: tuple[int, ...]) -> "ExtractedPhoto | PhotoError | None":
        """Say what the cache knows of a photo's file without reading the file; None if the file must be read."""
        known = self.cache.known(path)
        if known is None or isinstance(known, PhotoError):
            return known
        if all((known, self.space.key_of(k), self._view_key(k)) in self.cache for k in views):
            return ExtractedPhoto(known, {}, None, 0.0)
        return None

    def _process(self, task: tuple[Path, tuple[int, ...]]) -> "ExtractedPhoto | PhotoError":
        path, views = task
        started = time.perf_counter()
        known = self._known(path, views)
        if known is not None:
            return known
        try:
            data = read_bytes(path)
            sha256 = hashlib.sha256(data).hexdigest()
            read_s = time.perf_counter() - started
            extracted = self.compute(path, data, sha256, views)
        except PhotoError as error:
            return error
        return replace(extracted, decode_s=extracted.decode_s + read_s)

    def _infer(self, photo: NDArray[np.uint8], k: int) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
        """Compute the tensor of a view, and the inner tensor where both come from one run."""
        results = self._engine(k).infer(photo)
        inner = self._inner_space(k)
        found: NDArray[np.floating] = results[self.space.tensor].astype(self.space.stored_type, copy=False)
        return found, results[inner.tensor].astype(inner.stored_type) if inner is not None else None

    def _inner_space(self, k: int) -> FeatureSpace | None:
        """Feature space of the inner tensor, or None where a run for the k-th view does not give the tensor.

        In f32 the embedding is the same to the bit with the inner tensor and without. In bf16 the embedding is not.
        """
        together = k == PLAIN_VIEW and self.space.tensor == EMBEDDING and self.space.precision_of(k) == F32
        return replace(self.space, tensor=self.inner) if self.inner is not None and together else None

    def _engine(self, k: int) -> Engine:
        """Engine of a view's precision, opened by the first thread that needs it. A warm cache needs none."""
        precision = self.space.precision_of(k)
        with self._starting:
            if precision not in self._engines:
                inner = self._inner_space(k)
                self._engines[precision] = self.space.open(k, inner=inner.tensor if inner is not None else None)
            return self._engines[precision]

    def _open_for_views(self) -> None:
        """Open the engine of augmented views beside other work, where decoded photos wait for a pass over them.

        The engine takes 0.2 s on one core. Meanwhile the caller looks for near-duplicates and draws the split.
        """
        view = PLAIN_VIEW + 1
        if len(self.decoded) and self.space.precision_of(view) not in self._engines:
            threading.Thread(target=self._try_to_open, args=(view,), name="roadclear-engine").start()

    def _try_to_open(self, k: int) -> None:
        # Who needs the engine opens it again, and gets the error.
        with suppress(RoadclearError):
            self._engine(k)

    def _count(self, extracted: "ExtractedPhoto") -> None:
        self.stats.photos += 1
        self.stats.inferences += len(extracted.features)
        self.stats.decode_s += extracted.decode_s

    def _view_key(self, k: int) -> str:
        return view_key(k, self.augmentation)

    @property
    def _fingerprint_kind(self) -> str:
        return fingerprint_kind(self.space.size)


def default_extractor(cache: FeatureCache, engine: str = "openvino") -> FeatureExtractor:
    """Make an extractor with the default settings of `train`, so that both share cached embeddings of plain photos."""
    return FeatureExtractor(FeatureSpace(load_weights(), 224, engine, "f32"), AugmentSettings(), cache)
