"""Evidence maps of photos under triage, each by a head that saw neither the photo nor its group.

The embedding of a photo is the mean of the last feature map over its cells. So the logit of a head is an exact sum of
one number for each cell and an offset; see `roadclear.model.onnx_file`. One pass of the base network gives the feature
map, and one head for each fold gives the weights of its channels.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from roadclear.data.folds import draw_folds
from roadclear.errors import PhotoError
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
    heads: dict[int, Head] = {}
    for fold in draw_folds(sample.targets, sample.groups, folds, 1, settings.seed):
        tested = np.intersect1d(fold.test, chosen).tolist()
        if tested:
            head = fit_fold(sample, fold, settings).head
            heads.update(dict.fromkeys(tested, head))
    space = data.extractor.space
    engine = space.open(output=_FEATURE_MAP)

    def mapped(i: int) -> NDArray[np.float32] | None:
        try:
            pixels = held_pixels(hold_photo(data.photos[i].path), space.size)
        except PhotoError:  # the photo has changed since it was prepared
            return None
        return cell_evidence(heads[i], engine.infer(pixels)[_FEATURE_MAP])

    maps: dict[str, NDArray[np.float32]] = {}
    for done, (i, found) in enumerate(zip(chosen, ordered_map(mapped, chosen, worker_threads()), strict=True), start=1):
        if found is not None:
            maps[data.photos[i].file] = found
        progress("Drawing maps", done, len(chosen))
    return maps


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
