"""Evidence maps of photos under triage, each by a head that saw neither the photo nor its group.

The embedding of a photo is the mean of the last feature map over its cells. So the logit of a head is an exact sum of
one number for each cell and an offset; see `roadclear.model.onnx_file`. One pass of the base network gives the feature
map, and one head for each fold gives the weights of its channels.
"""

import threading
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.folds import Fold, draw_folds
from roadclear.errors import PhotoError
from roadclear.features.engine import Engine
from roadclear.features.space import FeatureSpace
from roadclear.images.photo import held_pixels, hold_photo
from roadclear.model.heads import DenseHead, Head
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidationData, fit_fold
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import ordered_map, worker_threads

_FEATURE_MAP = "feature_map"


def evidence_maps(
    data: PreparedData,
    sample: CrossValidationData,
    settings: TrainSettings,
    folds: int,
    files: Collection[str],
    progress: ProgressCallback = no_progress,
) -> dict[str, NDArray[np.float32]]:
    """Map the evidence in photos, by the heads of the first repeat of the cross-validation.

    Args:
        data: prepared photos.
        sample: embeddings of the prepared photos.
        settings: settings of the cross-validation.
        folds: number of folds of the cross-validation.
        files: photos to map, as paths relative to their folder.
        progress: callback for progress, called after every photo.

    Returns:
        For every photo that can be read, by file: contribution of each cell to the calibrated logit of the positive
        label, float32 [size/32, size/32].

    Raises:
        EngineError: the engine refuses the base network.
    """
    chosen = [i for i, photo in enumerate(data.photos) if photo.file in files]
    if not chosen:
        return {}
    drawn = draw_folds(sample.targets, sample.groups, folds, 1, settings.seed)
    evidence = FoldEvidence(data, sample, drawn, settings, open_feature_map(data.extractor.space))
    evidence.train(chosen)
    maps: dict[str, NDArray[np.float32]] = {}
    mapped = ordered_map(evidence.map, chosen, worker_threads())
    for done, (i, found) in enumerate(zip(chosen, mapped, strict=True), start=1):
        if found is not None:
            maps[data.photos[i].file] = found
        progress("Drawing maps", done, len(chosen))
    return maps


def map_photos(
    photos: Sequence[LabelledPhoto], head: Head, space: FeatureSpace, progress: ProgressCallback = no_progress
) -> dict[str, NDArray[np.float32]]:
    """Map the evidence in photos by one head.

    Args:
        photos: photos to map.
        head: head on embeddings of the feature space.
        space: feature space.
        progress: callback for progress, called after every photo.

    Returns:
        For every photo that can be read, by file: see `evidence_maps`.

    Raises:
        EngineError: the engine refuses the base network.
    """
    if not photos:
        return {}
    engine = open_feature_map(space)
    maps: dict[str, NDArray[np.float32]] = {}
    mapped = ordered_map(lambda photo: map_photo(photo, head, space.size, engine), photos, worker_threads())
    for done, (photo, found) in enumerate(zip(photos, mapped, strict=True), start=1):
        if found is not None:
            maps[photo.file] = found
        progress("Drawing maps", done, len(photos))
    return maps


def open_feature_map(space: FeatureSpace) -> Engine:
    """Open the base network with its last feature map as output.

    Raises:
        EngineError: the engine refuses the base network.
    """
    return space.open(output=_FEATURE_MAP)


class FoldEvidence:
    """Maps of photos, each by the head of the fold that tests the photo. Threads may share an object.

    Args:
        data: prepared photos.
        sample: embeddings of the prepared photos.
        folds: folds that test every photo once.
        settings: settings of the cross-validation.
        engine: engine of `open_feature_map`.
    """

    def __init__(
        self,
        data: PreparedData,
        sample: CrossValidationData,
        folds: Sequence[Fold],
        settings: TrainSettings,
        engine: Engine,
    ) -> None:
        self._data, self._sample, self._folds = data, sample, folds
        self._settings, self._engine = settings, engine
        self._lock = threading.Lock()
        self._heads: dict[int, Head] = {}

    def train(self, chosen: Sequence[int]) -> None:
        """Train the heads of the folds that test some photos, by their positions."""
        for number, fold in enumerate(self._folds):
            if np.intersect1d(fold.test, chosen).size:
                self._head(number)

    def map(self, position: int) -> NDArray[np.float32] | None:
        """Map a photo, by its position: contribution of each cell to the logit, float32 [size/32, size/32].

        Returns:
            The map; None where the photo cannot be read any more.
        """
        number = next(k for k, fold in enumerate(self._folds) if position in fold.test)
        size = self._data.extractor.space.size
        return map_photo(self._data.photos[position], self._head(number), size, self._engine)

    def _head(self, number: int) -> Head:
        with self._lock:
            if number not in self._heads:
                self._heads[number] = fit_fold(self._sample, self._folds[number], self._settings).head
            return self._heads[number]


def map_photo(photo: LabelledPhoto, head: Head, size: int, engine: Engine) -> NDArray[np.float32] | None:
    """Map the evidence in a photo by a head.

    Args:
        photo: photo to map.
        head: head on embeddings of the base network.
        size: side of the network's input, in pixels.
        engine: engine of `open_feature_map`.

    Returns:
        See `FoldEvidence.map`.
    """
    try:
        pixels = held_pixels(hold_photo(photo.path), size)
    except PhotoError:  # the photo has changed since it was embedded
        return None
    return cell_evidence(head, engine.infer(pixels)[_FEATURE_MAP])


def cell_evidence(head: Head, feature_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the contribution of each cell to the logit of a head, float32 [rows, columns].

    Args:
        head: head on the embedding, which is the mean of the feature map over its cells.
        feature_map: float32 [channels, rows, columns].
    """
    if isinstance(head, DenseHead):
        hidden = feature_map.mean(axis=(1, 2)) @ head.hidden_kernel + head.hidden_bias
        weights = head.hidden_kernel @ np.where(hidden > 0, head.output_kernel, np.float32(0))
    else:
        weights = head.kernel
    cells = feature_map.shape[1] * feature_map.shape[2]
    return np.asarray(np.tensordot(weights, feature_map, axes=1) / cells, dtype=np.float32)
