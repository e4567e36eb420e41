"""Train, cross-validate and evaluate on a folder of photos: what Python users and the commands call."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from roadclear.data.dataset import with_split
from roadclear.data.settings import SourceSettings
from roadclear.data.sources import load_photos
from roadclear.errors import OptionError
from roadclear.model.evaluate import EvaluationResult, evaluate_model
from roadclear.model.predictor import Model
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.training.cross_validation import FOLDS, REPEATS
from roadclear.training.crosschecks import Crosschecks, crosscheck
from roadclear.training.from_shards import FeatureShards, described, open_photos
from roadclear.training.recipe import train as train_dataset
from roadclear.training.result import TrainingResult
from roadclear.training.run_folder import Run, StrPath, check_run_folder, find_seen, open_model
from roadclear.training.validation import Validation, validate, write_validation
from roadclear.utils.files import check_new_folder
from roadclear.utils.paths import default_cache_path
from roadclear.utils.progress import ProgressCallback, no_progress

ReportBuilder = Callable[[TrainingResult, StrPath, Crosschecks | None], bytes]
"""Called with the result, the photos folder and the cross-checks; returns the content of report.html."""


def train(
    photos: StrPath | None,
    settings: TrainSettings | None = None,
    *,
    out: StrPath | None = None,
    overwrite: bool = False,
    report: ReportBuilder | None = None,
    cache: bool = True,
    features: FeatureShards | None = None,
    cluster: FinetuneCluster | None = None,
    progress: ProgressCallback = no_progress,
) -> TrainingResult:
    """Train a model on a folder of labelled photos, and test the model on photos held back from training.

    The linear head is cross-validated on all photos too, so that one lucky split is not taken for the model's accuracy.
    This takes about a second for a thousand photos.

    Args:
        photos: folder with one subfolder of photos per label, or with train/, val/ and test/ that have these inside; or
            another source, see `roadclear.data.sources.load_photos`. None for all photos of the features.
        settings: how to train; None for the defaults.
        out: run folder to make; None to write nothing.
        overwrite: whether to replace a run that is there.
        report: function that builds the report of the run folder, `roadclear.build_report`; None for no report.
        cache: whether embeddings are kept in the user's feature cache for later trainings.
        features: Parquet shards with the features, in place of the cache; None for the cache. Missing features are
            computed.
        cluster: Ray cluster that fine-tunes the network; None for this process. `settings.unfreeze` must not be 0.
        progress: called with the stage, the steps done, and the steps there are.

    Returns:
        The model file's content, the metrics, and everything that they were computed from.

    Raises:
        DatasetError: the folder is not a labelled folder, or has too few photos.
        OptionError: a setting cannot work, or there is a report but no run folder to put it in.
        OutputError: the run folder or the cache cannot be written.
        WeightsError, EngineError: the base network cannot be loaded or run.

    Example:
        >>> result = roadclear.train(  # doctest: +SKIP
        ...     "photos/", TrainSettings(seed=1), out="runs/first", report=roadclear.build_report
        ... )
        >>> result.evaluations["test"].metrics["accuracy"].value  # doctest: +SKIP
        0.957
    """
    settings = settings or TrainSettings()
    named = photos if photos is not None else described(photos, features)
    if out is not None:
        check_run_folder(out, named, overwrite)
    elif report is not None:
        raise OptionError("expected a run folder for the report, found none: name the run folder with out")
    place = default_cache_path() if cache else None
    with open_photos(photos, settings, features, place, progress) as (dataset, computed):
        if settings.split is not None:
            dataset = with_split(dataset, settings.split)
        result = train_dataset(dataset, settings, computed, progress, cluster=cluster)
        started = time.perf_counter()
        checks = crosscheck(result, progress, with_curve=report is not None)
        timing = {**result.timing, "crosschecks_s": time.perf_counter() - started}
        crossed = result.cross_validated or (checks.cross_validated if checks else None)
        result = replace(result, cross_validated=crossed, timing=timing)
        page = report(result, described(photos, features), checks) if report is not None else None
    if out is not None:
        Run.save(out, named, result, page, overwrite)
    return result


def cross_validate(
    photos: StrPath | None,
    settings: TrainSettings | None = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    *,
    out: StrPath | None = None,
    cache: bool = True,
    features: FeatureShards | None = None,
    progress: ProgressCallback = no_progress,
) -> Validation:
    """Measure a training by cross-validation, and estimate whether more photos would help.

    Folds keep groups of photos whole. Every photo is tested once per repeat. No model is kept.

    Args:
        photos: folder with one subfolder of photos per label.
        settings: how to train in each fold; None for the defaults.
        folds: number of folds, at least 2.
        repeats: number of repeats, each with other folds, at least 1.
        out: folder to make with validation.json, out_of_fold.csv and learning_curve.csv; None to write nothing.
        cache: whether embeddings are kept in the user's feature cache for later trainings.
        features: Parquet shards with the features, in place of the cache; None for the cache. Missing features are
            computed.
        progress: called with the stage, the steps done, and the steps there are.

    Raises:
        DatasetError: the folder is not a labelled folder, has too few photos, or too few groups for so many folds.
        OptionError: a setting or a number cannot work.
        OutputError: the folder or the cache cannot be written.
        WeightsError, EngineError: the base network cannot be loaded or run.

    Example:
        >>> roadclear.cross_validate("photos/", folds=5, repeats=3).crossed.metrics["accuracy"]  # doctest: +SKIP
        Estimate(value=0.957, ci95=(0.935, 0.979), n=786)
    """
    if out is not None:
        check_new_folder(Path(out), [photos] if photos is not None else [])
    settings, place = settings or TrainSettings(), default_cache_path() if cache else None
    with open_photos(photos, settings, features, place, progress) as (dataset, computed):
        result = validate(dataset, settings, computed, folds, repeats, progress)
    if out is not None:
        write_validation(out, result)
    return result


def evaluate(
    model: StrPath | Run | Model,
    photos: StrPath,
    *,
    engine: str = "openvino",
    progress: ProgressCallback = no_progress,
    columns: SourceSettings | None = None,
) -> EvaluationResult:
    """Measure a model on a folder of labelled photos.

    Args:
        model: a model, a run, or the path of a run folder or a model file; "stock" for the stock model.
        photos: folder with one subfolder of photos per label.
        engine: inference engine of a model that is named by its path: "openvino" or "onnxruntime".
        progress: called after every photo with the stage, the photos done, and the photos there are.
        columns: columns with photos and labels, in Parquet files, tables and tar archives.

    Returns:
        Metrics with 95% intervals, and every prediction. `warning` says if the model was trained on some of the photos;
        `note` says if this cannot be told.

    Raises:
        ModelFileError: there is no model, or the file is not a model of ours.
        DatasetError: the folder has other labels than the model, or no photo that can be read.
        OptionError: the engine is unknown.

    Example:
        >>> roadclear.evaluate("runs/first", "other-photos/").metrics["recall"]  # doctest: +SKIP
        Estimate(value=0.98, ci95=(0.931, 0.994), n=100)
    """
    loaded, run = open_model(model, engine)
    dataset = load_photos(photos, (loaded.facts.positive, loaded.facts.negative), columns)
    result = evaluate_model(loaded, dataset, progress)
    seen, by_chance = find_seen(loaded, run, dataset.photos)
    return replace(result, seen=seen, seen_by_chance=by_chance)
