"""A trained model: loaded from anywhere, the same numbers for everybody, and bad photos told from good ones."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from heads import KINDS, drawn_model
from numpy.typing import NDArray
from PIL import Image
from scenes import draw_scene

import roadclear
from roadclear import Explanation, Model, Prediction, UnreadablePhoto, load
from roadclear.errors import ModelFileError, OptionError, OutputError, PhotoError
from roadclear.model.predictor import read_cells

pytestmark = pytest.mark.slow

STRANGER = """
import json, sys
import numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1])
_, height, width, _ = session.get_inputs()[0].shape
for name in sys.argv[2:]:
    photo = Image.open(name).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    probability, logit = session.run(["probability", "logit"], {"photo": np.array(photo)[None]})
    print(json.dumps([float(probability[0]), float(logit[0])]))
assert "roadclear" not in sys.modules
"""

HURRIED_THREADS = r"""
import faulthandler, sys, threading
from roadclear import Model
faulthandler.dump_traceback_later(30, exit=True)
sys.setswitchinterval(1e-9)
model, together = Model(open(sys.argv[1], "rb").read()), threading.Barrier(4)
def predict():
    together.wait()
    sys.stdout.write(f"{model.predict(sys.argv[2]).probability}\n")
threads = [threading.Thread(target=predict) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[Path]:
    return sorted(drawn_photos.glob("*/*.jpg"))


class TestLoad:
    def test_a_run_folder_and_its_file_are_the_same_model(
        self, model: Model, photos: list[Path], tmp_path: Path
    ) -> None:
        model.save(tmp_path / "model.onnx")
        from_folder, from_file = load(tmp_path), load(str(tmp_path / "model.onnx"))
        assert from_folder.facts == from_file.facts == model.facts
        assert from_folder.predict(photos[0]) == from_file.predict(photos[0]) == model.predict(photos[0])

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "none that can be read"),
            (b"", "not made by roadclear"),
            (b"<html>Not found</html>", "expected an ONNX model"),
            ("the first million bytes of a model", "expected an ONNX model"),
        ],
        ids=["missing", "empty", "a web page", "truncated"],
    )
    @pytest.mark.parametrize("as_folder", [True, False], ids=["folder", "file"])
    def test_what_is_no_model_is_refused_by_name(
        self, model: Model, tmp_path: Path, content: bytes | str | None, reason: str, as_folder: bool
    ) -> None:
        file = tmp_path / "model.onnx"
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else model.data[:1_000_000])
        with pytest.raises(ModelFileError, match=reason) as caught:
            load(tmp_path if as_folder else file)
        assert str(file) in str(caught.value)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize(
        ("engine", "precision"), [("tensorflow", "f32"), ("openvino", "f64"), ("onnxruntime", "bf16")]
    )
    def test_an_engine_or_precision_that_is_not_there_is_refused(self, engine: str, precision: str) -> None:
        with pytest.raises(OptionError):
            Model(drawn_model(), engine, precision)


class TestPredict:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_stranger_gets_the_same_numbers(self, tmp_path: Path, kind: str) -> None:
        """Ten lines with ONNX Runtime and Pillow, without any of our code, on photos of several shapes."""
        model = Model(drawn_model(kind, size=224))
        model.save(tmp_path / "model.onnx")
        files = [tmp_path / f"{i}.png" for i in range(4)]
        for seed, file in enumerate(files):
            draw_scene(seed, figure=seed % 2 == 0).save(file)
        draw_scene(9, figure=True).resize((224, 224)).save(files[0])
        command = [sys.executable, "-c", STRANGER, tmp_path / "model.onnx", *files]
        lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
        for file, line in zip(files, lines, strict=True):
            explanation = model.explain(file)
            assert [explanation.prediction.probability, explanation.logit] == pytest.approx(json.loads(line), abs=1e-4)

    def test_both_engines_agree(self, photos: list[Path]) -> None:
        data = drawn_model(size=224)
        ours, theirs = (list(Model(data, engine).predict_many(photos[::6])) for engine in ("openvino", "onnxruntime"))
        assert [p.probability for p in ours] == pytest.approx([p.probability for p in theirs], abs=1e-4)

    def test_the_label_changes_at_the_threshold(self, model: Model, photos: list[Path]) -> None:
        probability = model.predict(photos[0]).probability
        at, above = (Model(drawn_model(threshold=t)) for t in (probability, float(np.nextafter(probability, 1))))
        assert at.predict(photos[0]).label == "crossing"
        assert above.predict(photos[0]).label == "empty"

    def test_paths_may_be_text(self, model: Model, photos: list[Path]) -> None:
        assert model.predict(os.fspath(photos[0])) == model.predict(photos[0])

    @pytest.mark.parametrize(
        ("content", "reason"), [(b"", "empty"), (b"<html>", "an HTML page"), (None, "the file is missing")]
    )
    def test_a_file_that_is_no_photo_raises(
        self, model: Model, tmp_path: Path, content: bytes | None, reason: str
    ) -> None:
        if content is not None:
            (tmp_path / "photo.jpg").write_bytes(content)
        for use in (model.predict, model.explain):
            with pytest.raises(PhotoError, match=reason):
                use(tmp_path / "photo.jpg")


class TestPredictMany:
    def test_results_keep_the_order_and_tell_unreadable_ones_in_their_place(
        self, model: Model, photos: list[Path], tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.jpg"
        broken.write_bytes(photos[0].read_bytes()[:200])
        missing = tmp_path / "missing.jpg"
        files = [*photos[:20], broken, *photos[20:], missing, photos[0]]
        results = list(model.predict_many(files))
        assert [result.file for result in results] == files
        bad = [result for result in results if isinstance(result, UnreadablePhoto)]
        assert [result.file for result in bad] == [broken, missing]
        assert "truncated" in bad[0].reason and "missing" in bad[1].reason
        good = [result for result in results if isinstance(result, Prediction)]
        assert good == [model.predict(result.file) for result in good]

    def test_no_photos_give_no_results(self, model: Model) -> None:
        assert list(model.predict_many([])) == []

    def test_a_consumer_may_stop_early(self, model: Model, photos: list[Path]) -> None:
        results = model.predict_many(photos * 20)
        assert next(results) == model.predict(photos[0])
        results.close()  # type: ignore[attr-defined]
        assert model.predict(photos[1]).file == photos[1]

    def test_many_threads_may_share_a_model_from_the_start(self, photos: list[Path]) -> None:
        fresh = Model(drawn_model())
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(fresh.predict, photos))
        assert together == list(fresh.predict_many(photos))

    def test_the_first_predictions_of_a_process_do_not_block_each_other(
        self, model: Model, photos: list[Path], tmp_path: Path
    ) -> None:
        """Threads that change places at every step bring out what an engine does when it is first used."""
        model.save(tmp_path / "model.onnx")
        command = [sys.executable, "-c", HURRIED_THREADS, tmp_path / "model.onnx", photos[0]]
        expected = model.predict(photos[0]).probability
        for _ in range(3):
            ended = subprocess.run(command, capture_output=True, text=True)
            assert ended.returncode == 0, ended.stderr
            assert [float(line) for line in ended.stdout.splitlines()] == [expected] * 4


@pytest.fixture(scope="module")
def lossless(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lossless") / "photo.png"
    Image.open(photos[0]).save(file)
    return file


class TestKindsOfPhotos:
    def test_all_kinds_of_one_photo_have_one_answer(self, model: Model, lossless: Path) -> None:
        expected = model.predict(lossless)
        pixels = np.asarray(Image.open(lossless).convert("RGB"))
        kinds: list[Any] = [lossless.read_bytes(), io.BytesIO(lossless.read_bytes()), pixels, Image.open(lossless)]
        for photo in kinds:
            assert model.predict(photo) == replace(expected, file=None)
            assert model.explain(photo).prediction.file is None
        with lossless.open("rb") as file:
            kinds.append(file)
            assert list(model.predict_many(kinds)) == [replace(expected, file=None)] * 5
            explanations = list(model.explain_many([lossless, *kinds]))
        assert [one.prediction.file for one in explanations] == [lossless, *[None] * 5]  # type: ignore[union-attr]
        assert len({one.logit for one in explanations}) == 1  # type: ignore[union-attr]

    def test_a_file_object_may_be_given_twice(self, model: Model, photos: list[Path]) -> None:
        with photos[0].open("rb") as file:
            assert model.predict(file) == model.predict(file)

    def test_an_array_may_be_filled_anew_for_each_photo(self, model: Model, photos: list[Path]) -> None:
        frames = [np.asarray(Image.open(path).convert("RGB").resize((120, 90))) for path in photos[:20]]
        expected = [model.predict(frame).probability for frame in frames]

        def one_buffer() -> Iterator[NDArray[np.uint8]]:
            buffer = np.empty((90, 120, 3), np.uint8)
            for frame in frames:
                buffer[:] = frame
                yield buffer

        assert [p.probability for p in model.predict_many(one_buffer())] == expected  # type: ignore[union-attr]

    def test_an_image_may_be_closed_after_its_turn(self, model: Model, photos: list[Path]) -> None:
        def opened() -> Iterator[Image.Image]:
            for path in photos[:20]:
                with Image.open(path) as image:
                    yield image

        assert all(isinstance(result, Prediction) for result in model.predict_many(opened()))

    def test_what_cannot_be_used_is_told_in_its_place(self, model: Model, photos: list[Path]) -> None:
        closed = io.BytesIO()
        closed.close()
        good, empty, shut = list(model.predict_many([photos[0], b"", closed]))
        assert isinstance(good, Prediction)
        assert empty == UnreadablePhoto(None, "the file is empty")
        assert isinstance(shut, UnreadablePhoto) and "closed" in shut.reason

    @pytest.mark.parametrize("method", ["predict_many", "explain_many", "show"])
    def test_one_photo_is_no_list(self, model: Model, photos: list[Path], method: str) -> None:
        one: list[Any] = [str(photos[0]), photos[0], b"bytes", io.BytesIO(), Image.new("RGB", (40, 40))]
        for photo in one:
            with pytest.raises(TypeError, match=r"expected a list of photos, got one photo \("):
                getattr(model, method)(photo)
        with pytest.raises(ValueError, match=r"expected a list of photos, .* got uint8 \[40, 40, 3\]"):
            getattr(model, method)(np.zeros((40, 40, 3), np.uint8))
        with pytest.raises(TypeError, match="expected a list of photos, got int"):
            getattr(model, method)(3)

    @pytest.mark.parametrize("wrong", [3, None, ["a.jpg"], np.zeros((4, 4, 3))])
    def test_what_is_no_photo_is_refused_in_one_sentence(self, model: Model, wrong: Any) -> None:
        for use in (model.predict, model.explain):
            with pytest.raises(TypeError, match=r"expected .* got ") as refusal:
                use(wrong)
            assert "\n" not in str(refusal.value)

    def test_a_grid_of_pixels_is_that_of_their_files_without_names(self, model: Model, photos: list[Path]) -> None:
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in photos[:3]]
        drawn = model.show([*pictures, b"<html>"], ["empty", None, "crossing", None])
        assert drawn.size == model.show(photos[:4]).size
        cells = read_cells(model, [*pictures, photos[3].read_bytes(), photos[4]])
        assert [cell.photo is not None for cell in cells] == [True] * 5
        assert [cell.result.file for cell in cells] == [None] * 4 + [photos[4]]


class TestCopies:
    @pytest.mark.parametrize("used", [False, True])
    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_a_model_can_be_pickled_copied_and_dumped(
        self, photos: list[Path], tmp_path: Path, engine: str, used: bool
    ) -> None:
        model = Model(drawn_model(), engine)
        if used:
            model.explain(photos[0])
            model.predict(photos[0])
        joblib.dump(model, tmp_path / "model.joblib")
        copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)]
        for one in [*copies, joblib.load(tmp_path / "model.joblib")]:
            assert one.facts == model.facts and one.data == model.data
            assert one.predict(photos[0]) == model.predict(photos[0])

    def test_it_prints_what_it_is(self, model: Model) -> None:
        assert repr(model) == (
            "Model(positive='crossing', negative='empty', threshold=0.5, size=96, head='dense', weights='imagenet')"
        )


class TestExplain:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_places_and_offset_add_up_to_the_logit(self, photos: list[Path], kind: str, engine: str) -> None:
        model = Model(drawn_model(kind), engine)
        for photo in photos[::12]:
            explanation = model.explain(photo)
            assert explanation.heatmap.shape == (3, 3)
            assert explanation.heatmap.sum() + explanation.offset == pytest.approx(explanation.logit, abs=1e-3)
            assert explanation.prediction.probability == pytest.approx(1 / (1 + np.exp(-explanation.logit)), abs=1e-5)

    def test_it_explains_what_predict_says(self, model: Model, photos: list[Path]) -> None:
        explanation = model.explain(photos[3])
        assert isinstance(explanation, Explanation)
        predicted = model.predict(photos[3])
        assert explanation.prediction.label == predicted.label
        assert explanation.prediction.probability == pytest.approx(predicted.probability, abs=1e-5)


class TestSave:
    def test_it_replaces_what_was_there_on_request_and_leaves_nothing_else(self, model: Model, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"an older one")
        with pytest.raises(OutputError, match=r"is already there: choose another name, or pass overwrite=True"):
            model.save(tmp_path / "model.onnx")
        assert (tmp_path / "model.onnx").read_bytes() == b"an older one"
        model.save(tmp_path / "model.onnx", overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        assert (tmp_path / "model.onnx").read_bytes() == model.data

    def test_missing_folders_are_made(self, model: Model, tmp_path: Path) -> None:
        model.save(tmp_path / "a" / "b" / "model.onnx")
        assert load(tmp_path / "a" / "b").facts == model.facts

    def test_a_folder_in_its_place_is_left_alone(self, model: Model, tmp_path: Path) -> None:
        (tmp_path / "model.onnx" / "inside").mkdir(parents=True)
        with pytest.raises(OutputError, match="is already there and is no file"):
            model.save(tmp_path / "model.onnx", overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        assert (tmp_path / "model.onnx" / "inside").is_dir()

    def test_a_file_where_a_folder_is_needed_is_told(self, model: Model, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match="cannot write"):
            model.save(tmp_path / "file" / "model.onnx")


SECOND_START = """
import sys
from roadclear import load
model = load(sys.argv[1])
print(model.predict(sys.argv[2]).probability, model.facts == model.__class__(model.data).facts if sys.argv[3:] else "")
assert sys.argv[3:] or "onnx" not in sys.modules
"""


class TestSecondStart:
    """What one process has checked and compiled, the next process reads from the cache folder."""

    def start(self, *words: str | Path) -> list[str]:
        command = [sys.executable, "-c", SECOND_START, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def test_it_parses_no_graph_and_gives_the_same_numbers(
        self, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path / "cache"))
        (tmp_path / "model.onnx").write_bytes(drawn_model())
        first = self.start(tmp_path / "model.onnx", photos[0], "compare")
        assert first[1] == "True"
        assert self.start(tmp_path / "model.onnx", photos[0]) == first[:1]
        assert self.start(tmp_path / "model.onnx", photos[0], "compare") == first

    def test_a_changed_file_is_checked_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path / "cache"))
        data = drawn_model()
        (tmp_path / "model.onnx").write_bytes(data)
        load(tmp_path / "model.onnx")
        (tmp_path / "model.onnx").write_bytes(data.replace(b"Sigmoid", b"Softmax"))
        with pytest.raises(ModelFileError, match="operators of a roadclear model"):
            load(tmp_path / "model.onnx")


def test_the_package_gives_its_public_names_and_no_others() -> None:
    assert all(getattr(roadclear, name) is not None for name in roadclear.__all__)
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        roadclear.predict  # noqa: B018
