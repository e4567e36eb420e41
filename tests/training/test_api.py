"""Training, cross-validation and evaluation of a folder: files only where they are asked for, and no work in vain."""

import shutil
from pathlib import Path

import pytest
from heads import drawn_model
from scenes import write_scenes

from roadclear.data.settings import SourceSettings
from roadclear.errors import DatasetError, OptionError, OutputError
from roadclear.model.predictor import Model
from roadclear.training.api import cross_validate, evaluate, train
from roadclear.training.compare import compare
from roadclear.training.config import TrainSettings
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult
from roadclear.training.run_folder import Run, StrPath
from roadclear.training.validation import validation_values

pytestmark = pytest.mark.slow

SETTINGS = TrainSettings(size=96, views=1, epochs=5, positive="crossing")


def work(stage: str, done: int, total: int) -> None:
    raise AssertionError(f"work was done: {stage}")


class TestTrain:
    def test_with_a_run_folder_and_a_report(
        self, drawn_photos: Path, small_training: TrainingResult, tmp_path: Path
    ) -> None:
        given: list[object] = []

        def report(result: TrainingResult, photos: StrPath, checks: Crosschecks | None) -> bytes:
            given.extend((result, photos, checks))
            return b"page"

        stages: set[str] = set()
        result = train(
            str(drawn_photos),
            SETTINGS,
            out=tmp_path / "run",
            report=report,
            progress=lambda stage, done, total: stages.add(stage),
        )
        assert result.model == small_training.model
        assert given[:2] == [result, str(drawn_photos)]
        assert given[2] is None or isinstance(given[2], Crosschecks)
        assert "Reading photos" in stages
        run = Run.open(tmp_path / "run")
        assert run.model.data == result.model
        assert run.report_file.read_bytes() == b"page"
        assert run.photos_folder == drawn_photos.resolve()

    def test_without_one_nothing_is_written(
        self, drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = train(drawn_photos, SETTINGS, cache=False)
        assert result.settings.positive == "crossing"
        assert list(tmp_path.iterdir()) == []

    def test_a_prescribed_split_is_kept(self, drawn_photos: Path, small_run: Run) -> None:
        splits = small_run.folder / "splits.csv"
        result = train(drawn_photos, TrainSettings(size=96, views=0, epochs=1, split=str(splits)))
        assert list(result.data.splits) == [row.split for row in small_run.splits]

    def test_what_cannot_be_written_is_refused_before_the_work(self, drawn_photos: Path, small_run: Run) -> None:
        with pytest.raises(OutputError, match="is already there"):
            train(drawn_photos, SETTINGS, out=small_run.folder, progress=work)
        with pytest.raises(OutputError, match="among the photos"):
            train(drawn_photos, SETTINGS, out=drawn_photos / "run", progress=work)

    def test_a_report_needs_a_run_folder(self, drawn_photos: Path) -> None:
        with pytest.raises(OptionError, match="expected a run folder for the report"):
            train(drawn_photos, SETTINGS, report=lambda *_: b"", progress=work)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="found no folder"):
            train(tmp_path / "nowhere", progress=work)


class TestCrossValidate:
    def test_with_tables(self, drawn_photos: Path, tmp_path: Path) -> None:
        linear = TrainSettings(size=96, views=0, head="linear")
        result = cross_validate(drawn_photos, linear, folds=3, repeats=1, out=tmp_path / "tables")
        assert (result.crossed.folds, result.crossed.repeats, result.crossed.n) == (3, 1, 48)
        assert validation_values(result)["head"] == "linear"
        names = {path.name for path in (tmp_path / "tables").iterdir()}
        assert names == {"validation.json", "out_of_fold.csv", "learning_curve.csv"}

    def test_what_cannot_be_written_is_refused_before_the_work(self, drawn_photos: Path, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="is already there"):
            cross_validate(drawn_photos, out=tmp_path, progress=work)

    def test_wrong_numbers(self, drawn_photos: Path) -> None:
        with pytest.raises(OptionError, match="folds"):
            cross_validate(drawn_photos, folds=1, progress=work)


class TestEvaluate:
    def test_a_run_warns_of_its_own_photos(self, small_run: Run, drawn_photos: Path) -> None:
        for model in (small_run, small_run.folder, str(small_run.model_file)):
            result = evaluate(model, drawn_photos)
            assert result.seen == {row.file for row in small_run.splits if row.split != "test"}
            assert result.warning is not None
            assert "of the 48 photos in training" in result.warning

    def test_a_model_by_itself_warns_of_the_same_photos(
        self, small_run: Run, drawn_photos: Path, tmp_path: Path
    ) -> None:
        alone = shutil.copy(small_run.model_file, tmp_path / "elsewhere.onnx")
        by_run = evaluate(small_run, drawn_photos)
        for model in (small_run.model, alone):
            result = evaluate(model, drawn_photos)
            assert result.seen == by_run.seen
            assert result.warning is not None and by_run.warning is not None
            assert result.warning.startswith(by_run.warning)

    def test_a_model_without_a_filter_says_that_it_cannot_be_told(self, drawn_photos: Path) -> None:
        model = Model(drawn_model())
        result = evaluate(model, drawn_photos)
        assert (result.seen, result.warning) == (None, None)
        assert result.note is not None and "it cannot be told" in result.note
        assert result.model is model

    def test_the_stock_model_says_what_it_has_seen(self, roads: Path, tmp_path: Path) -> None:
        for label in ("crossing", "empty"):
            (tmp_path / label).mkdir()
        trained = [min(roads.glob(pattern)) for pattern in ("crossing/webped-*.jpg", "empty/webroads-*.jpg")]
        excluded = min(roads.glob("crossing/camvid-*.jpg"))
        for photo in (*trained, excluded):
            shutil.copy(photo, tmp_path / photo.parent.name)
        result = evaluate("stock", tmp_path)
        assert result.seen == {photo.relative_to(roads).as_posix() for photo in trained}
        assert result.warning is not None

    def test_the_numbers_are_those_of_the_training(
        self, small_run: Run, small_training: TrainingResult, drawn_photos: Path
    ) -> None:
        result = evaluate(small_run, drawn_photos)
        by_file = {photo.file: said for photo, said in zip(result.photos, result.predictions, strict=True)}
        for photo, probability in zip(small_training.data.photos, small_training.probabilities, strict=True):
            assert by_file[photo.file].probability == pytest.approx(probability, abs=1e-5)

    def test_labels_by_a_chosen_column(self, small_run: Run, tmp_path: Path) -> None:
        photos = write_scenes(tmp_path / "photos", per_label=4, seed=5)
        names = sorted(path.relative_to(photos).as_posix() for path in photos.glob("*/*"))
        rows = "".join(f"{name},{name.split('/')[0]},no\n" for name in names)
        (photos / "t.csv").write_text("name,what,label\n" + rows)
        columns = SourceSettings(image_column="name", label_column="what")
        assert evaluate(small_run, photos / "t.csv", columns=columns).metrics == evaluate(small_run, photos).metrics
        compared = compare(small_run, Model(drawn_model(threshold=0.5)), photos / "t.csv", columns=columns)
        assert compared.comparison.n == 8

    def test_new_photos_need_no_warning(self, small_run: Run, tmp_path: Path) -> None:
        photos = write_scenes(tmp_path / "photos", per_label=4, seed=5)
        result = evaluate(small_run, photos, engine="onnxruntime")
        assert (result.seen, result.warning) == (frozenset(), None)
        assert result.metrics["accuracy"].n == 8
