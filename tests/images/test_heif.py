"""HEIC photos of phones: read with the extra heif, and refused with its name without the extra."""

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scenes import draw_scene

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify


def test_without_the_extra_its_name_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    with pytest.raises(PhotoError, match=r"HEIC.*`pip install 'roadclear\[heif\]'`, or convert it to JPEG"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))


class TestWithTheExtra:
    @pytest.fixture
    def photo(self) -> Image.Image:
        return draw_scene(3, figure=True).convert("RGB").resize((320, 200))

    def encoded(self, photo: Image.Image, **options: object) -> bytes:
        pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
        buffer = BytesIO()
        pillow_heif.from_pillow(photo).save(buffer, quality=95, **options)
        return buffer.getvalue()

    def test_the_pixels_are_those_of_the_photo(self, photo: Image.Image) -> None:
        data = self.encoded(photo)
        info = identify(data)
        assert (info.format, info.width, info.height, info.frames) == ("HEIF", 320, 200, 1)
        assert np.abs(decode(data).astype(int) - np.asarray(photo)).mean() < 4
        assert decode(data, 224).shape == (224, 224, 3)

    def test_a_turned_photo_is_upright(self, photo: Image.Image) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        pixels = decode(self.encoded(photo, exif=exif.tobytes()))
        upright = np.asarray(photo.transpose(Image.Transpose.ROTATE_270)).astype(int)
        assert pixels.shape == upright.shape == (320, 200, 3)
        assert np.abs(pixels - upright).mean() < 4

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_a_file_that_ends_early_is_refused(self, photo: Image.Image, share: float) -> None:
        data = self.encoded(photo)
        with pytest.raises(PhotoError):
            decode(data[: int(len(data) * share)])

    def test_noise_is_refused_or_read(self, photo: Image.Image) -> None:
        data, draw = bytearray(self.encoded(photo)), np.random.default_rng(0)
        for _ in range(200):
            mutant = bytearray(data)
            for place in draw.integers(0, len(data), 4):
                mutant[place] = draw.integers(0, 256)
            try:
                assert decode(bytes(mutant), 64).shape == (64, 64, 3)
            except PhotoError:
                continue
