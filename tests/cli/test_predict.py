"""`roadclear predict` and `evaluate`: every input has its answer, for people and for programs."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from heads import drawn_model
from process import START, Ended, environment, roadclear

from roadclear import load
from roadclear.model.decision.promise import choose_band
from roadclear.model.settings import PromiseSettings
from roadclear.report.messages import promise_sentence

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mixed(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos with difficult names, and of files that are none."""
    folder = tmp_path_factory.mktemp("mixed")
    photos = sorted(drawn_photos.glob("*/*.jpg"))
    for photo, name in zip(photos, NAMES, strict=False):
        shutil.copy(photo, folder / os.fsdecode(name))
    for name, content in BROKEN.items():
        (folder / os.fsdecode(name)).write_bytes(content)
    (folder / "below" / "more").mkdir(parents=True)
    shutil.copy(photos[-1], folder / "below" / "more" / "deep.JPG")
    shutil.copy(photos[-1], folder / "below" / ".hidden.jpg")
    return folder


NAMES = (b"plain.jpg", b"with spaces .jpg", b"'\"`.jpg", b"two\nlines.jpg", b"caf\xe9.jpg", b"[bold].jpg", b"a,b.jpg")
BROKEN = {b"nothing.jpg": b"", b"caf\xe9 page.jpg": b"<html>", b"[1].jpg": b"\xff\xd8\xff"}
ALL = {*NAMES, *BROKEN, b"below/more/deep.JPG"}


def lines_of(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]


class TestFormats:
    def test_jsonl_has_a_line_a_file(self, trained_run: Path, mixed: Path) -> None:
        ended = roadclear("predict", trained_run, mixed, "--format", "jsonl")
        assert (ended.code, ended.err) == (3, "")
        rows = lines_of(ended)
        assert {os.fsencode(os.path.relpath(row["file"], mixed)) for row in rows} == ALL
        model = load(trained_run)
        for row in rows:
            if "error" in row:
                assert set(row) == {"file", "error"}
                assert os.fsencode(Path(row["file"]).name) in BROKEN
            else:
                expected = model.predict(row["file"])
                assert (row["label"], row["probability"]) == (expected.label, expected.probability)
                assert (row["answer"], row["unfamiliar"]) == (expected.answer, expected.unfamiliar)
                assert (row["positive"], row["threshold"]) == ("crossing", model.facts.threshold)

    def test_csv_has_the_same_in_columns(self, trained_run: Path, mixed: Path) -> None:
        ended = roadclear("predict", trained_run, mixed, "--format", "csv")
        assert (ended.code, ended.err) == (3, "")
        text = ended.out.decode("utf-8", errors="surrogateescape")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert text.startswith("file,answer,label,probability,unfamiliar,distance,positive,threshold,error\n")
        for row, expected in zip(
            rows, lines_of(roadclear("predict", trained_run, mixed, "--format", "jsonl")), strict=True
        ):
            assert row["file"] == expected["file"]
            assert row["label"] == expected.get("label", "")
            assert row["answer"] == expected.get("answer", "")
            assert row["unfamiliar"] == {True: "yes", False: "no", None: ""}[expected.get("unfamiliar")]
            assert row["error"] == expected.get("error", "")
            assert row["probability"] == str(expected.get("probability", ""))

    def test_a_table_has_a_line_a_photo_and_stderr_the_others(self, trained_run: Path, mixed: Path) -> None:
        ended = roadclear("predict", trained_run, mixed)
        assert ended.code == 3
        out = ended.out.decode()
        for printable in ("two\\nlines.jpg", "caf\\udce9.jpg", "[bold].jpg", "with spaces .jpg"):
            assert printable in out
        assert ended.err.splitlines()[0] == "3 photos could not be used:"
        assert len(ended.err.splitlines()) == 4
        assert any(line.endswith("caf\\udce9 page.jpg: an HTML page, not a photo") for line in ended.err.splitlines())

    def test_one_photo_that_can_be_read_ends_in_0(self, trained_run: Path, drawn_photos: Path) -> None:
        photo = next(drawn_photos.glob("crossing/*.jpg"))
        ended = roadclear("predict", trained_run / "model.onnx", photo)
        assert (ended.code, ended.err) == (0, "")
        assert photo.name in ended.out.decode()

    def test_both_engines_say_the_same(self, trained_run: Path, drawn_photos: Path) -> None:
        ours, theirs = (
            lines_of(roadclear("predict", trained_run, drawn_photos, "--format", "jsonl", "--engine", engine))
            for engine in ("openvino", "onnxruntime")
        )
        assert [row["file"] for row in ours] == [row["file"] for row in theirs]
        assert [row["probability"] for row in ours] == pytest.approx([row["probability"] for row in theirs], abs=1e-4)

    def test_words_alone_are_as_words_with_a_default_option(self, trained_run: Path, mixed: Path) -> None:
        """Words alone need no parser of options."""
        for words in ((trained_run, mixed), (trained_run,), (mixed / "missing",), (trained_run, mixed / "none" / "*")):
            alone, parsed = (roadclear("predict", *words, *option) for option in ((), ("--engine", "openvino")))
            assert alone == parsed

    def test_a_reader_that_stops_reading_is_no_error(self, trained_run: Path, drawn_photos: Path) -> None:
        command = [*START, "predict", trained_run, *[drawn_photos] * 20, "--format", "jsonl"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment({})) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode != 0


class TestWithoutARun:
    """The first word is a model only where it names one; nothing is taken for the stock model by a slip."""

    @pytest.mark.parametrize("name", ["runs/frist", "no such", "folder/"])
    def test_a_mistyped_run_is_an_error(self, mixed: Path, name: str) -> None:
        ended = roadclear("predict", name, "plain.jpg", cwd=mixed)
        assert ended.code == 2
        assert ended.err == (
            f"roadclear: expected a run, a model or photos, found nothing at {name!r}: check the name\n"
        )

    def test_a_missing_model_file_is_an_error(self, mixed: Path) -> None:
        ended = roadclear("predict", "model.onnx", "plain.jpg", cwd=mixed)
        assert ended.code == 1
        assert "expected a model file at 'model.onnx'" in ended.err

    @pytest.mark.parametrize("run", ["stock", "model.onnx"])
    def test_a_model_alone_asks_for_photos(self, mixed: Path, run: str) -> None:
        ended = roadclear("predict", run, cwd=mixed)
        assert ended.code == 2
        assert f"expected photos after the model {run!r}, found none" in ended.err

    def test_folders_and_patterns_may_come_first(self, mixed: Path) -> None:
        for word in ("below", "w*.jpg"):
            ended = roadclear("predict", word, "--format", "jsonl", cwd=mixed)
            assert (ended.code, len(lines_of(ended))) == (0, 1)


class TestInputs:
    def test_files_folders_and_patterns_in_the_order_given(self, trained_run: Path, mixed: Path) -> None:
        ended = roadclear(
            "predict", trained_run, "below", "plain.jpg", "w*.jpg", "**/*.JPG", "--format", "jsonl", cwd=mixed
        )
        assert ended.code == 0
        files = [row["file"] for row in lines_of(ended)]
        assert files == ["below/more/deep.JPG", "plain.jpg", "with spaces .jpg", "below/more/deep.JPG"]

    def test_a_name_is_a_name_before_it_is_a_pattern(self, trained_run: Path, mixed: Path) -> None:
        rows = lines_of(roadclear("predict", trained_run, "[1].jpg", "--format", "jsonl", cwd=mixed))
        assert [row["file"] for row in rows] == ["[1].jpg"]

    @pytest.mark.parametrize("name", ["missing.jpg", "nothing*at*all.jpg", "below/.hidden.jpg/x.jpg"])
    def test_what_is_not_there_is_told(self, trained_run: Path, mixed: Path, name: str) -> None:
        ended = roadclear("predict", trained_run, name, "--format", "jsonl", cwd=mixed)
        assert ended.code == 3
        assert lines_of(ended) == [{"file": name, "error": "the file is missing"}]

    def test_names_of_any_bytes_may_be_given(self, trained_run: Path, mixed: Path) -> None:
        ended = roadclear("predict", trained_run, b"caf\xe9.jpg", b"two\nlines.jpg", "--format", "csv", cwd=mixed)
        assert ended.code == 0
        assert b"\ncaf\xe9.jpg," in ended.out
        assert b'\n"two\nlines.jpg",' in ended.out

    def test_a_name_that_looks_like_an_option_follows_two_dashes(self, trained_run: Path, mixed: Path) -> None:
        shutil.copy(mixed / "plain.jpg", mixed / "below" / "-x.jpg")
        ended = roadclear("predict", "--format", "jsonl", "--", trained_run, "-x.jpg", cwd=mixed / "below")
        (mixed / "below" / "-x.jpg").unlink()
        assert [row["file"] for row in lines_of(ended)] == ["-x.jpg"]


SEEN = r"Warning: the model has seen \d+ of the 48 photos in training: the numbers flatter it.\n"


class TestEvaluate:
    def test_numbers_are_those_of_the_predictions(self, trained_run: Path, drawn_photos: Path) -> None:
        ended = roadclear("evaluate", trained_run, drawn_photos, "--json")
        assert ended.code == 0
        assert re.fullmatch(SEEN, ended.err)
        numbers = json.loads(ended.out)
        rows = lines_of(roadclear("predict", trained_run, drawn_photos, "--format", "jsonl"))
        right = sum(Path(row["file"]).parent.name == row["label"] for row in rows)
        assert numbers["accuracy"]["value"] == right / 48
        assert numbers["accuracy"]["n"] == 48 == sum(numbers["confusion"].values())
        assert numbers["skipped"] == []
        assert (numbers["positive"], numbers["negative"]) == ("crossing", "empty")

    def test_for_people_there_is_an_interval(self, trained_run: Path, drawn_photos: Path) -> None:
        ended = roadclear("evaluate", trained_run / "model.onnx", drawn_photos)
        assert ended.code == 0
        assert "95% interval" in ended.out.decode()

    def test_unreadable_photos_are_listed_and_end_in_3(
        self, trained_run: Path, drawn_photos: Path, tmp_path: Path
    ) -> None:
        photos = shutil.copytree(drawn_photos, tmp_path / "photos")
        (photos / "empty" / "broken.jpg").write_bytes(b"\0" * 99)
        ended = roadclear("evaluate", trained_run, photos, "--json")
        assert ended.code == 3
        assert [Path(row["file"]).name for row in json.loads(ended.out)["skipped"]] == ["broken.jpg"]
        assert "broken.jpg: blank" in ended.err

    def test_one_label_alone_can_be_measured(self, trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
        shutil.copytree(drawn_photos / "empty", tmp_path / "empty")
        ended = roadclear("evaluate", trained_run, tmp_path, "--json")
        assert ended.code == 0, ended.err
        numbers = json.loads(ended.out)
        assert numbers["specificity"]["n"] == 24
        assert numbers["recall"]["value"] is None

    def test_nothing_readable_is_an_error(self, trained_run: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "page.jpg").write_text("<html>")
        ended = roadclear("evaluate", trained_run, tmp_path)
        assert ended.code == 1
        assert "found none that can be read" in ended.error()


class TestPromise:
    """The unsure band for another promise, from the probabilities in the model file."""

    @pytest.mark.parametrize("words", [(), ("--threshold", "0.3")])
    @pytest.mark.parametrize(
        ("name", "value"), [("coverage", 0.8), ("max_error", 0.2), ("max_error", 0.01), ("max_unsure", 0.5)]
    )
    def test_the_band_is_that_of_a_training_with_the_promise(
        self, trained_run: Path, drawn_photos: Path, words: tuple[str, ...], name: str, value: float
    ) -> None:
        option = f"--{name.replace('_', '-')}"
        ended = roadclear("predict", trained_run, drawn_photos, option, str(value), *words, "--format", "jsonl")
        assert ended.code == 0
        own = load(trained_run)
        model = own.with_rule(threshold=float(words[1]) if words else None, **{name: value})
        band = model.facts.band
        assert f"The answer is unsure from {band.low:.4f} to {band.high:.4f}." in ended.err
        assert [row["answer"] for row in lines_of(ended)] == [
            model.predict(row["file"]).answer for row in lines_of(ended)
        ]
        assert own.facts.validation is not None
        expected = choose_band(own.facts.validation, model.facts.threshold, PromiseSettings(**{name: value}))
        assert (band, model.facts.promise) == expected

    def test_without_options_the_training_s_own_band_is_used(self, trained_run: Path) -> None:
        own = load(trained_run).facts
        assert own.validation is not None
        assert choose_band(own.validation, own.threshold, PromiseSettings()) == (own.band, own.promise)

    def test_a_table_ends_with_the_promise(self, trained_run: Path, drawn_photos: Path) -> None:
        out = roadclear("predict", trained_run, drawn_photos).out.decode()
        facts = load(trained_run).facts
        assert facts.promise is not None
        assert out.splitlines()[-1] == promise_sentence(facts)
        assert f"{facts.promise.wrong} of {facts.promise.answered} in cross-validation of the linear head" in out

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--coverage", "0.999"), "not for the requested 99.9%"),
            (("--max-error", "0.001"), "0.1% cannot be promised: 2,302 answered photos without a mistake"),
        ],
    )
    def test_what_few_photos_cannot_promise_is_said(
        self, trained_run: Path, drawn_photos: Path, words: tuple[str, ...], reason: str
    ) -> None:
        ended = roadclear("predict", trained_run, drawn_photos, *words, "--format", "csv")
        assert ended.code == 0
        assert reason in ended.err

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--coverage", "0.3"), "coverage must be at least 0.5 and below 1, got 0.3"),
            (("--coverage", "1"), "coverage must be at least 0.5 and below 1, got 1.0"),
            (("--coverage", "nan"), "coverage must be at least 0.5 and below 1, got nan"),
            (("--max-error", "0"), "max_error must be above 0 and at most 0.5, got 0.0"),
            (("--max-unsure", "1"), "max_unsure must be above 0 and below 1, got 1.0"),
            (("--coverage", "0.9", "--unsure", "0.2", "0.8"), "expected an unsure band or a promise, found both"),
            (("--coverage", "0.9", "--max-error", "0.1"), "expected one promise, found two"),
        ],
    )
    def test_other_promises_are_refused(
        self, trained_run: Path, drawn_photos: Path, words: tuple[str, ...], reason: str
    ) -> None:
        ended = roadclear("predict", trained_run, drawn_photos, *words)
        assert (ended.code, reason in ended.error()) == (2, True), ended.error()

    def test_an_older_model_file_names_another_way(self, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(drawn_model())
        ended = roadclear("predict", tmp_path, drawn_photos, "--coverage", "0.9")
        assert ended.code == 2
        assert ended.error().endswith("found an older one: give --unsure LOW HIGH, or train the model again")
