"""`roadclear show`, `predict --heatmaps` and `evaluate --gallery`: pictures, and what is done with bad input."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from process import roadclear

from roadclear.report.gallery import INDEX, heatmap_name

pytestmark = pytest.mark.slow


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        image.load()
        return image.size


@pytest.fixture(scope="module")
def few(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled folder of three photos a label."""
    root = tmp_path_factory.mktemp("few") / "photos"
    for photo in sorted(drawn_photos.glob("*/*.jpg"))[::8]:
        (root / photo.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, root / photo.parent.name)
    return root


class TestShow:
    def test_without_photos_it_draws_the_runs_test_photos(
        self, trained_run: Path, drawn_photos: Path, tmp_path: Path
    ) -> None:
        ended = roadclear("show", trained_run, "--count", "400", cwd=tmp_path)
        assert (ended.code, ended.out, ended.err) == (0, b"grid.png\n", "")
        with (trained_run / "splits.csv").open(newline="") as lines:
            tested = sum(row["split"] == "test" for row in csv.DictReader(lines))
        assert size_of(tmp_path / "grid.png") == (16 + 4 * 248, 44 + 256 * -(-tested // 4))

    @pytest.mark.parametrize(
        ("inputs", "rows"),
        [(["."], 2), (["empty"], 1), (["empty/*.jpg", "crossing"], 2), (["empty/empty-000.jpg"], 1)],
        ids=["labelled folder", "plain folder", "pattern and folder", "one photo"],
    )
    def test_photos_may_be_named(
        self, trained_run: Path, few: Path, tmp_path: Path, inputs: list[str], rows: int
    ) -> None:
        ended = roadclear("show", trained_run / "model.onnx", *inputs, "--out", tmp_path / "new" / "g.jpg", cwd=few)
        assert (ended.code, ended.err) == (0, "")
        assert size_of(tmp_path / "new" / "g.jpg")[1] == 44 + 256 * rows

    def test_a_seed_draws_the_same_picture(self, trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
        pictures = []
        for name, seed in (("a.png", "0"), ("b.png", "0"), ("c.png", "1")):
            options = ("--out", tmp_path / name, "--seed", seed, "--count", "4")
            assert roadclear("show", trained_run, drawn_photos, *options).code == 0
            pictures.append((tmp_path / name).read_bytes())
        assert pictures[0] == pictures[1] != pictures[2]

    def test_photos_that_cannot_be_read_are_listed(self, trained_run: Path, few: Path, tmp_path: Path) -> None:
        root = shutil.copytree(few, tmp_path / "photos")
        (root / "empty" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"<html>")
        ended = roadclear("show", trained_run, root, "--out", tmp_path / "g.png")
        assert ended.code == 3
        assert ended.err.splitlines()[0] == "1 photo could not be used:"
        assert "caf\\udce9.jpg: an HTML page" in ended.err
        assert size_of(tmp_path / "g.png") == (1008, 44 + 2 * 256)

    def test_what_is_there_is_replaced_on_request_only(self, trained_run: Path, few: Path, tmp_path: Path) -> None:
        (tmp_path / "g.png").write_bytes(b"mine")
        ended = roadclear("show", trained_run, few, "--out", tmp_path / "g.png")
        assert ended.code == 1
        assert "already there" in ended.error()
        assert (tmp_path / "g.png").read_bytes() == b"mine"
        assert roadclear("show", trained_run, few, "--out", tmp_path / "g.png", "--overwrite").code == 0
        assert size_of(tmp_path / "g.png") == (1008, 556)

    @pytest.mark.parametrize(
        ("options", "code", "reason"),
        [
            (("--out", "grid.svg"), 2, "--out must end in .png"),
            (("nothing", "--out", "g.png"), 3, "nothing: the file is missing"),
        ],
    )
    def test_what_cannot_work_is_told(
        self, trained_run: Path, tmp_path: Path, options: tuple[str, ...], code: int, reason: str
    ) -> None:
        ended = roadclear("show", trained_run, *options, cwd=tmp_path)
        assert ended.code == code
        assert reason in ended.err

    def test_a_model_alone_needs_photos(self, trained_run: Path, tmp_path: Path) -> None:
        shutil.copy(trained_run / "model.onnx", tmp_path)
        ended = roadclear("show", tmp_path / "model.onnx", "--out", tmp_path / "g.png")
        assert ended.code == 1
        assert "name a folder of photos after the run" in ended.error()


class TestHeatmaps:
    @pytest.fixture(scope="class")
    @staticmethod
    def twins(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Two photos of one name, one whose name is not UTF-8, one of a pixel's width, and one that is none."""
        root = tmp_path_factory.mktemp("twins") / "photos"
        photo = few / "empty" / "empty-000.jpg"
        for name in (b"a/x.jpg", b"b/x.jpg", b"b/caf\xe9.jpg"):
            (root / os.fsdecode(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, root / os.fsdecode(name))
        Image.new("RGB", (1, 300)).save(root / "line.png")
        (root / "none.jpg").write_bytes(b"")
        return root

    @pytest.mark.parametrize("format", ["table", "csv"])
    def test_there_is_a_picture_a_photo_and_the_usual_output(
        self,
        trained_run: Path,
        twins: Path,
        tmp_path: Path,
        format: str,  # noqa: A002
    ) -> None:
        maps = tmp_path / "maps"
        ended = roadclear("predict", trained_run, twins, "--heatmaps", maps, "--format", format)
        plain = roadclear("predict", trained_run, twins, "--format", format)
        assert (ended.code, plain.code) == (3, 3)
        assert ended.err == f"{plain.err}Heatmaps: {maps}\n"
        expected = {heatmap_name(twins / os.fsdecode(name)) for name in (b"a/x.jpg", b"b/x.jpg", b"b/caf\xe9.jpg")}
        assert {path.name for path in maps.iterdir()} == expected | {heatmap_name(twins / "line.png")}
        assert {size_of(path)[0] for path in maps.iterdir()} == {688}
        if format == "csv":
            rows = [list(csv.DictReader(io.StringIO(e.out.decode(errors="surrogateescape")))) for e in (ended, plain)]
            for one, other in zip(*rows, strict=True):
                assert one.keys() == other.keys()
                assert (one["file"], one["label"], one["error"]) == (other["file"], other["label"], other["error"])

    @pytest.mark.parametrize("place", ["among the photos", "already there"])
    def test_other_peoples_folders_are_left_alone(
        self, trained_run: Path, twins: Path, tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "mine").mkdir()
        maps = twins / "maps" if place == "among the photos" else tmp_path / "mine"
        ended = roadclear("predict", trained_run, twins, "--heatmaps", maps)
        assert ended.code == 1
        assert place in ended.error()
        assert ended.out == b""
        assert not (twins / "maps").exists() and not list((tmp_path / "mine").iterdir())


class TestGallery:
    def test_the_mistakes_are_those_of_the_confusion_matrix(self, trained_run: Path, few: Path, tmp_path: Path) -> None:
        swapped = tmp_path / "photos"
        shutil.copytree(few / "empty", swapped / "crossing")
        shutil.copytree(few / "crossing", swapped / "empty")
        ended = roadclear("evaluate", trained_run, swapped, "--json", "--gallery", tmp_path / "gallery")
        assert ended.code == 0, ended.err
        confusion = json.loads(ended.out)["confusion"]
        wrong = confusion["fp"] + confusion["fn"]
        assert wrong > 0
        assert ended.err.splitlines()[-1] == f"Mistakes: {tmp_path / 'gallery' / INDEX}"
        names = sorted(path.name for path in (tmp_path / "gallery").iterdir())
        assert [name[:3] for name in names] == [*(f"{k:02}-" for k in range(1, wrong + 1)), INDEX[:3]]

    def test_no_mistakes_are_told(self, trained_run: Path, few: Path, tmp_path: Path) -> None:
        rows = roadclear("predict", trained_run, few, "--format", "jsonl").out.splitlines()
        for row in map(json.loads, rows):
            (tmp_path / "photos" / row["label"]).mkdir(parents=True, exist_ok=True)
            shutil.copy(row["file"], tmp_path / "photos" / row["label"])
        ended = roadclear("evaluate", trained_run, tmp_path / "photos", "--gallery", tmp_path / "gallery")
        assert ended.code == 0
        assert ended.err.splitlines()[-1] == f"No mistakes: {tmp_path / 'gallery' / INDEX}"
        assert [path.name for path in (tmp_path / "gallery").iterdir()] == [INDEX]

    @pytest.mark.parametrize("place", ["photos/gallery", "mine"])
    def test_other_peoples_folders_are_left_alone(
        self, trained_run: Path, few: Path, tmp_path: Path, place: str
    ) -> None:
        photos = shutil.copytree(few, tmp_path / "photos")
        (tmp_path / "mine").mkdir()
        ended = roadclear("evaluate", trained_run, photos, "--gallery", tmp_path / place)
        assert ended.code == 1
        assert ended.error() and ended.out == b""
        assert not list((tmp_path / "mine").iterdir()) and not (photos / "gallery").exists()
