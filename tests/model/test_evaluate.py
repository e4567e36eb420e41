"""A model on labelled photos: every number as one would count it by hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from heads import drawn_model

from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError
from roadclear.images.decode import UnreadablePhoto
from roadclear.model.evaluate import EvaluationResult, evaluate_model
from roadclear.model.predictor import Model

THRESHOLD = 0.5


@pytest.fixture(scope="module")
def photos(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos a label, and one that cannot be read."""
    root = tmp_path_factory.mktemp("labelled") / "photos"
    for photo in sorted(drawn_photos.glob("*/*.jpg"))[::3]:
        (root / photo.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, root / photo.parent.name)
    (root / "empty" / "a.jpg").write_bytes(b"<html>")
    return root


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model(threshold=THRESHOLD))


@pytest.fixture(scope="module")
def result(model: Model, photos: Path) -> EvaluationResult:
    return evaluate_model(model, load_folder(photos))


def test_the_confusion_matrix_counted_by_hand(model: Model, photos: Path, result: EvaluationResult) -> None:
    counts = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
    squares = []
    for photo in sorted(photos.glob("*/*-*.jpg")):
        probability = model.predict(photo).probability
        called, crossing = probability >= THRESHOLD, photo.parent.name == "crossing"
        counts[
            {(True, True): "tp", (True, False): "fp", (False, True): "fn", (False, False): "tn"}[called, crossing]
        ] += 1
        squares.append((probability - crossing) ** 2)
    assert vars(result.evaluation.confusion) == counts
    assert result.metrics["accuracy"].value == (counts["tp"] + counts["tn"]) / 16
    assert result.metrics["brier"].value == pytest.approx(sum(squares) / 16)
    assert result.evaluation.threshold == THRESHOLD
    assert all(estimate.n <= 16 for estimate in result.metrics.values())


def test_predictions_come_with_their_photos(model: Model, photos: Path, result: EvaluationResult) -> None:
    assert result.model is model
    assert [photo.file for photo in result.photos] == sorted(
        path.relative_to(photos).as_posix() for path in photos.glob("*/*-*.jpg")
    )
    for photo, prediction, (said, label) in zip(result.photos, result.predictions, result.labelled, strict=True):
        assert prediction is said
        assert prediction.file == photo.path
        assert label == photo.label == photo.path.parent.name


def test_what_cannot_be_read_is_listed(photos: Path, result: EvaluationResult) -> None:
    assert [photo.file for photo in result.skipped] == [photos / "empty" / "a.jpg"]
    assert all(isinstance(photo, UnreadablePhoto) and "HTML" in photo.reason for photo in result.skipped)


def test_progress_counts_every_photo(model: Model, photos: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    evaluate_model(model, load_folder(photos), lambda *step: steps.append(step))
    assert steps == [("Predicting", done, 17) for done in range(1, 18)]


@pytest.mark.parametrize("seen", [None, frozenset[str]()], ids=["unknown", "none"])
def test_no_warning_without_photos_from_training(result: EvaluationResult, seen: frozenset[str] | None) -> None:
    assert replace(result, seen=seen).warning is None


def test_a_warning_of_photos_from_training(result: EvaluationResult) -> None:
    seen = frozenset(photo.file for photo in result.photos[:5])
    assert replace(result, seen=seen).warning == (
        "the model has seen 5 of the 17 photos in training: the numbers flatter it."
    )


def test_photos_that_match_by_chance_are_no_reason_to_warn(result: EvaluationResult) -> None:
    seen = frozenset(photo.file for photo in result.photos[:2])
    doubtful = replace(result, seen=seen, seen_by_chance=2)
    assert doubtful.warning is None
    assert doubtful.note == ("2 of the 17 photos may have been seen in training; up to 2 may be a chance match.")
    sure = replace(result, seen=seen, seen_by_chance=1)
    assert sure.note is None
    assert sure.warning is not None
    assert sure.warning.endswith("the numbers flatter it. At most 1 of them may be a chance match.")


def test_what_cannot_be_told_is_said(result: EvaluationResult) -> None:
    assert replace(result, seen=None).note is not None
    assert replace(result, seen=frozenset()).note is None


def test_photos_of_other_labels(model: Model, photos: Path) -> None:
    other = replace(load_folder(photos), labels=("empty", "tram"))
    with pytest.raises(DatasetError, match="expected photos labelled 'crossing' and 'empty', found 'empty' and 'tram'"):
        evaluate_model(model, other)


def test_no_photo_that_can_be_read(model: Model, photos: Path) -> None:
    dataset = load_folder(photos)
    broken = replace(dataset, photos=tuple(photo for photo in dataset.photos if photo.path.name == "a.jpg"))
    with pytest.raises(DatasetError, match="found none that can be read"):
        evaluate_model(model, broken)


class TestGroups:
    def test_without_scenes_every_photo_counts_and_the_result_says_so(self, result: EvaluationResult) -> None:
        assert result.counted.startswith("The intervals count every photo by itself, because no manifest.csv names")

    def test_groups_of_a_split_widen_the_intervals(self, model: Model, photos: Path, result: EvaluationResult) -> None:
        groups = {photo.file: number // 4 for number, photo in enumerate(result.photos)}
        grouped = evaluate_model(model, load_folder(photos), groups=groups)
        assert grouped.counted == "The intervals count 4 groups of one scene, name or look, as the split has them."
        for name in ("accuracy", "brier"):
            plain, wide = result.metrics[name], grouped.metrics[name]
            assert wide.value == plain.value
            assert wide.ci95[1] - wide.ci95[0] > plain.ci95[1] - plain.ci95[0]

    def test_groups_that_leave_out_a_photo_are_not_used(
        self, model: Model, photos: Path, result: EvaluationResult
    ) -> None:
        groups = {photo.file: 0 for photo in result.photos[1:]}
        found = evaluate_model(model, load_folder(photos), groups=groups)
        assert (found.counted, found.evaluation) == (result.counted, result.evaluation)

    def test_scenes_count_as_one(self, model: Model, photos: Path, tmp_path: Path) -> None:
        root = shutil.copytree(photos, tmp_path / "photos")
        files = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*-*.jpg"))
        rows = [f"{file},{file.split('/')[0]},{number // 4}" for number, file in enumerate(files)]
        (root / "manifest.csv").write_text("\n".join(["file,label,scene", *rows]))
        found = evaluate_model(model, load_folder(root))
        assert found.counted == "The intervals count 4 scenes; look-alikes are not searched for."
