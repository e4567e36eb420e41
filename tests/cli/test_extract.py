"""`extract`, `train --features` and `predict --to`: shards give what the photos give, and say what they lack."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from process import roadclear
from stores import tar_bytes

from roadclear import load
from roadclear.data.shards.mapping import short_key
from roadclear.model.answers import PredictionWork

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: no Parquet")
pytestmark = pytest.mark.slow

SMALL = ("--size", "32", "--precision", "f32")
QUICK = (*SMALL, "--epochs", "3", "--no-report", "--positive", "crossing")


@pytest.fixture(scope="module")
def shards(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tar shards of the drawn photos; the last has a broken one."""
    folder = tmp_path_factory.mktemp("tars")
    photos = sorted(drawn_photos.glob("*/*.jpg"))
    for number in range(3):
        members = {path.relative_to(drawn_photos).as_posix(): path.read_bytes() for path in photos[number::3]}
        broken = {"empty/broken.jpg": b"no photo"} if number == 2 else {}
        (folder / f"{number:04d}.tar").write_bytes(tar_bytes(members | broken))
    return folder


@pytest.fixture(scope="module")
def features(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extracted") / "features"
    ended = roadclear("extract", f"{shards}/{{0000..0002}}.tar", "--to", folder, *SMALL)
    assert ended.code == 3, ended.err
    assert ended.out.decode().startswith("49 photos in 3 files: 3 written, 0 were there. Folder: ")
    assert ended.err.splitlines()[0] == "1 row could not be used:" and "0002/empty/broken.jpg" in ended.err
    return folder


def model_of(*words: object) -> str:
    """Train, and return the SHA-256 of the model."""
    *arguments, out = words
    ended = roadclear("train", *arguments, "--out", out, *QUICK)  # type: ignore[arg-type]
    assert ended.code in (0, 3), ended.err
    return hashlib.sha256((Path(str(out)) / "model.onnx").read_bytes()).hexdigest()


class TestFeatures:
    def test_models_are_the_same_with_features_and_without(self, shards: Path, features: Path, tmp_path: Path) -> None:
        from_photos = model_of(shards, tmp_path / "photos")
        assert model_of("--features", features, tmp_path / "features") == from_photos
        assert model_of(shards, "--features", features, tmp_path / "both") == from_photos

    def test_starting_again_computes_what_is_missing(self, shards: Path, features: Path, tmp_path: Path) -> None:
        shutil.copytree(features, tmp_path / "f")
        first, *others = sorted((tmp_path / "f").iterdir())
        content = first.read_bytes()
        first.unlink()
        ended = roadclear("extract", shards, "--to", tmp_path / "f", "--json", *SMALL)
        counts = json.loads(ended.out)
        assert (ended.code, counts["shards"], counts["computed"], counts["unreadable"]) == (3, 3, 1, 1)
        assert counts["files"] == [first.name, *(path.name for path in others)] and first.read_bytes() == content

    def test_a_shard_that_is_cut_short(self, shards: Path, tmp_path: Path) -> None:
        shutil.copytree(shards, tmp_path / "in")
        content = (shards / "0001.tar").read_bytes()
        (tmp_path / "in/0001.tar").write_bytes(content[: len(content) // 2])
        ended = roadclear("validate", tmp_path / "in", "--repeats", "1", "--folds", "2", "--views", "0", *SMALL)
        assert ended.code == 3 and "0001: the shard is cut short or damaged after" in ended.err
        with_features = roadclear(
            "validate",
            tmp_path / "in",
            "--features",
            tmp_path / "f",
            "--repeats",
            "1",
            "--folds",
            "2",
            "--views",
            "0",
            *SMALL,
        )
        assert with_features.code == 3 and with_features.out.splitlines()[-1] == ended.out.splitlines()[-1]

    @pytest.mark.parametrize(
        "words, code, text",
        [
            (["train", "--features", "{features}", "--unfreeze", "4"], 2, "unfreeze must be 0 with features"),
            (["train", "--features", "{features}", "--size", "64"], 1, "3 files of other options"),
            (["train", "{features}"], 1, "train with --features"),
            (["train", "{shards}", "--on", "ray"], 2, "add --features DIR"),
            (["predict", "stock", "{shards}", "--on", "ray"], 2, "add --to DIR"),
            (["predict", "stock", "{shards}", "{shards}", "--to", "{features}"], 2, "expected one folder"),
            (["extract", "{shards}", "--to", "{features}", "--on", "moon"], 2, "expected one of local, ray"),
            (["extract", "{shards}/gone.tar", "--to", "{features}"], 1, "check the name"),
            (["extract", "{shards}", "--to", "https://example.org/x"], 2, "s3:// or gs:// to write to"),
        ],
    )
    def test_what_cannot_work(self, shards: Path, features: Path, words: list[str], code: int, text: str) -> None:
        given = [word.format(features=features, shards=shards) for word in words]
        ended = roadclear(*given, *(SMALL if words[0] != "predict" and "--size" not in words else ()))
        assert (ended.code, text in ended.error()) == (code, True), ended.err


class TestAnswers:
    def test_answers_are_those_that_are_printed(self, shards: Path, tmp_path: Path) -> None:
        ended = roadclear("predict", "stock", shards, "--to", tmp_path / "answers")
        assert ended.code == 3 and "49 photos in 3 files: 3 written" in ended.out.decode()
        rows = {row["id"]: row for path in (tmp_path / "answers").iterdir() for row in pq.read_table(path).to_pylist()}
        printed = roadclear("predict", "stock", shards, "--format", "jsonl")
        found = {one["file"].removeprefix(f"{shards}/"): one for one in map(json.loads, printed.out.splitlines())}
        assert printed.code == 3 and rows.keys() == found.keys() and len(rows) == 49
        for name, row in rows.items():
            if "error" in found[name]:
                assert row["error"] == found[name]["error"] and row["answer"] is None
            else:
                names = ("answer", "probability", "distance", "unfamiliar")
                assert [row[name] for name in names] == [found[row["id"]][name] for name in names]

    def test_another_rule_is_another_file(self) -> None:
        model = load()
        others = [model, model.with_rule(threshold=0.9), model.with_rule(unsure=(0, 1))]
        assert len({short_key(PredictionWork(other, "openvino")) for other in others}) == 3
