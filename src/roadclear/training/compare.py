"""Compare two models on photos that neither was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.groups import scene_groups
from roadclear.data.settings import SourceSettings
from roadclear.data.sources import load_photos
from roadclear.errors import DatasetError, ModelFileError
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.comparison import Answers, Comparison, compare_answers
from roadclear.model.evaluate import EvaluationResult, evaluate_model
from roadclear.model.predictor import Model
from roadclear.training.run_folder import Run, StrPath, find_seen, open_model
from roadclear.utils.progress import ProgressCallback, no_progress


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """Two models, A and B, on the same photos.

    Attributes:
        comparison: metrics of both, their differences with 95% intervals, and McNemar's test.
        positive: label whose probability is compared; the positive class of A.
        negative: the other label.
        photos: number of photos in the folder.
        seen: "A" and "B" -> relative paths of photos that the model was trained on; None where this is unknown.
        seen_by_chance: "A" and "B" -> largest number of photos in `seen` that may be there by chance, with 99%
            probability. See `roadclear.model.content_filter`.
        skipped: photos that could not be read by one of the models, with reasons.
        by_scene: whether the intervals are drawn by scene instead of by photo.
    """

    comparison: Comparison
    positive: str
    negative: str
    photos: int
    seen: Mapping[str, frozenset[str] | None]
    seen_by_chance: Mapping[str, int]
    skipped: tuple[UnreadablePhoto, ...]
    by_scene: bool

    @property
    def left_out(self) -> frozenset[str]:
        """Relative paths of photos that at least one of the models was trained on."""
        return frozenset[str]().union(*(files or () for files in self.seen.values()))


def compare(
    a: StrPath | Run | Model,
    b: StrPath | Run | Model,
    photos: StrPath,
    *,
    engine: str = "openvino",
    progress: ProgressCallback = no_progress,
    columns: SourceSettings | None = None,
) -> ComparisonResult:
    """Compare two models on the same labelled photos.

    Photos that either model was trained on are left out, as its run folder or the filter in its file tells. A model
    file of an older version does not say what it was trained on. Where manifest.csv names scenes, the intervals are
    drawn by scene.

    Args:
        a: first model: a model, a run, or the path of a run folder or a model file.
        b: second model, of the same labels.
        photos: folder with one subfolder of photos per label.
        engine: inference engine of models that are named by their paths: "openvino" or "onnxruntime".
        progress: called after every photo with the stage, the photos done, and the photos there are.
        columns: columns with photos and labels, in Parquet files, tables and tar archives.

    Raises:
        ModelFileError: there is no model, or the models have different labels.
        DatasetError: the folder has other labels, or no photo that neither model was trained on.
        OptionError: the engine is unknown.

    Example:
        >>> roadclear.compare("runs/first", "runs/second", "photos/").comparison.better  # doctest: +SKIP
        'B'
    """
    (model_a, run_a), (model_b, run_b) = open_model(a, engine), open_model(b, engine)
    _check_labels(model_a, model_b)
    positive, negative = model_a.facts.positive, model_a.facts.negative
    dataset = load_photos(photos, (positive, negative), columns)
    found = {"A": find_seen(model_a, run_a, dataset.photos), "B": find_seen(model_b, run_b, dataset.photos)}
    seen = {name: files for name, (files, _) in found.items()}
    left_out = frozenset[str]().union(*(files or () for files in seen.values()))
    unseen = replace(dataset, photos=tuple(photo for photo in dataset.photos if photo.file not in left_out))
    if not unseen.photos:
        raise DatasetError(
            f"expected photos that neither model was trained on, found none among {len(dataset.photos):,}: give others"
        )
    of_a = evaluate_model(model_a, unseen, _of_model("A", progress))
    of_b = evaluate_model(model_b, unseen, _of_model("B", progress))
    # A file may have vanished or changed between the two passes.
    read_by_b = {photo.file for photo in of_b.photos}
    both = [photo for photo in of_a.photos if photo.file in read_by_b]
    groups = scene_groups(both)
    truth = np.array([photo.label == positive for photo in both], dtype=bool)
    return ComparisonResult(
        comparison=compare_answers(truth, _answers(of_a, both, positive), _answers(of_b, both, positive), groups),
        positive=positive,
        negative=negative,
        photos=len(dataset.photos),
        seen=seen,
        seen_by_chance={name: by_chance for name, (_, by_chance) in found.items()},
        skipped=tuple({photo.file: photo for photo in (*of_b.skipped, *of_a.skipped)}.values()),
        by_scene=groups is not None,
    )


def _check_labels(a: Model, b: Model) -> None:
    labels_a, labels_b = (sorted((model.facts.positive, model.facts.negative)) for model in (a, b))
    if labels_a != labels_b:
        raise ModelFileError(
            f"expected two models of the same labels, found {' and '.join(map(repr, labels_a))} in A, "
            f"{' and '.join(map(repr, labels_b))} in B: give two that answer one question"
        )


def _of_model(name: str, progress: ProgressCallback) -> ProgressCallback:
    return lambda stage, done, total: progress(f"{stage} with {name}", done, total)


def _answers(result: EvaluationResult, photos: Sequence[LabelledPhoto], positive: str) -> Answers:
    """Predictions of chosen photos, as probabilities of one label, whichever label the model was trained to find."""
    by_file = {photo.file: said for photo, said in zip(result.photos, result.predictions, strict=True)}
    said = [by_file[photo.file] for photo in photos]
    probability = np.array([prediction.probability for prediction in said], dtype=np.float64)
    predicted = np.array([prediction.label == positive for prediction in said], dtype=bool)
    return Answers(probability if result.model.facts.positive == positive else 1 - probability, predicted)
