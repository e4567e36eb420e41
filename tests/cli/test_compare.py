"""`roadclear compare`: two models on photos that neither has seen; and `evaluate` warns where its model has."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from heads import drawn_model
from process import roadclear
from scenes import write_scenes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def new_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that no run was trained on."""
    return write_scenes(tmp_path_factory.mktemp("new") / "photos", per_label=20, seed=9)


@pytest.fixture(scope="module")
def other_run(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the same photos, split otherwise, whose positive label is the other one."""
    run = tmp_path_factory.mktemp("other") / "run"
    options = ("--size", "96", "--views", "0", "--head", "linear", "--seed", "1", "--positive", "empty")
    ended = roadclear("train", drawn_photos, "--out", run, *options)
    assert ended.code == 0, ended.err
    return run


@pytest.fixture(scope="module")
def guessing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose head is drawn, not trained."""
    file = tmp_path_factory.mktemp("guessing") / "model.onnx"
    file.write_bytes(drawn_model(threshold=0.9))
    return file


class TestCompare:
    def test_new_photos_all_count(self, trained_run: Path, other_run: Path, new_photos: Path) -> None:
        ended = roadclear("compare", trained_run, other_run, new_photos, "--json")
        assert (ended.code, ended.err) == (0, "")
        values = json.loads(ended.out)
        assert (values["photos"], values["left_out"], values["drawn_by"]) == (40, 0, "photo")
        evaluated = json.loads(roadclear("evaluate", other_run, new_photos, "--json").out)
        assert (values["positive"], evaluated["positive"]) == ("crossing", "empty")
        for metric in ("accuracy", "balanced_accuracy", "roc_auc", "brier", "log_loss"):
            assert values["metrics"][metric]["b"] == pytest.approx(evaluated[metric]["value"], abs=1e-6)

    def test_photos_that_either_has_seen_are_left_out(
        self, trained_run: Path, other_run: Path, drawn_photos: Path
    ) -> None:
        values = json.loads(roadclear("compare", trained_run, other_run, drawn_photos, "--json").out)
        parts = [(run / "splits.csv").read_text().splitlines() for run in (trained_run, other_run)]
        tested = [{line.split(",")[0] for line in lines if ",test," in line} for lines in parts]
        assert values["photos"] == len(tested[0] & tested[1])
        assert values["seen"] == {"A": 48 - len(tested[0]), "B": 48 - len(tested[1])}

    def test_a_model_file_alone_cannot_tell_what_it_has_seen(
        self, trained_run: Path, guessing: Path, drawn_photos: Path
    ) -> None:
        text = roadclear("compare", trained_run, guessing, drawn_photos).out.decode()
        assert "It cannot be told which photos B was trained on: its model file does not say." in text
        seen = sum(",test," not in line for line in (trained_run / "splits.csv").read_text().splitlines()) - 1
        assert f"{seen} of 48 photos are left out: A has seen {seen} of them in training." in text

    def test_scenes_of_the_manifest_are_drawn_as_wholes(
        self, trained_run: Path, other_run: Path, new_photos: Path, tmp_path: Path
    ) -> None:
        photos = shutil.copytree(new_photos, tmp_path / "photos")
        files = sorted(path.relative_to(photos).as_posix() for path in photos.glob("*/*.jpg"))
        rows = [f"{file},place-{number // 4}" for number, file in enumerate(files)]
        (photos / "manifest.csv").write_text("file,scene\n" + "\n".join(rows))
        values = json.loads(roadclear("compare", trained_run, other_run, photos, "--json").out)
        assert (values["photos"], values["groups"], values["drawn_by"]) == (40, 10, "scene")

    def test_bad_photos_are_listed_and_end_in_3(
        self, trained_run: Path, other_run: Path, new_photos: Path, tmp_path: Path
    ) -> None:
        photos = shutil.copytree(new_photos, tmp_path / "photos")
        (photos / "empty" / "nothing.jpg").write_bytes(b"")
        ended = roadclear("compare", trained_run, other_run, photos, "--json")
        assert ended.code == 3
        assert json.loads(ended.out)["photos"] == 40
        assert "nothing.jpg: the file is empty" in ended.err


class TestBadInput:
    def test_models_of_other_labels(self, trained_run: Path, guessing: Path, new_photos: Path, tmp_path: Path) -> None:
        model = onnx.load_from_string(guessing.read_bytes())
        for entry in model.metadata_props:
            entry.value = entry.value.replace("crossing", "tram")
        onnx.save(model, tmp_path / "model.onnx")
        ended = roadclear("compare", trained_run, tmp_path / "model.onnx", new_photos)
        assert ended.code == 1
        assert "found 'crossing' and 'empty' in A, 'empty' and 'tram' in B" in ended.error()

    def test_photos_that_are_all_seen(
        self, trained_run: Path, other_run: Path, drawn_photos: Path, tmp_path: Path
    ) -> None:
        for line in (trained_run / "splits.csv").read_text().splitlines():
            file, label, part, _ = line.split(",")
            if part == "train":
                (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
                shutil.copy(drawn_photos / file, tmp_path / "photos" / label)
        ended = roadclear("compare", trained_run, other_run, tmp_path / "photos")
        assert ended.code == 1
        assert "expected photos that neither model was trained on, found none" in ended.error()

    def test_no_model(self, trained_run: Path, new_photos: Path, tmp_path: Path) -> None:
        assert "expected a model file at" in roadclear("compare", trained_run, tmp_path, new_photos).error()


class TestEvaluateWarns:
    def test_of_photos_in_training(self, trained_run: Path, drawn_photos: Path) -> None:
        ended = roadclear("evaluate", trained_run, drawn_photos)
        assert ended.code == 0
        assert "of the 48 photos in training: the numbers flatter it." in ended.error()

    def test_not_of_others(self, trained_run: Path, new_photos: Path) -> None:
        assert roadclear("evaluate", trained_run, new_photos).err == ""
