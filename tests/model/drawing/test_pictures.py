"""Pictures of predictions: true to the map, legible for any name and shape, and wrong ones stand out."""

import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from heads import KINDS, drawn_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageChops

from roadclear import Explanation, Model, Prediction, UnreadablePhoto
from roadclear.errors import DatasetError, OptionError, OutputError, PhotoError
from roadclear.images.viewing import view_photo
from roadclear.model.drawing.grid import Cell, prediction_grid
from roadclear.model.drawing.heatmap import heatmap_picture
from roadclear.model.drawing.lettering import drawable, fit, text_width
from roadclear.model.drawing.overlay import NEGATIVE, POSITIVE, colour_bar, enlarge, lay_over, scale_ticks
from roadclear.report.gallery import INDEX, MOST_MISTAKES, find_mistakes, heatmap_name, write_gallery, write_heatmaps
from roadclear.report.samples import SamplePhoto, choose, find_samples, run_test_photos
from roadclear.utils.files import check_new_folder

LONG = "x" * 250 + ".jpg"
NAMES = ("a.jpg", LONG, "日本.jpg", "é😀.jpg", os.fsdecode(b"caf\xe9.jpg"), "two\nlines.jpg", "")
MAPS = arrays(np.float32, (7, 7), elements=st.floats(-2, 2, width=32))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(drawn_model())


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[Path]:
    return sorted(drawn_photos.glob("*/*.jpg"))


def said(name: str = "a.jpg", label: str = "crossing", probability: float = 0.9, unsure: bool = False) -> Prediction:
    return Prediction(Path(name), label, probability, unsure=unsure, distance=0.1, unfamiliar=False)


def explained(heatmap: NDArray[np.float32], prediction: Prediction | None = None) -> Explanation:
    return Explanation(prediction or said(), float(heatmap.sum()) - 0.1, heatmap, -0.1)


def peak(value: float) -> NDArray[np.float32]:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = value
    return heatmap


def count_pixels(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(picture) == colour).all(axis=-1).sum())


class TestViewing:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ((250, 125), (640, 320)),
            ((125, 250), (320, 640)),
            ((2000, 1000), (640, 320)),
            ((1, 1), (640, 640)),
            ((900, 1), (640, 80)),
            ((1, 900), (80, 640)),
        ],
    )
    def test_a_photo_keeps_its_proportions_but_is_never_a_line(
        self, tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        Image.new("RGB", size, "green").save(tmp_path / "photo.png")
        seen = view_photo(tmp_path / "photo.png")
        assert (seen.size, seen.mode) == (expected, "RGB")
        assert seen.getcolors() == [(expected[0] * expected[1], (0, 128, 0))]

    def test_a_photo_is_upright(self, tmp_path: Path) -> None:
        lying = Image.new("RGB", (200, 100), "blue")
        lying.paste("red", (0, 0, 100, 100))
        exif = Image.Exif()
        exif[0x0112] = 6  # its left side belongs on top
        lying.save(tmp_path / "photo.jpg", exif=exif)
        seen = view_photo(tmp_path / "photo.jpg", 100)
        assert seen.size == (50, 100)
        assert seen.getpixel((25, 10))[0] > 200 > 50 > seen.getpixel((25, 90))[0]  # type: ignore[index]

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff"])
    def test_what_is_no_photo_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "photo.jpg").write_bytes(content)
        with pytest.raises(PhotoError):
            view_photo(tmp_path / "photo.jpg")


class TestLettering:
    @pytest.mark.parametrize(
        ("text", "drawn"),
        [
            ("road 1.jpg", "road 1.jpg"),
            ("日", "\\u65e5"),
            ("é", "\\xe9"),
            ("😀", "\\U0001f600"),
            (os.fsdecode(b"\xe9"), "\\udce9"),
            ("a\nb\t", "a\\nb\\t"),
        ],
    )
    def test_what_has_no_sign_is_escaped(self, text: str, drawn: str) -> None:
        assert drawable(text) == drawn

    @given(st.text(max_size=80), st.integers(60, 400))
    def test_any_text_fits(self, text: str, width: int) -> None:
        fitted = fit(text, 15, width)
        assert text_width(fitted, 15) <= width
        assert fitted.isprintable()

    def test_of_a_long_name_both_ends_are_kept(self) -> None:
        fitted = fit("first" + "-" * 500 + "last.jpg", 15, 300)
        assert fitted.startswith("first-") and fitted.endswith("-last.jpg")


class TestOverlay:
    @given(MAPS)
    def test_the_picture_of_a_map_is_the_map(self, heatmap: NDArray[np.float32]) -> None:
        enlarged = enlarge(heatmap, (640, 417))
        assert enlarged.shape == (417, 640)
        assert enlarged.mean() == pytest.approx(heatmap.mean(), abs=0.01)
        assert heatmap.min() - 1e-5 <= enlarged.min() and enlarged.max() <= heatmap.max() + 1e-5

    def test_whole_pixels_a_place_keep_the_mean_exactly(self) -> None:
        heatmap = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
        assert enlarge(heatmap, (630, 420)).mean() == pytest.approx(heatmap.mean(), abs=1e-6)

    @given(MAPS)
    def test_ticks_are_symmetric_round_and_cover_the_map(self, heatmap: NDArray[np.float32]) -> None:
        ticks = scale_ticks(heatmap)
        assert ticks[-1] >= np.abs(heatmap).max() - 1e-9 and ticks[-1] >= 0.1
        assert ticks == [-tick for tick in reversed(ticks)]
        assert 3 <= len(ticks) <= 11
        assert all(len(f"{tick:+g}") <= 5 for tick in ticks)
        assert np.diff(ticks) == pytest.approx(ticks[1] - ticks[0])

    @pytest.mark.parametrize("value", [2.0, 0.3, -0.3, -2.0])
    @pytest.mark.parametrize("grey", [0, 128, 255])
    def test_the_peak_has_the_colour_of_its_sign_and_the_rest_none(self, value: float, grey: int) -> None:
        photo = Image.new("RGB", (700, 700), (grey, grey, grey))
        laid = np.asarray(lay_over(photo, peak(value), abs(value))).astype(int)
        red, _, blue = laid[150, 550]
        assert (red - blue) * np.sign(value) > 50
        assert np.ptp(laid[500:, :300], axis=-1).max() == 0

    def test_the_colours_of_a_photo_do_not_look_like_the_maps(self) -> None:
        photo = Image.new("RGB", (70, 70), "blue")
        laid = np.asarray(lay_over(photo, np.zeros((7, 7), np.float32), 1.0))
        assert np.ptp(laid, axis=-1).max() == 0

    def test_the_bar_goes_from_one_colour_through_none_to_the_other(self) -> None:
        bar = np.asarray(colour_bar(201, 3)).astype(int)
        assert bar[0, 0, 2] > bar[0, 0, 0] and bar[0, -1, 0] > bar[0, -1, 2]
        assert np.ptp(bar[0, 100]) == 0


class TestHeatmapPicture:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_draws_what_a_model_explains(self, photos: list[Path], kind: str) -> None:
        explaining = Model(drawn_model(kind))
        explanation = explaining.explain(photos[0])
        photo = view_photo(photos[0])
        picture = heatmap_picture(photo, explanation, explaining.facts, "crossing")
        assert (picture.mode, picture.width) == ("RGB", 688)
        left = 24 + (640 - photo.width) // 2
        limit = scale_ticks(explanation.heatmap)[-1]
        drawn = picture.crop((left, 24, left + photo.width, 24 + photo.height))
        assert ImageChops.difference(drawn, lay_over(photo, explanation.heatmap, limit)).getbbox() is None

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("size", [(1, 1), (640, 1), (1, 900), (250, 160)])
    def test_any_name_and_any_shape_can_be_drawn(self, model: Model, name: str, size: tuple[int, int]) -> None:
        photo = Image.new("RGB", size, "green")
        picture = heatmap_picture(photo, explained(peak(0.3), said(name)), model.facts, LONG)
        assert picture.width == 688
        margins = np.concatenate([np.asarray(picture)[:, :3], np.asarray(picture)[:, -3:]])
        assert (margins == 255).all()
        assert photo.size == size

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("empty", None), ("crossing", None)),
            (("empty", None), ("empty", "empty")),
            (("empty", "crossing"), ("empty", "empty")),
        ],
    )
    def test_labels_are_told(self, model: Model, one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
        photo = Image.new("RGB", (640, 400))
        first, second = (
            heatmap_picture(photo, explained(peak(0.3), said(label=label)), model.facts, true)
            for label, true in (one, other)
        )
        changed = ImageChops.difference(first, second).getbbox()
        assert changed is not None and changed[1] > 24 + 400

    def test_an_unfamiliar_photo_is_told(self, model: Model) -> None:
        photo = Image.new("RGB", (640, 400))
        near, far = (
            heatmap_picture(
                photo, explained(peak(0.3), Prediction(Path("a"), "empty", 0.1, False, 0.1, unfamiliar)), model.facts
            )
            for unfamiliar in (False, True)
        )
        changed = ImageChops.difference(near, far).getbbox()
        assert changed is not None and changed[1] > 24 + 400


class TestGrid:
    @pytest.mark.parametrize(
        ("count", "columns", "size"),
        [(1, 4, (264, 300)), (4, 4, (1008, 300)), (5, 4, (1008, 556)), (5, 1, (264, 1324)), (3, 16, (760, 300))],
    )
    def test_rows_are_filled(self, model: Model, count: int, columns: int, size: tuple[int, int]) -> None:
        cells = [Cell(Image.new("RGB", (30, 20)), said()) for _ in range(count)]
        assert prediction_grid(cells, model.facts, columns).size == size

    @pytest.mark.parametrize(
        ("label", "unsure", "true", "framed", "marked"),
        [
            ("crossing", False, "crossing", False, False),
            ("crossing", False, "empty", True, False),
            ("empty", False, "crossing", True, False),
            ("empty", False, None, False, False),
            ("empty", True, "crossing", False, True),
            ("empty", True, "empty", False, True),
            ("empty", True, None, False, True),
        ],
    )
    def test_wrong_ones_are_framed_and_unsure_ones_marked(
        self, model: Model, label: str, unsure: bool, true: str | None, framed: bool, marked: bool
    ) -> None:
        cell = Cell(Image.new("RGB", (232, 174), "white"), said(label=label, unsure=unsure), true)
        picture = prediction_grid([cell], model.facts)
        assert (picture.getpixel((16 - 3, 100)) == POSITIVE) == framed
        assert (picture.getpixel((100, 44 - 3)) == POSITIVE) == framed
        corner = picture.crop((200, 44, 248, 92))
        assert (count_pixels(corner, POSITIVE) > 300) == framed
        assert (count_pixels(corner, NEGATIVE) > 300) == marked

    def test_a_cross_marks_a_wrong_one_without_colours(self, model: Model) -> None:
        right, wrong = (
            prediction_grid([Cell(Image.new("RGB", (232, 174)), said(), true)], model.facts).convert("L")
            for true in ("crossing", "empty")
        )
        badge = (206, 48, 244, 86)
        assert right.crop(badge).getextrema() == (0, 0)
        assert wrong.crop(badge).getextrema()[1] == 255

    def test_what_cannot_be_read_has_its_place(self, model: Model) -> None:
        cells = [
            Cell(None, UnreadablePhoto(Path("b.jpg"), "the file is empty"), "empty"),
            Cell(Image.new("RGB", (9, 9)), said()),
        ]
        assert prediction_grid(cells, model.facts).size == (512, 300)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("size", [(1, 1), (900, 1), (1, 900)])
    def test_any_name_and_any_shape_can_be_drawn(self, model: Model, name: str, size: tuple[int, int]) -> None:
        photo = Image.new("RGB", size, "green")
        picture = prediction_grid([Cell(photo, said(name), LONG)], model.facts)
        assert photo.size == size
        assert count_pixels(picture, (0, 128, 0)) > 174 * 20

    @pytest.mark.parametrize("columns", [0, -1, 17])
    def test_columns_have_a_range(self, model: Model, columns: int) -> None:
        with pytest.raises(OptionError, match="between 1 and 16"):
            prediction_grid([Cell(None, UnreadablePhoto(Path("b.jpg"), "empty"))], model.facts, columns)


class TestShow:
    def test_it_is_the_grid_of_the_predictions(self, model: Model, photos: list[Path]) -> None:
        few = photos[::12]
        cells = [Cell(view_photo(path, 232), model.predict(path), "empty") for path in few]
        printable = model.show([os.fspath(path) for path in few], ["empty"] * len(few), columns=2)
        assert ImageChops.difference(printable, prediction_grid(cells, model.facts, 2)).getbbox() is None

    def test_a_photo_that_cannot_be_read_has_its_place(self, model: Model, photos: list[Path]) -> None:
        assert model.show([photos[0], photos[0].parent / "missing.jpg"]).size == (512, 300)

    @pytest.mark.parametrize(("count", "labels"), [(0, None), (2, ["empty"]), (0, ["empty"])])
    def test_photos_and_their_labels_are_needed(
        self, model: Model, photos: list[Path], count: int, labels: list[str] | None
    ) -> None:
        with pytest.raises(OptionError):
            model.show(photos[:count], labels)


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

    @pytest.mark.parametrize("there", ["folder", "file", "link"])
    def test_what_is_there_is_left_alone(self, tmp_path: Path, there: str) -> None:
        place = tmp_path / "maps"
        {"folder": place.mkdir, "file": place.touch, "link": lambda: place.symlink_to("nowhere")}[there]()
        with pytest.raises(OutputError, match="already there"):
            check_new_folder(place, [])

    @pytest.mark.parametrize(("place", "refused"), [("maps", True), ("a/maps", True), ("../maps", False)])
    def test_photos_are_no_place_for_pictures(self, tmp_path: Path, place: str, refused: bool) -> None:
        inputs = tmp_path / "photos"
        (inputs / "a").mkdir(parents=True)
        if refused:
            with pytest.raises(OutputError, match="among the photos"):
                check_new_folder(inputs / place, [inputs])
        else:
            check_new_folder(inputs / place, [inputs, inputs / "a.jpg", "*.jpg"])
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "photos"]


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
        judged = [
            (said("right.jpg", "crossing", 0.99), "crossing"),
            (said("2.jpg", "crossing", 0.8), "empty"),
            (said("1.jpg", "empty", 0.1), "crossing"),
            (said("right-too.jpg", "empty", 0.0), "empty"),
            (said("3.jpg", "empty", 0.3, unsure=True), "crossing"),
        ]
        mistakes = find_mistakes(judged, "crossing")
        assert [mistake.prediction.file.name for mistake in mistakes] == ["1.jpg", "2.jpg", "3.jpg"]
        assert [mistake.assurance for mistake in mistakes] == pytest.approx([0.9, 0.8, 0.7])

    def test_a_page_shows_the_worst_by_rank(self, model: Model, photos: list[Path], tmp_path: Path) -> None:
        judged = [(model.predict(path), "empty") for path in photos]
        judged = [(p, "crossing" if p.label == "empty" else "empty") for p, _ in judged]
        mistakes = find_mistakes(judged, "crossing")
        write_gallery(tmp_path / "gallery", model, mistakes, len(judged))
        names = sorted(path.name for path in (tmp_path / "gallery").iterdir())
        ranked = [f"{k:02}-{heatmap_name(m.prediction.file)}" for k, m in enumerate(mistakes, start=1)]
        assert names == [*ranked[:MOST_MISTAKES], INDEX]
        source = (tmp_path / "gallery" / INDEX).read_text(encoding="utf-8")
        assert "48 of 48 photos were given the wrong label" in source and "the 40 most confident" in source
        images = [values for tag, values in Page(source).tags if tag == "img"]
        assert len(images) == MOST_MISTAKES
        for image, mistake in zip(images, mistakes, strict=False):
            assert str(image["src"]).startswith("data:image/jpeg;base64,")
            assert str(mistake.prediction.file) in str(image["alt"])

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
        assert "No mistakes: all of 48 photos" in (tmp_path / "g" / INDEX).read_text(encoding="utf-8")

    def test_a_photo_that_has_gone_is_told(self, model: Model, tmp_path: Path) -> None:
        mistakes = find_mistakes([(said(str(tmp_path / "gone.jpg")), "empty")], "crossing")
        write_gallery(tmp_path / "g", model, mistakes, 1)
        assert "No picture" in (tmp_path / "g" / INDEX).read_text(encoding="utf-8")


SAMPLES = [
    SamplePhoto(Path(f"{label}/{k}.jpg"), label) for label, n in (("crossing", 30), ("empty", 5)) for k in range(n)
]


class TestSamples:
    @pytest.mark.parametrize(
        ("count", "crossing", "empty"), [(1, 1, 0), (2, 1, 1), (8, 4, 4), (16, 11, 5), (35, 30, 5), (400, 30, 5)]
    )
    def test_labels_have_equal_shares_as_far_as_they_last(self, count: int, crossing: int, empty: int) -> None:
        chosen = Counter(sample.label for sample in choose(SAMPLES, count, 0))
        assert (chosen["crossing"], chosen["empty"]) == (crossing, empty)

    def test_a_seed_draws_the_same_from_any_order(self) -> None:
        assert choose(SAMPLES, 8, 3) == choose(reversed(SAMPLES), 8, 3) != choose(SAMPLES, 8, 4)

    def test_no_photo_is_drawn_twice(self) -> None:
        assert len(choose(SAMPLES + SAMPLES, 100, 0)) == len(SAMPLES)

    @pytest.mark.parametrize("layout", ["plain", "train", "val"])
    def test_a_labelled_folder_tells_the_labels(self, photos: list[Path], tmp_path: Path, layout: str) -> None:
        root = tmp_path if layout == "plain" else tmp_path / layout
        (root / "crossing").mkdir(parents=True)
        (root / "crossing" / "a.jpg").write_bytes(b"")
        assert find_samples([tmp_path], ("crossing", "empty")) == [SamplePhoto(root / "crossing" / "a.jpg", "crossing")]

    def test_other_inputs_have_no_labels(self, drawn_photos: Path) -> None:
        inputs = [drawn_photos / "empty", drawn_photos / "crossing" / "crossing-000.jpg", "missing.jpg"]
        found = find_samples(inputs, ("crossing", "empty"))
        assert len(found) == 24 + 1 + 1 and {sample.label for sample in found} == {None}

    def test_nothing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="found none"):
            find_samples([tmp_path], ("crossing", "empty"))

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({}, "the run's split"),
            ({"splits.csv": "file,label,split\n", "config.toml": 'photos = "nowhere"\n'}, "found no folder"),
            ({"splits.csv": "file,label,split\n", "config.toml": "seed = 0\n"}, "found no folder"),
            ({"splits.csv": "file,label,split\na.jpg,empty,train\n", "config.toml": 'photos = "."\n'}, "test photos"),
        ],
        ids=["no split", "photos gone", "photos not told", "no test photos"],
    )
    def test_a_run_without_test_photos_says_what_to_do(
        self, tmp_path: Path, files: dict[str, str], reason: str
    ) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        with pytest.raises(DatasetError, match=f"{reason}.*name a folder of photos"):
            run_test_photos(tmp_path)
