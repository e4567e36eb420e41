"""The run folder: written whole or not at all, read again as it was, and what a run says of its photos."""

import hashlib
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_model

from roadclear.data.dataset import LabelledPhoto, load_folder
from roadclear.errors import DatasetError, ModelFileError, OptionError, OutputError
from roadclear.model.content_filter import largest_chance
from roadclear.model.predictor import load
from roadclear.training.result import TrainingResult
from roadclear.training.run_files import SplitRow, metrics
from roadclear.training.run_folder import Run, find_seen, open_model
from roadclear.utils.tables import to_json

FILES = {"model.onnx", "metrics.json", "history.csv", "splits.csv", "predictions.csv", "config.toml", "report.html"}


SPLITS = {"a/1.jpg": "train", "a/2.jpg": "validation", "a/3.jpg": "test", "b/1.jpg": "train", "b/2.jpg": "test"}
SEEN = {"a/1.jpg", "a/2.jpg", "b/1.jpg"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of two labels with a content each; nobody decodes them here."""
    for number, file in enumerate(SPLITS):
        path = tmp_path / "photos" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo %d" % number)
    return tmp_path / "photos"


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text(f'photos = "{photos}"\nseed = 3\n')
    rows = "".join(f"{file},{file[0]},{split},0\n" for file, split in SPLITS.items())
    (folder / "splits.csv").write_text("file,label,split,group\n" + rows)
    (folder / "model.onnx").write_bytes(b"")
    return folder


def listed(folder: Path) -> tuple[LabelledPhoto, ...]:
    return load_folder(folder).photos


class TestSave:
    @pytest.mark.slow
    def test_it_holds_the_documented_files(self, small_run: Run) -> None:
        assert {path.name for path in small_run.folder.iterdir()} == FILES

    def test_the_report_is_the_given_one_or_none(
        self, small_run: Run, small_training: TrainingResult, tmp_path: Path
    ) -> None:
        assert small_run.report_file.read_bytes() == b"a report"
        without = Run.save(tmp_path / "run", "photos", small_training)
        assert {path.name for path in without.folder.iterdir()} == FILES - {"report.html"}

    def test_a_run_is_replaced_on_request_only(self, small_training: TrainingResult, tmp_path: Path) -> None:
        first = Run.save(tmp_path / "run", "photos", small_training, b"first")
        with pytest.raises(OutputError, match="is already there"):
            Run.save(tmp_path / "run", "photos", small_training, b"second")
        assert first.report_file.read_bytes() == b"first"
        Run.save(tmp_path / "run", "photos", small_training, b"second", overwrite=True)
        assert first.report_file.read_bytes() == b"second"

    def test_it_is_not_written_among_the_photos(self, small_training: TrainingResult, drawn_photos: Path) -> None:
        for folder in (drawn_photos, drawn_photos / "run", drawn_photos / "crossing" / ".." / "run"):
            with pytest.raises(OutputError, match="would lie among the photos: choose another with --out"):
                Run.save(folder, drawn_photos, small_training, overwrite=True)
        assert sorted(path.name for path in drawn_photos.iterdir()) == ["crossing", "empty"]

    def test_a_folder_that_is_no_run_is_not_replaced(
        self, small_training: TrainingResult, drawn_photos: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis.txt").write_text("three years of work")
        with pytest.raises(OutputError, match="holds other things than a run, and is left alone"):
            Run.save(tmp_path, drawn_photos, small_training, overwrite=True)
        assert (tmp_path / "thesis.txt").read_text() == "three years of work"


class TestOpen:
    @pytest.fixture(params=["folder", "model file"])
    @staticmethod
    def opened(request: pytest.FixtureRequest, small_run: Run) -> Run:
        return Run.open(small_run.folder if request.param == "folder" else str(small_run.model_file))

    def test_everything_is_as_it_was_saved(
        self, opened: Run, small_run: Run, small_training: TrainingResult, drawn_photos: Path
    ) -> None:
        data = small_training.data
        assert opened == small_run
        assert opened.model.data == small_training.model
        assert opened.settings == small_training.settings
        assert opened.photos_folder == drawn_photos.resolve()
        assert to_json(opened.metrics) == to_json(metrics(small_training))
        rows = zip(data.photos, data.splits, data.groups.tolist(), strict=True)
        assert opened.splits == [SplitRow(photo.file, photo.label, split, group) for photo, split, group in rows]

    def test_the_model_is_loaded_once(self, opened: Run) -> None:
        assert opened.model is opened.model

    def test_the_test_photos(self, opened: Run, small_training: TrainingResult) -> None:
        data = small_training.data
        found = opened.test_photos()
        expected = [photo for photo, split in zip(data.photos, data.splits, strict=True) if split == "test"]
        assert [(photo.path, photo.file, photo.label) for photo in found] == [
            (photo.path.resolve(), photo.file, photo.label) for photo in expected
        ]
        assert {photo.split for photo in found} == {"test"}

    def test_the_other_photos_were_seen(self, opened: Run, small_training: TrainingResult) -> None:
        data = small_training.data
        seen = opened.seen(data.photos)
        assert seen == {data.photos[k].file for k in np.flatnonzero(~data.is_in("test"))}

    @pytest.mark.parametrize("name", ["nowhere", "."])
    def test_no_run(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(
            ModelFileError, match=r"expected a run folder, found no model file at .*: give a run folder"
        ):
            Run.open(tmp_path / name)

    @pytest.mark.parametrize("content", [None, b"{", b"\xff"], ids=["missing", "cut", "no text"])
    def test_metrics_that_cannot_be_read(self, tmp_path: Path, content: bytes | None) -> None:
        (tmp_path / "model.onnx").touch()
        if content is not None:
            (tmp_path / "metrics.json").write_bytes(content)
        with pytest.raises(DatasetError, match=r"expected the metrics of a run at .*: train it again"):
            _ = Run.open(tmp_path).metrics

    def test_a_model_file_alone(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").touch()
        alone = Run.open(tmp_path)
        with pytest.raises(DatasetError, match="expected the split of a run"):
            _ = alone.splits
        with pytest.raises(OptionError, match=r"expected a config\.toml of a run"):
            _ = alone.settings

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({}, "the run's split"),
            ({"splits.csv": "", "config.toml": 'photos = "nowhere"\n'}, "found no folder"),
            ({"splits.csv": "", "config.toml": "seed = 0\n"}, "found no folder"),
            ({"splits.csv": "a.jpg,empty,train,0\n", "config.toml": 'photos = "."\n'}, "test photos"),
        ],
        ids=["no split", "photos gone", "photos not named", "no test photos"],
    )
    def test_a_run_without_test_photos_says_what_to_do(
        self, tmp_path: Path, files: dict[str, str], reason: str
    ) -> None:
        (tmp_path / "model.onnx").touch()
        for name, text in files.items():
            (tmp_path / name).write_text(("file,label,split,group\n" if name == "splits.csv" else "") + text)
        with pytest.raises(DatasetError, match=f"{reason}.*name a folder of photos"):
            Run.open(tmp_path).test_photos()


class TestAnotherModelInTheFolder:
    """A run's numbers belong to one model file. Another file in its place is refused, and can be used by itself."""

    @pytest.fixture
    def mixed_up(self, small_run: Run, tmp_path: Path) -> Path:
        folder = shutil.copytree(small_run.folder, tmp_path / "run")
        (folder / "model.onnx").write_bytes(drawn_model())
        return folder

    def test_the_checksum_is_that_of_the_model_file(self, small_run: Run) -> None:
        expected = hashlib.sha256(small_run.model_file.read_bytes()).hexdigest()
        assert small_run.metrics["model_sha256"] == expected

    def test_the_folder_is_refused(self, mixed_up: Path) -> None:
        for use in (Run.open, load, partial(open_model, engine="openvino")):
            with pytest.raises(
                ModelFileError, match=r"found another .*: name .*model\.onnx' to use that file"
            ) as caught:
                use(mixed_up)
            assert str(caught.value).isprintable()
        with pytest.raises(ModelFileError, match="expected the model file of a run, found another"):
            Run.open(mixed_up / "model.onnx")

    def test_the_file_by_itself_is_of_no_run(self, mixed_up: Path) -> None:
        model, run = open_model(mixed_up / "model.onnx", "openvino")
        assert run is None
        assert model.data == drawn_model()

    def test_a_run_without_a_checksum_is_taken_as_it_is(self, mixed_up: Path) -> None:
        for content in (b"{}", b"[]", b'{"model_sha256": 3}', b"{", b"[" * 100_000):
            (mixed_up / "metrics.json").write_bytes(content)
            assert open_model(mixed_up, "openvino")[1] == Run.open(mixed_up)
        (mixed_up / "metrics.json").unlink()
        assert load(mixed_up).data == drawn_model()


class TestFindSeen:
    """The run folder and the filter in the model file together."""

    @pytest.fixture
    def held_out(self, small_run: Run) -> set[str]:
        return {row.file for row in small_run.splits if row.split == "test"}

    def test_both_agree_on_the_own_photos(self, small_run: Run, small_training: TrainingResult) -> None:
        photos = small_training.data.photos
        by_run = small_run.seen(photos)
        assert find_seen(small_run.model, small_run, photos) == (by_run, 0)
        assert find_seen(small_run.model, None, photos) == (by_run, largest_chance(len(photos)))

    def test_contents_count_where_the_folder_is_gone(
        self, small_run: Run, drawn_photos: Path, held_out: set[str], tmp_path: Path
    ) -> None:
        """Names alone would call the test photos of another folder seen, and renamed photos new."""
        folder = shutil.copytree(small_run.folder, tmp_path / "run")
        (folder / "config.toml").write_text('photos = "/gone"\n')
        others = tmp_path / "others"
        for row in small_run.splits:
            target = others / row.file.replace("-0", "-9")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(drawn_photos / row.file, target)
        impostor = next(row.file for row in small_run.splits if row.split == "train")
        shutil.copy(drawn_photos / next(iter(held_out)), others / impostor)
        seen, _ = find_seen(small_run.model, Run.open(folder), listed(others))
        assert seen == {row.file.replace("-0", "-9") for row in small_run.splits if row.split != "test"}

    def test_photos_that_vanish_are_not_seen(self, small_run: Run, drawn_photos: Path, tmp_path: Path) -> None:
        photos = listed(shutil.copytree(drawn_photos, tmp_path / "photos"))
        for photo in photos[::2]:
            photo.path.unlink()
        seen, _ = find_seen(small_run.model, small_run, photos)
        assert seen is not None
        assert seen == small_run.seen(photos) == seen - {photo.file for photo in photos[::2]}


class TestOpenModel:
    def test_a_path_gives_the_model_and_its_run(self, small_run: Run, small_training: TrainingResult) -> None:
        for path in (small_run.folder, small_run.model_file):
            model, run = open_model(path, "openvino")
            assert model.data == small_training.model
            assert run == small_run

    def test_a_run_is_loaded_with_the_engine(self, small_run: Run) -> None:
        with pytest.raises(OptionError, match="one of openvino, onnxruntime"):
            open_model(small_run, "torch")
        assert open_model(small_run, "onnxruntime")[1] is small_run

    def test_a_model_is_from_no_run(self, small_run: Run) -> None:
        assert open_model(small_run.model, "openvino") == (small_run.model, None)

    def test_the_stock_model_is_from_no_run_though_one_lies_here(
        self, small_run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(small_run.folder)
        model, run = open_model("stock", "openvino")
        assert run is None
        assert model.data == load().data


class TestSeen:
    def test_in_the_folder_that_was_trained_on(self, run: Path, photos: Path) -> None:
        assert Run.open(run).seen(listed(photos)) == SEEN

    def test_by_the_model_file_in_the_run(self, run: Path, photos: Path) -> None:
        assert Run.open(run / "model.onnx").seen(listed(photos)) == SEEN

    def test_through_a_link_to_the_folder(self, run: Path, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(photos)
        assert Run.open(run).seen(listed(tmp_path / "link")) == SEEN

    def test_copies_under_other_names_and_labels(self, run: Path, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "others" / "a").mkdir(parents=True)
        (tmp_path / "others" / "b").mkdir()
        shutil.copy(photos / "a" / "1.jpg", tmp_path / "others" / "b" / "copy.jpg")
        shutil.copy(photos / "a" / "3.jpg", tmp_path / "others" / "a" / "tested.jpg")
        (tmp_path / "others" / "a" / "1.jpg").write_bytes(b"photo X")
        assert Run.open(run).seen(listed(tmp_path / "others")) == {"b/copy.jpg"}

    def test_a_photo_moved_to_the_other_label(self, run: Path, photos: Path) -> None:
        shutil.copy(photos / "a" / "2.jpg", photos / "b" / "9.jpg")
        assert Run.open(run).seen(listed(photos)) == SEEN | {"b/9.jpg"}

    def test_by_name_where_the_folder_is_gone(self, run: Path, photos: Path, tmp_path: Path) -> None:
        photos.rename(tmp_path / "moved")
        assert Run.open(run).seen(listed(tmp_path / "moved")) == SEEN

    def test_a_model_file_alone_tells_nothing(self, run: Path, photos: Path, tmp_path: Path) -> None:
        alone = tmp_path / "alone" / "model.onnx"
        alone.parent.mkdir()
        alone.write_bytes(b"")
        assert Run.open(alone).seen(listed(photos)) is None
        assert Run.open(alone.parent).seen(listed(photos)) is None

    def test_a_split_table_without_its_columns(self, run: Path, photos: Path) -> None:
        (run / "splits.csv").write_text("name,part\na/1.jpg,train\n")
        with pytest.raises(DatasetError, match="with columns 'file', 'label', 'split' and 'group'"):
            Run.open(run).seen(listed(photos))

    def test_a_broken_configuration(self, run: Path, photos: Path) -> None:
        (run / "config.toml").write_text("photos = [")
        with pytest.raises(OptionError, match=r"expected a config\.toml"):
            Run.open(run).seen(listed(photos))
