"""A photo of every kind becomes the pixels of its file, and what is no photo is refused in one sentence."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import make_corpus, recipes
from drawings import drawing, encoded, oriented
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images import photo as photos
from roadclear.images.decode import decode, read_photo
from roadclear.images.photo import check_photo_list, hold_photo, load_photo

# Where a test run renews the warning filters, what Pillow has to say about broken metadata is shown again.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
GOOD = [recipe.name for recipe in recipes() if recipe.outcome.reason is None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


class TestLoadPhoto:
    @pytest.mark.parametrize("size", [None, 40])
    @pytest.mark.parametrize("name", GOOD, ids=map(ascii, GOOD))
    def test_bytes_and_file_objects_give_the_pixels_of_the_file(
        self, folder: Path, name: str, size: int | None
    ) -> None:
        expected = read_photo(folder / name, size)
        content = (folder / name).read_bytes()
        with (folder / name).open("rb") as file:
            kinds: list[Any] = [str(folder / name), content, bytearray(content), memoryview(content), file]
            for kind in [*kinds, io.BytesIO(content)]:
                assert np.array_equal(load_photo(kind, size), expected)

    @given(PICTURES, st.none() | st.integers(1, 50))
    def test_arrays_and_images_give_the_pixels_of_their_lossless_file(
        self, pixels: NDArray[np.uint8], size: int | None
    ) -> None:
        expected = decode(encoded(pixels, "PNG"), size)
        for kind in (pixels, np.asfortranarray(pixels), pixels[:, ::-1][:, ::-1], Image.fromarray(pixels)):
            found = load_photo(kind, size)
            assert np.array_equal(found, expected)
            assert found.dtype == np.uint8 and found.flags.writeable

    @pytest.mark.parametrize("size", [None, 40])
    @pytest.mark.parametrize("name", [name for name in GOOD if name.endswith((".png", ".tif", ".gif", ".bmp"))])
    def test_an_image_that_pillow_opened_is_its_file(self, folder: Path, name: str, size: int | None) -> None:
        """Transparency, palettes, 16 bits and the direction are handled alike."""
        with Image.open(folder / name) as image:
            assert np.array_equal(load_photo(image, size), read_photo(folder / name, size))

    def test_the_photo_is_left_as_it_was(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        before = pixels.copy()
        load_photo(pixels)[:] = 0
        image = Image.fromarray(pixels)
        load_photo(image)[:] = 0
        assert np.array_equal(pixels, before) and np.array_equal(np.asarray(image), before)

    def test_an_image_is_set_upright(self) -> None:
        content = encoded(drawing(width=30, height=20), "PNG", exif=oriented(6))
        with Image.open(io.BytesIO(content)) as image:
            assert np.array_equal(load_photo(image, 16), decode(content, 16))
            assert load_photo(image).shape == (30, 20, 3)

    @pytest.mark.parametrize(
        ("wrong", "error", "reason"),
        [
            (None, TypeError, "expected a path, bytes, .* got NoneType"),
            (3, TypeError, "got int"),
            ([], TypeError, "got list"),
            (io.StringIO("a"), TypeError, "opened in text mode: open it with mode 'rb'"),
            (np.zeros((4, 4, 3)), TypeError, r"expected a uint8 array .* got float64 \[4, 4, 3\]"),
            (np.zeros((4, 4, 3), np.uint16), TypeError, "got uint16"),
            (np.zeros((4, 4), np.uint8), ValueError, r"got uint8 \[4, 4\]"),
            (np.zeros((4, 4, 4), np.uint8), ValueError, r"got uint8 \[4, 4, 4\]"),
            (np.zeros((0, 4, 3), np.uint8), ValueError, r"got uint8 \[0, 4, 3\]"),
            (np.zeros((1, 4, 4, 3), np.uint8), ValueError, r"got uint8 \[1, 4, 4, 3\]"),
        ],
    )
    def test_what_is_no_photo_is_refused(self, wrong: Any, error: type[Exception], reason: str) -> None:
        with pytest.raises(error, match=reason) as refusal:
            load_photo(wrong, 32)
        assert str(refusal.value).isprintable()

    def test_a_text_file_on_disk_is_refused_as_one(self, folder: Path) -> None:
        with (folder / "rgb.png").open(encoding="utf-8") as file, pytest.raises(TypeError, match="text mode"):
            load_photo(file)  # type: ignore[arg-type]

    def test_a_file_object_that_gives_no_bytes_is_refused(self) -> None:
        class Wrong:
            def read(self, size: int) -> str:
                return "text"

        with pytest.raises(TypeError, match="gives bytes, got str"):
            load_photo(Wrong())  # type: ignore[arg-type]

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff"])
    def test_content_that_is_no_photo_is_a_photo_error(self, content: bytes) -> None:
        for kind in (content, io.BytesIO(content)):
            with pytest.raises(PhotoError):
                load_photo(kind)

    def test_an_image_that_cannot_be_loaded_is_a_photo_error(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
        image = Image.open(io.BytesIO(encoded(noise, "PNG")[:2000]))
        with pytest.raises(PhotoError, match="truncated"):
            load_photo(image)


class TestFileObjects:
    def test_one_is_read_from_its_start(self) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(stream, "PNG")
        assert load_photo(stream).shape == (8, 8, 3)

    def test_one_that_cannot_be_rewound_is_read_from_where_it_is(self) -> None:
        content = encoded(drawing(), "PNG")

        class Stream:
            def __init__(self) -> None:
                self.left = content

            def read(self, size: int) -> bytes:
                some, self.left = self.left[:100], self.left[100:]
                return some

        assert np.array_equal(load_photo(Stream()), decode(content))  # type: ignore[arg-type]

    def test_temporary_files_are_file_objects(self) -> None:
        with tempfile.TemporaryFile() as file, tempfile.SpooledTemporaryFile() as spooled:
            for one in (file, spooled):
                one.write(encoded(drawing(), "PNG"))
                assert load_photo(one).shape[2] == 3  # type: ignore[arg-type]

    def test_no_more_is_read_than_a_photo_may_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(photos, "MAX_FILE_BYTES", 3_000_000)

        class Endless:
            given = 0

            def read(self, size: int) -> bytes:
                self.given += size
                return bytes(size)

        stream = Endless()
        with pytest.raises(PhotoError, match="too large: expected at most 3 MB"):
            load_photo(stream)  # type: ignore[arg-type]
        assert stream.given < 5_000_000


class TestHoldPhoto:
    def test_what_is_held_does_not_change_with_its_owner(self) -> None:
        pixels = np.full((8, 8, 3), 200, np.uint8)
        image, content = Image.fromarray(pixels), bytearray(encoded(pixels, "PNG"))
        held = [hold_photo(pixels), hold_photo(image), hold_photo(bytes(content))]
        pixels[:] = 0
        image.paste("black", (0, 0, 8, 8))
        assert all((load_photo(one) == 200).all() for one in held)  # type: ignore[arg-type]

    def test_a_path_is_not_read(self) -> None:
        assert hold_photo("missing.jpg") == Path("missing.jpg")


class TestCheckPhotoList:
    @pytest.mark.parametrize(
        "photos", [[], ["a.jpg"], ("a.jpg",), iter([]), np.array(["a.jpg"]), np.zeros((2, 4, 4, 3), np.uint8)]
    )
    def test_lists_are_let_pass(self, photos: Any) -> None:
        check_photo_list(photos)

    @pytest.mark.parametrize(
        "photo", ["a.jpg", b"bytes", bytearray(1), Path("a.jpg"), io.BytesIO(), Image.new("L", (1, 1))]
    )
    def test_one_photo_is_refused(self, photo: Any) -> None:
        with pytest.raises(TypeError, match="expected a list of photos, got one photo"):
            check_photo_list(photo)

    @pytest.mark.parametrize("shape", [(), (20, 3), (4, 4, 3)])
    def test_arrays_of_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="expected a list of photos, or an array"):
            check_photo_list(np.zeros(shape))
