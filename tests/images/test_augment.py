"""Views of a photo: the plain one, and seeded rotations, flips and zooms about its centre."""

import hashlib
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenes import draw_scene

from roadclear.errors import OptionError
from roadclear.images.augment import PLAIN_VIEW, view
from roadclear.images.decode import read_photo
from roadclear.images.settings import AugmentSettings

Photo = NDArray[np.uint8]

SHA = hashlib.sha256(b"a photo").hexdigest()
UNCHANGED = AugmentSettings(rotation=0, zoom=0, flip=0)
MIRRORED = AugmentSettings(rotation=0, zoom=0, flip=1)
TURNED = AugmentSettings(rotation=30, zoom=0, flip=0)
SCALED = AugmentSettings(rotation=0, zoom=0.5, flip=0)
STRONG = AugmentSettings(rotation=180, zoom=0.9, flip=0.5)
USUAL = {"rotation": 10, "zoom": 0.2, "flip": 0.5}


@pytest.fixture(scope="module")
def photo() -> Photo:
    return np.asarray(draw_scene(0, figure=True).resize((96, 96)))


def spot(x: float, radius: float = 5, size: int = 97) -> Photo:
    """A white disc on black, `x` to the right of the centre."""
    across = np.arange(size) - (size - 1) / 2
    near = (across[None, :] - x) ** 2 + across[:, None] ** 2 < radius**2
    return np.repeat(near[:, :, None], 3, axis=2).astype(np.uint8) * 255


def centre_of_light(seen: Photo) -> tuple[float, float]:
    """Where the disc has gone: mean position of the light to the right of and below the centre."""
    across = np.arange(len(seen)) - (len(seen) - 1) / 2
    light = seen[:, :, 0] / seen[:, :, 0].sum(dtype=float)
    return float((light.sum(axis=0) * across).sum()), float((light.sum(axis=1) * across).sum())


class TestViews:
    def test_view_0_is_the_photo_itself(self, photo: Photo) -> None:
        assert view(photo, SHA, PLAIN_VIEW, STRONG) is photo
        assert PLAIN_VIEW == 0

    @pytest.mark.parametrize("k", [1, 2, 64])
    def test_a_policy_of_nothing_changes_nothing(self, photo: Photo, k: int) -> None:
        assert np.array_equal(view(photo, SHA, k, UNCHANGED), photo)

    @settings(max_examples=25, deadline=None)
    @given(size=st.integers(1, 70), k=st.integers(1, 64), seed=st.integers(0, 100))
    def test_a_flip_alone_is_exact(self, size: int, k: int, seed: int) -> None:
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
        assert np.array_equal(view(pixels, SHA, k, MIRRORED), pixels[:, ::-1])

    @settings(max_examples=50, deadline=None)
    @given(
        rotation=st.floats(0, 180), zoom=st.floats(0, 0.99), flip=st.floats(0, 1), k=st.integers(1, 64), sha=st.text()
    )
    def test_a_view_has_the_form_of_the_photo_and_leaves_it_alone(
        self, photo: Photo, rotation: float, zoom: float, flip: float, k: int, sha: str
    ) -> None:
        before = photo.copy()
        seen = view(photo, sha, k, AugmentSettings(rotation=rotation, zoom=zoom, flip=flip))
        assert (seen.shape, seen.dtype) == (photo.shape, np.uint8)
        assert np.array_equal(photo, before)

    @pytest.mark.parametrize("policy", [TURNED, SCALED, STRONG])
    def test_views_differ(self, photo: Photo, policy: AugmentSettings) -> None:
        views = {view(photo, SHA, k, policy).tobytes() for k in range(20)}
        assert len(views) == 20

    def test_views_of_different_photos_differ(self, photo: Photo) -> None:
        other = hashlib.sha256(b"another photo").hexdigest()
        assert not np.array_equal(view(photo, SHA, 1, TURNED), view(photo, other, 1, TURNED))

    @pytest.mark.parametrize("policy", [TURNED, SCALED, STRONG, AugmentSettings()])
    def test_the_border_is_mirrored_not_black(self, policy: AugmentSettings) -> None:
        """Whatever is done to a light photo, no pixel gets darker than its darkest."""
        bright = np.random.default_rng(0).integers(200, 256, (64, 64, 3), dtype=np.uint8)
        assert min(view(bright, SHA, k, policy).min() for k in range(1, 40)) >= 200

    @pytest.mark.parametrize("policy", [TURNED, SCALED, AugmentSettings()])
    @pytest.mark.parametrize("k", [1, 2, 3, 4])
    def test_values_between_pixels_are_bilinear(self, policy: AugmentSettings, k: int) -> None:
        """A photo whose levels rise evenly to the right and downwards keeps straight slopes."""
        across, down = np.meshgrid(np.arange(64), np.arange(64))
        seen = view(np.stack([across, down, across + down], axis=2).astype(np.uint8), SHA, k, policy)[16:48, 16:48]
        plane = np.stack([across, down, np.ones_like(across)], axis=2)[16:48, 16:48].reshape(-1, 3)
        levels = seen.reshape(-1, 3).astype(float)
        slopes = np.linalg.lstsq(plane, levels, rcond=None)[0]
        assert np.abs(plane @ slopes - levels).max() < 1  # levels are rounded down
        (right_x, right_y), (down_x, down_y) = slopes[0, :2], slopes[1, :2]
        assert math.hypot(right_x, right_y) == pytest.approx(math.hypot(down_x, down_y), abs=0.02)
        assert right_x * down_x + right_y * down_y == pytest.approx(0, abs=0.02)
        centre = np.array([31.5, 31.5, 1]) @ slopes
        assert centre[:2] == pytest.approx([31.5, 31.5], abs=0.6)

    def test_a_shrunken_photo_is_surrounded_by_its_mirror_image(self) -> None:
        """A point as far beyond the edge as another lies within has its level."""
        ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3)).copy()
        rows = [view(ramp, SHA, k, SCALED)[32, :, 0].astype(float) for k in range(1, 20)]
        slopes = [(row[48] - row[16]) / 32 for row in rows]
        shrunken = [(row, slope) for row, slope in zip(rows, slopes, strict=True) if slope > 1.1]
        assert len(shrunken) > 3
        for row, slope in shrunken:
            assert row[0] == pytest.approx(slope * 31.5 - 31.5, abs=2)
            assert row[-1] == pytest.approx(63 - (slope * 31.5 - 31.5), abs=2)

    def test_colours_stay_in_their_channels(self) -> None:
        plain = np.broadcast_to(np.array([10, 120, 230], np.uint8), (32, 32, 3)).copy()
        assert np.array_equal(view(plain, SHA, 1, STRONG), plain)


class TestPureFunction:
    """A view depends on the photo, its hash, k and the policy, and on nothing else."""

    def test_in_any_order(self, photo: Photo) -> None:
        forth = [view(photo, SHA, k, STRONG) for k in range(1, 9)]
        back = [view(photo, SHA, k, STRONG) for k in range(8, 0, -1)][::-1]
        assert np.array_equal(forth, back)

    def test_on_any_thread(self, photo: Photo) -> None:
        with ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(lambda k: view(photo, SHA, k % 8 + 1, STRONG), range(64)))
        assert np.array_equal(seen, [view(photo, SHA, k % 8 + 1, STRONG) for k in range(64)])

    def test_in_any_process(self, tmp_path: Path) -> None:
        file = tmp_path / "photo.png"
        draw_scene(1, figure=False).save(file)
        program = (
            "import hashlib, sys; from roadclear.images.settings import AugmentSettings; "
            "from roadclear.images.augment import view; "
            "from roadclear.images.decode import read_photo; photo = read_photo(sys.argv[1], 64); "
            "views = [view(photo, 'ab', k, AugmentSettings(light=0.5)).tobytes() for k in range(9)]; "
            "print(hashlib.sha256(b''.join(views)).hexdigest())"
        )
        told = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True).stdout
        views = [view(read_photo(file, 64), "ab", k, AugmentSettings(light=0.5)).tobytes() for k in range(9)]
        assert told.strip() == hashlib.sha256(b"".join(views)).hexdigest()

    def test_on_any_day(self) -> None:
        """The same numbers for ever: a cached view must not go out of date unnoticed."""
        seen = view(spot(20), SHA, 1, AugmentSettings(rotation=10, zoom=0.2, flip=0.5))
        assert centre_of_light(seen) == pytest.approx((23.83, -1.64), abs=0.05)


class TestMagnitudes:
    """Over many views, what is drawn is spread evenly over its range."""

    N = 400

    def test_rotations(self) -> None:
        """A disc to the right of the centre shows the angle."""
        angles = []
        for k in range(1, self.N + 1):
            x, y = centre_of_light(view(spot(35), SHA, k, TURNED))
            assert math.hypot(x, y) == pytest.approx(35, abs=0.5)
            angles.append(math.degrees(math.atan2(y, x)))
        self.check_uniform(np.array(angles), -30, 30)

    def test_zooms(self) -> None:
        """The scale is drawn evenly by ratio: halving is as likely as doubling."""
        disc = spot(0, radius=12)
        areas = np.array([view(disc, SHA, k, SCALED).sum(dtype=float) for k in range(1, self.N + 1)])
        scales = np.sqrt(areas / disc.sum(dtype=float))
        self.check_uniform(np.log(scales), -math.log(1.5), math.log(1.5))

    @pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 1.0])
    def test_flips(self, probability: float) -> None:
        policy = AugmentSettings(rotation=0, zoom=0, flip=probability)
        flipped = [centre_of_light(view(spot(20), SHA, k, policy))[0] < 0 for k in range(1, self.N + 1)]
        slack = 3 * math.sqrt(probability * (1 - probability) / self.N)
        assert np.mean(flipped) == pytest.approx(probability, abs=slack)

    def test_they_are_drawn_independently(self) -> None:
        policy = AugmentSettings(rotation=30, zoom=0, flip=0.5)
        places = [centre_of_light(view(spot(30), SHA, k, policy)) for k in range(1, self.N + 1)]
        flipped = np.array([x < 0 for x, _ in places], dtype=float)
        heights = np.array([y for _, y in places])
        assert abs(np.corrcoef(flipped, np.abs(heights))[0, 1]) < 3 / math.sqrt(self.N)

    @staticmethod
    def check_uniform(values: NDArray[np.float64], low: float, high: float) -> None:
        width = high - low
        assert values.min() >= low - 0.02 * width
        assert values.max() <= high + 0.02 * width
        assert values.mean() == pytest.approx((low + high) / 2, abs=3 * width / math.sqrt(12 * len(values)))
        assert values.std() == pytest.approx(width / math.sqrt(12), rel=0.15)


class TestPolicy:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("rotation", -1, "between 0 and 180 degrees"),
            ("rotation", 180.5, "between 0 and 180 degrees"),
            ("rotation", math.nan, "between 0 and 180 degrees"),
            ("zoom", -0.1, "at least 0 and below 1"),
            ("zoom", 1, "at least 0 and below 1"),
            ("zoom", math.nan, "at least 0 and below 1"),
            ("flip", -0.1, "between 0 and 1"),
            ("flip", 1.5, "between 0 and 1"),
            ("flip", math.nan, "between 0 and 1"),
            ("light", -0.1, "between 0 and 1"),
            ("light", 1.5, "between 0 and 1"),
        ],
    )
    def test_values_out_of_range(self, name: str, value: float, expected: str) -> None:
        with pytest.raises(OptionError) as caught:
            AugmentSettings(**{name: value})
        assert str(caught.value) == f"{name} must be {expected}, got {value}"

    def test_equal_policies_have_equal_keys(self) -> None:
        assert (
            AugmentSettings(rotation=10, zoom=0, flip=1).key == AugmentSettings(rotation=10.0, zoom=0.0, flip=1.0).key
        )

    def test_the_number_of_views_is_not_part_of_the_key(self) -> None:
        assert AugmentSettings(views=1).key == AugmentSettings(views=7).key

    @pytest.mark.parametrize("other", [{"rotation": 11}, {"zoom": 0.21}, {"flip": 0.51}, {"light": 0.5}])
    def test_other_policies_have_other_keys(self, other: dict[str, float]) -> None:
        assert AugmentSettings(**USUAL).key != AugmentSettings(**(USUAL | other)).key
