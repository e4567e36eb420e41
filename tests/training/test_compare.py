"""Two models on photos that neither was trained on, as Python users compare them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_model
from scenes import write_scenes

from roadclear.errors import DatasetError, ModelFileError
from roadclear.metrics.comparison import mcnemar
from roadclear.model.predictor import Model
from roadclear.training.compare import compare
from roadclear.training.run_folder import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def new_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("new") / "photos", per_label=8, seed=9)


@pytest.fixture(scope="module")
def guessing() -> Model:
    """A model whose head is drawn, not trained."""
    return Model(drawn_model(threshold=0.5))


def test_counts_are_those_of_the_predictions(small_run: Run, guessing: Model, new_photos: Path) -> None:
    result = compare(small_run, guessing, new_photos)
    paths = sorted(new_photos.glob("*/*.jpg"))
    right_a, right_b = (
        np.array([model.predict(path).label == path.parent.name for path in paths])
        for model in (small_run.model, guessing)
    )
    assert result.comparison.only_a == int((right_a & ~right_b).sum())
    assert result.comparison.only_b == int((right_b & ~right_a).sum())
    assert result.comparison.p_value == mcnemar(result.comparison.only_a, result.comparison.only_b)
    assert result.comparison.metrics["accuracy"].a == pytest.approx(right_a.mean())
    assert (result.positive, result.negative, result.photos, result.by_scene) == ("crossing", "empty", 16, False)


def test_photos_that_the_run_has_seen_are_left_out(small_run: Run, guessing: Model, drawn_photos: Path) -> None:
    result = compare(guessing, small_run.folder, drawn_photos)
    tested = {row.file for row in small_run.splits if row.split == "test"}
    assert result.seen["A"] is None
    assert result.seen["B"] == result.left_out
    assert len(result.left_out) == 48 - len(tested)
    assert result.comparison.n == len(tested)


def test_progress_names_the_model(guessing: Model, new_photos: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    compare(guessing, guessing, new_photos, progress=lambda *step: steps.append(step))
    assert steps == [(f"Predicting with {name}", done, 16) for name in "AB" for done in range(1, 17)]


def test_photos_that_cannot_be_read_are_listed_once(guessing: Model, new_photos: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(new_photos, tmp_path / "photos")
    (photos / "empty" / "nothing.jpg").write_bytes(b"")
    result = compare(guessing, guessing, photos)
    assert [photo.file for photo in result.skipped] == [photos / "empty" / "nothing.jpg"]
    assert (result.comparison.n, result.photos) == (16, 17)


def test_a_photo_that_vanishes_between_the_models_counts_for_neither(
    guessing: Model, new_photos: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(new_photos, tmp_path / "photos")
    vanishing = photos / "empty" / "empty-000.jpg"

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "Predicting with A" and done == total:
            vanishing.unlink()

    result = compare(guessing, guessing, photos, progress=progress)
    assert result.comparison.n == 15
    assert [photo.file for photo in result.skipped] == [vanishing]


def test_photos_are_paired_by_name_though_each_model_misses_another(
    guessing: Model, new_photos: Path, tmp_path: Path
) -> None:
    """The first photo is there for A only, and the second for B only: positions would pair strangers."""
    photos = shutil.copytree(new_photos, tmp_path / "photos")
    first, second = sorted(photos.glob("crossing/*.jpg"))[:2]
    content = second.read_bytes()
    second.unlink()
    second.write_bytes(b"")

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "Predicting with A" and done == total:
            first.unlink()
            second.write_bytes(content)

    result = compare(guessing, guessing, photos, progress=progress)
    assert (result.comparison.n, result.photos) == (14, 16)
    assert result.comparison.metrics["brier"].difference.value == 0
    assert {photo.file for photo in result.skipped} == {first, second}


def test_photos_that_all_vanish_end_in_one_line(guessing: Model, new_photos: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(new_photos, tmp_path / "photos")

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "Predicting with A" and done == total:
            for photo in photos.glob("*/*.jpg"):
                photo.unlink()

    with pytest.raises(DatasetError) as caught:
        compare(guessing, guessing, photos, progress=progress)
    assert str(caught.value).isprintable()


def test_a_model_file_by_itself_leaves_out_what_it_has_seen(
    small_run: Run, guessing: Model, drawn_photos: Path, tmp_path: Path
) -> None:
    alone = shutil.copy(small_run.model_file, tmp_path / "elsewhere.onnx")
    by_file, by_run = (compare(model, guessing, drawn_photos) for model in (alone, small_run))
    assert by_file.left_out == by_run.left_out
    assert by_file.seen["B"] is None
    assert by_run.seen_by_chance == {"A": 0, "B": 0}


def test_a_model_of_the_other_positive_label_is_turned_round(guessing: Model, new_photos: Path) -> None:
    turned = Model(drawn_model(threshold=0.5))
    turned.facts = type(turned.facts)(**{**vars(turned.facts), "positive": "empty", "negative": "crossing"})
    result = compare(guessing, turned, new_photos)
    brier = result.comparison.metrics["brier"]
    probability = np.array([guessing.predict(path).probability for path in sorted(new_photos.glob("*/*.jpg"))])
    crossing = np.array([path.parent.name == "crossing" for path in sorted(new_photos.glob("*/*.jpg"))])
    assert brier.a == pytest.approx(np.mean((probability - crossing) ** 2))
    assert brier.b == pytest.approx(np.mean((1 - probability - crossing) ** 2))


def test_models_of_other_labels(guessing: Model, new_photos: Path) -> None:
    other = Model(drawn_model())
    other.facts = type(other.facts)(**{**vars(other.facts), "positive": "tram"})
    with pytest.raises(ModelFileError, match="found 'crossing' and 'empty' in A, 'empty' and 'tram' in B"):
        compare(guessing, other, new_photos)


def test_photos_that_are_all_seen(small_run: Run, drawn_photos: Path, tmp_path: Path) -> None:
    for row in small_run.splits:
        if row.split == "train":
            (tmp_path / "photos" / row.label).mkdir(parents=True, exist_ok=True)
            shutil.copy(drawn_photos / row.file, tmp_path / "photos" / row.label)
    with pytest.raises(DatasetError, match="expected photos that neither model was trained on, found none among 33"):
        compare(small_run, small_run, tmp_path / "photos")
