"""Frames of the camera: sharp and new ones are kept."""

from io import BytesIO

import pytest
from PIL import ImageFilter
from scenes import draw_scene

from roadclear.deploy.studio.frames import BLURRED, EQUAL, SHARP, FrameSieve
from roadclear.errors import PhotoError


def frame(seed: int, blur: float = 0.0) -> bytes:
    picture = draw_scene(seed, figure=True).resize((640, 480)).filter(ImageFilter.GaussianBlur(blur))
    data = BytesIO()
    picture.save(data, "JPEG", quality=90)
    return data.getvalue()


def test_sharp_and_new_frames_are_kept() -> None:
    sieve = FrameSieve()
    offered = [(1, 0.0), (1, 0.0), (2, 0.0), (3, 8.0), (1, 0.0), (3, 0.0)]
    assert [sieve.offer(frame(*one)) for one in offered] == [SHARP, EQUAL, SHARP, BLURRED, EQUAL, SHARP]


def test_a_soft_camera_is_compared_with_itself() -> None:
    sieve = FrameSieve()
    assert [sieve.offer(frame(seed, 3.0)) for seed in (1, 2)] == [SHARP, SHARP]


@pytest.mark.parametrize("data", [b"", b"no photo", frame(1)[:300]])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoError):
        FrameSieve().offer(data)
