"""Resampling without OpenCV gives what OpenCV gives, and what its definition says."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from roadclear.images.resample import grey, square, warp

Photo = NDArray[np.uint8]
SHAPES = [(224, 224), (448, 448), (240, 320), (1024, 768), (225, 1000), (223, 500), (100, 224), (64, 64), (300, 65)]


def noise(*shape: int) -> Photo:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> Photo:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 17 + k) * np.cos(y / 23 - k) for k in range(3)]
    return np.rint(np.stack(waves, axis=2) * 127 + 128).astype(np.uint8)


def matrix(degrees: float, scale: float, flip: bool, size: int) -> NDArray[np.float64]:
    angle, centre = math.radians(degrees), np.full(2, (size - 1) / 2)
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = linear @ np.diag([-1.0 if flip else 1.0, 1.0])
    return np.column_stack([linear, centre - linear @ centre])


MATRICES = [(3.7, 1.02, False), (-4.9, 0.93, True), (180, 0.55, False), (91, 1.9, True), (0, 1, True), (45, 0.6, False)]


class TestDefinition:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_square_of_area_means(self, shape: tuple[int, int]) -> None:
        """The mean over the area of the photo that a pixel covers, where the photo is larger."""
        photo, size = smooth(*shape), 224
        found = square(photo, size).astype(float)
        assert found.shape == (size, size, 3)
        if min(shape) >= size:
            assert np.abs(found - means(means(photo.astype(float), size, 0), size, 1)).max() <= 0.5001
        assert abs(found.mean() - photo.mean()) < 3

    @pytest.mark.parametrize("values", MATRICES)
    def test_a_warp_is_bilinear(self, values: tuple[float, float, bool]) -> None:
        size = 96
        photo, moved = smooth(size, size), matrix(*values, size)
        inverse = np.linalg.inv(np.vstack([moved, [0, 0, 1]]))
        y, x = np.mgrid[:size, :size]
        place = np.einsum("kl,lij->kij", inverse, np.stack([x, y, np.ones_like(x)]))[:2]
        whole, part = np.floor(place).astype(int), (place - np.floor(place))[..., np.newaxis]
        mirror = np.pad(photo, ((size, size), (size, size), (0, 0)), mode="reflect").astype(float)
        columns, rows = whole + size
        top = mirror[rows, columns] * (1 - part[0]) + mirror[rows, columns + 1] * part[0]
        bottom = mirror[rows + 1, columns] * (1 - part[0]) + mirror[rows + 1, columns + 1] * part[0]
        assert np.abs(warp(photo, moved) - (top * (1 - part[1]) + bottom * part[1])).max() <= 0.51

    def test_a_single_pixel(self) -> None:
        assert np.array_equal(warp(noise(1, 1), matrix(30, 0.5, False, 1)), noise(1, 1))

    def test_grey_of_grey_is_itself(self) -> None:
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis], 3, axis=2)
        assert np.array_equal(grey(levels)[:, 0], np.arange(256))


class TestOpenCv:
    """The results that earlier versions had by OpenCV 5."""

    @pytest.fixture(scope="class")
    @staticmethod
    def cv2() -> object:
        module = pytest.importorskip("cv2", exc_type=ImportError)
        if int(module.__version__.split(".")[0]) < 5:
            pytest.skip("OpenCV 4 rounds otherwise")
        return module

    @pytest.mark.parametrize("photo", [noise(224, 224), smooth(224, 224)], ids=["noise", "smooth"])
    @pytest.mark.parametrize("values", MATRICES)
    def test_warps_are_equal(self, cv2: object, photo: Photo, values: tuple[float, float, bool]) -> None:
        moved = matrix(*values, 224)
        expected = cv2.warpAffine(  # type: ignore[attr-defined]
            photo,
            moved,
            (224, 224),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,  # type: ignore[attr-defined]
        )
        assert np.array_equal(warp(photo, moved), expected)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_squares_are_equal_but_for_a_few_values(self, cv2: object, shape: tuple[int, int]) -> None:
        for photo in (noise(*shape), smooth(*shape)):
            expected = cv2.resize(photo, (224, 224), interpolation=cv2.INTER_AREA)  # type: ignore[attr-defined]
            difference = np.abs(square(photo, 224) - expected.astype(int))
            assert difference.max() <= (1 if min(shape) >= 224 else 0)
            assert (difference > 0).mean() < (0.2 if shape == (448, 448) else 0.003)

    def test_grey_values_are_equal(self, cv2: object) -> None:
        every = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
        assert np.array_equal(grey(every), cv2.cvtColor(every, cv2.COLOR_RGB2GRAY))  # type: ignore[attr-defined]


def means(values: NDArray[np.float64], size: int, axis: int) -> NDArray[np.float64]:
    """Means of stretches, by the integral of the photo."""
    integral = np.insert(np.cumsum(values, axis=axis), 0, 0, axis=axis)
    edges = np.linspace(0, values.shape[axis], size + 1)
    below = np.minimum(np.floor(edges).astype(int), values.shape[axis] - 1)
    part = np.expand_dims(edges - below, tuple(k for k in range(3) if k != axis))
    at = np.take(integral, below, axis) + part * np.take(values, below, axis)
    return np.diff(at, axis=axis) * size / values.shape[axis]
