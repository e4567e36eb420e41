"""Heatmap files and the page of mistakes: every photo has its picture, and the worst mistake is first."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from heads import drawn_model
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from predictions import NAMES, said

from roadclear import Model, Prediction, UnreadablePhoto
from roadclear.errors import OutputError
from roadclear.report.gallery import INDEX, MOST_MISTAKES, find_mistakes, heatmap_name, write_gallery, write_heatmaps


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[Path]:
    return sorted(drawn_photos.glob("*/*.jpg"))


class TestHeatmapFiles:
    @given(st.lists(st.sampled_from(["a", "b", "a.b", "é", "日", "..", "x" * 200]), min_size=1, max_size=4), st.data())
    def test_names_are_plain_and_tell_paths_apart(self, parts: list[str], data: st.DataObject) -> None:
        path = Path(*parts, "photo.jpg")
        name = heatmap_name(path)
        assert name == heatmap_name(Path(str(path)))
        assert re.fullmatch(r"[\w.-]{1,80}\.jpg", name, re.ASCII)
        other = Path(*data.draw(st.permutations([*parts, "c"])), "photo.jpg")
        assert (heatmap_name(other) == name) == (other == path)

    @pytest.mark.parametrize("name", NAMES[:-1])
    def test_any_name_gives_a_name(self, name: str) -> None:
        assert re.fullmatch(r"[\w-][\w.-]{0,72}-[0-9a-f]{12}\.jpg", heatmap_name(Path(name)), re.ASCII)

    def test_a_picture_a_photo_and_the_predictions(self, model: Model, photos: list[Path], tmp_path: Path) -> None:
        missing = tmp_path / "missing.jpg"
        files = [*photos[:3], missing, *photos[3:5]]
        results = list(write_heatmaps(model, files, tmp_path / "maps"))
        assert [result.file for result in results] == files
        assert isinstance(results[3], UnreadablePhoto)
        for result in results:
            if isinstance(result, Prediction):
                assert result.probability == pytest.approx(model.predict(result.file).probability, abs=1e-5)
        assert {path.name for path in (tmp_path / "maps").iterdir()} == {
            heatmap_name(path) for path in files if path != missing
        }
        for path in (tmp_path / "maps").iterdir():
            with Image.open(path) as picture:
                picture.load()
                assert (picture.format, picture.width) == ("JPEG", 688)

    def test_a_full_disk_is_told(self, model: Model, photos: list[Path], tmp_path: Path) -> None:
        (tmp_path / "maps").write_bytes(b"a file where the folder should be")
        with pytest.raises(OutputError, match="cannot write"):
            list(write_heatmaps(model, photos[:2], tmp_path / "maps"))


class Page(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


class TestGallery:
    def test_the_most_confident_mistake_is_first(self) -> None:
        predictions = [
            (said("right.jpg", "crossing", 0.99), "crossing"),
            (said("2.jpg", "crossing", 0.8), "empty"),
            (said("1.jpg", "empty", 0.1), "crossing"),
            (said("right-too.jpg", "empty", 0.0), "empty"),
            (said("3.jpg", "empty", 0.3, unsure=True), "crossing"),
        ]
        mistakes = find_mistakes(predictions, "crossing")
        assert [mistake.prediction.file.name for mistake in mistakes] == ["1.jpg", "2.jpg", "3.jpg"]
        assert [mistake.assurance for mistake in mistakes] == pytest.approx([0.9, 0.8, 0.7])

    @pytest.mark.slow
    def test_a_page_shows_the_worst_by_rank(self, model: Model, photos: list[Path], tmp_path: Path) -> None:
        predictions = [(model.predict(path), "empty") for path in photos]
        predictions = [(p, "crossing" if p.label == "empty" else "empty") for p, _ in predictions]
        mistakes = find_mistakes(predictions, "crossing")
        write_gallery(tmp_path / "gallery", model, mistakes, len(predictions))
        names = sorted(path.name for path in (tmp_path / "gallery").iterdir())
        ranked = [f"{k:02}-{heatmap_name(m.prediction.file)}" for k, m in enumerate(mistakes, start=1)]
        assert names == [*ranked[:MOST_MISTAKES], INDEX]
        source = (tmp_path / "gallery" / INDEX).read_text(encoding="utf-8")
        assert "48 of 48 photos were given the wrong label" in source and "The 40 most confident mistakes" in source
        images = [values for tag, values in Page(source).tags if tag == "img"]
        assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in images)
        pairs = list(zip(images[::2], images[1::2], strict=True))
        assert len(pairs) == MOST_MISTAKES
        for (photo, heatmap), mistake in zip(pairs, mistakes, strict=False):
            assert str(mistake.prediction.file) in str(photo["alt"])
            assert "under its map" in str(heatmap["alt"])
            assert photo["src"] != heatmap["src"]

    def test_a_photo_and_its_map_grow_together_without_script(
        self, model: Model, photos: list[Path], tmp_path: Path
    ) -> None:
        wrong = [(said(str(photos[0]), "crossing", 0.9), "empty")]
        write_gallery(tmp_path / "g", model, find_mistakes(wrong, "crossing"), 1)
        source = (tmp_path / "g" / INDEX).read_text(encoding="utf-8")
        tags = [tag for tag, _ in Page(source).tags]
        start = tags.index("details")
        assert tags[start : start + 4] == ["details", "summary", "img", "img"]

    def test_the_page_loads_and_runs_nothing(self, model: Model, photos: list[Path], tmp_path: Path) -> None:
        strange = tmp_path / "<script>&.jpg"
        strange.write_bytes(photos[0].read_bytes())
        right = model.predict(strange)
        write_gallery(tmp_path / "g", model, find_mistakes([(right, "neither")], "crossing"), 1)
        source = (tmp_path / "g" / INDEX).read_text(encoding="utf-8")
        tags = {tag for tag, _ in Page(source).tags}
        assert tags.isdisjoint({"script", "link", "iframe", "object", "a"})
        assert "&lt;script&gt;&amp;" in source and "http" not in source.replace("http-equiv", "")
        assert "prefers-color-scheme: dark" in source

    def test_no_mistakes_are_told(self, model: Model, tmp_path: Path) -> None:
        write_gallery(tmp_path / "g", model, [], 48)
        assert [path.name for path in (tmp_path / "g").iterdir()] == [INDEX]
        assert "No mistakes: all 48 photos" in (tmp_path / "g" / INDEX).read_text(encoding="utf-8")

    def test_a_photo_that_has_gone_is_told(self, model: Model, tmp_path: Path) -> None:
        mistakes = find_mistakes([(said(str(tmp_path / "gone.jpg")), "empty")], "crossing")
        write_gallery(tmp_path / "g", model, mistakes, 1)
        assert "No picture" in (tmp_path / "g" / INDEX).read_text(encoding="utf-8")
