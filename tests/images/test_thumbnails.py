"""Photos for the screen and thumbnails are whole and upright, and what cannot be read has none."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from drawings import drawing, encoded, oriented
from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.thumbnails import thumbnail, view_photo

PREFIX = "data:image/jpeg;base64,"


def opened(uri: str | None) -> Image.Image:
    assert uri is not None and uri.startswith(PREFIX)
    return Image.open(BytesIO(base64.b64decode(uri.removeprefix(PREFIX), validate=True)))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((400, 200), (100, 50)), ((200, 400), (50, 100)), ((90, 60), (90, 60)), ((4000, 10), (100, 1)), ((1, 1), (1, 1))],
)
def test_they_keep_the_proportions_and_are_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    Image.new("RGB", size, "green").save(tmp_path / "photo.png")
    picture = opened(thumbnail(tmp_path / "photo.png", 100))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", expected)


def test_they_are_upright(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded(drawing(width=120, height=80), "JPEG", exif=oriented(6)))
    assert opened(thumbnail(tmp_path / "photo.jpg", 60)).size == (40, 60)


def test_they_show_the_whole_photo(tmp_path: Path) -> None:
    quarters = np.zeros((400, 400, 3), np.uint8)
    quarters[:200, :200], quarters[:200, 200:], quarters[200:, :200] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(quarters).save(tmp_path / "photo.png")
    seen = np.asarray(opened(thumbnail(tmp_path / "photo.png", 40))).astype(int)
    for (row, column), colour in {(10, 10): 0, (10, 30): 1, (30, 10): 2}.items():
        assert seen[row, column].argmax() == colour
    assert seen[30, 30].max() < 30


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff", None])
def test_what_cannot_be_read_has_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "photo.jpg").write_bytes(content)
    assert thumbnail(tmp_path / "photo.jpg", 40) is None


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
