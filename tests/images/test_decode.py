"""Every kind of file has its outcome: the drawing, upright and in its colours, or a reason to refuse it."""

import errno
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from corpus import make_corpus, recipes
from drawings import HEIGHT, WIDTH, Outcome, drawing, encoded, fields_of, oriented
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageOps

from roadclear.errors import PhotoError
from roadclear.images.decode import PHOTO_FORMATS, PhotoInfo, decode, identify, read_bytes, read_photo

# Where a test run renews the warning filters, what Pillow has to say about broken metadata is shown again.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

ALL = {recipe.name: recipe.outcome for recipe in recipes()}
GOOD = {name: outcome for name, outcome in ALL.items() if outcome.reason is None}
REFUSED = {name: outcome for name, outcome in ALL.items() if outcome.reason is not None}
SHARED_PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "roads"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def check_drawing(pixels: NDArray[np.uint8], outcome: Outcome) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable and pixels.flags.c_contiguous
    differences = np.abs(np.subtract(fields_of(pixels), outcome.fields))
    assert differences.max() <= outcome.tolerance, fields_of(pixels)


class TestReadPhoto:
    @pytest.mark.parametrize(("name", "outcome"), GOOD.items(), ids=map(ascii, GOOD))
    def test_good_photos_keep_size_colours_and_direction(self, folder: Path, name: str, outcome: Outcome) -> None:
        pixels = read_photo(folder / name)
        assert pixels.shape == (outcome.height, outcome.width, 3)
        check_drawing(pixels, outcome)

    @pytest.mark.parametrize(("name", "outcome"), GOOD.items(), ids=map(ascii, GOOD))
    def test_good_photos_are_squashed_whole(self, folder: Path, name: str, outcome: Outcome) -> None:
        pixels = read_photo(folder / name, size=40)
        assert pixels.shape == (40, 40, 3)
        check_drawing(pixels, outcome)

    @pytest.mark.parametrize("size", [None, 40])
    @pytest.mark.parametrize(("name", "outcome"), REFUSED.items(), ids=map(ascii, REFUSED))
    def test_other_files_are_refused_with_a_reason(
        self, folder: Path, name: str, outcome: Outcome, size: int | None
    ) -> None:
        with pytest.raises(PhotoError) as refusal:
            read_photo(folder / name, size)
        reason = refusal.value.reason
        assert re.search(outcome.reason or "", reason), reason
        assert reason.isprintable() and len(reason) < 200
        assert name not in reason

    def test_a_path_may_be_a_string(self, folder: Path) -> None:
        assert read_photo(str(folder / "rgb.png")).shape == (HEIGHT, WIDTH, 3)


class TestReadBytes:
    def test_content_is_returned_as_it_is(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 1000
        (tmp_path / "any.bin").write_bytes(content)
        assert read_bytes(tmp_path / "any.bin") == content

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("missing/folder/a.jpg", "missing"),
            ("", "missing"),
            ("a\0b.jpg", "not a possible file name"),
            ("n" * 256, os.strerror(errno.ENAMETOOLONG)),
        ],
    )
    def test_impossible_paths(self, path: str, reason: str) -> None:
        with pytest.raises(PhotoError, match=reason):
            read_bytes(path)

    def test_a_file_in_the_place_of_a_folder(self, folder: Path) -> None:
        with pytest.raises(PhotoError, match="missing"):
            read_bytes(folder / "rgb.png" / "a.jpg")

    @pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
    def test_a_file_without_permission(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.jpg"
        path.write_bytes(encoded(drawing(), "JPEG"))
        path.chmod(0)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)  # root may read everything
        try:
            with pytest.raises(PhotoError, match="no permission"):
                read_bytes(path)
        finally:
            if was_root:
                os.seteuid(0)

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
    def test_no_file_stays_open(self, folder: Path) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for name in ALL:
            try:
                read_bytes(folder / name)
            except PhotoError:
                continue
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestIdentify:
    @pytest.mark.parametrize(("name", "outcome"), GOOD.items(), ids=map(ascii, GOOD))
    def test_header_and_pixels_agree(self, folder: Path, name: str, outcome: Outcome) -> None:
        info = identify(read_bytes(folder / name))
        assert info.format in PHOTO_FORMATS
        assert (info.width, info.height, info.frames) == (outcome.width, outcome.height, outcome.frames)

    @pytest.mark.parametrize("name", ["page.jpg", "no width.jpg", "bomb.png", "one byte.jpg", "bomb.webp"])
    def test_broken_headers_are_refused(self, folder: Path, name: str) -> None:
        with pytest.raises(PhotoError):
            identify((folder / name).read_bytes())

    def test_turned_photos_are_measured_upright(self) -> None:
        data = encoded(drawing(width=30, height=20), "JPEG", exif=oriented(6))
        assert identify(data) == PhotoInfo("JPEG", width=20, height=30, frames=1)


class TestDecode:
    def test_no_bytes(self) -> None:
        with pytest.raises(PhotoError, match="empty"):
            decode(b"")

    @pytest.mark.slow
    def test_camera_photos_of_108_megapixels_are_decoded_at_a_reduced_scale(self) -> None:
        stripes = np.repeat(drawing(width=120, height=90), 100, axis=0)
        photo = encoded(Image.fromarray(stripes).resize((12_000, 9_000)), "JPEG", quality=70)
        assert identify(photo) == PhotoInfo("JPEG", 12_000, 9_000, 1)
        check_drawing(decode(photo, 224), Outcome(tolerance=6))
        with pytest.raises(PhotoError, match="too large"):
            decode(photo)

    @pytest.mark.parametrize("size", [32, 100, 224, 448])
    @pytest.mark.parametrize("quality", [60, 95])
    def test_reduced_scale_stays_close_to_the_full_one(self, size: int, quality: int) -> None:
        rng = np.random.default_rng(size)
        scene = Image.fromarray(rng.integers(0, 256, (150, 200, 3), np.uint8)).resize((1600, 1200))
        data = encoded(scene, "JPEG", quality=quality)
        exact = Image.open(BytesIO(data)).resize((size, size), Image.Resampling.BILINEAR)
        assert np.abs(decode(data, size).astype(int) - np.asarray(exact)).mean() < 3

    def test_reduced_scale_does_not_shift_photos_that_it_does_not_divide(self) -> None:
        ramp = np.tile(np.linspace(0, 255, 65).astype(np.uint8), (65, 1))
        data = encoded(np.dstack([ramp, ramp.T, ramp]), "JPEG", quality=95)
        exact = Image.open(BytesIO(data)).resize((8, 8), Image.Resampling.BILINEAR)
        assert np.abs(decode(data, 8).astype(int) - np.asarray(exact)).max() <= 6

    @pytest.mark.skipif(not SHARED_PHOTOS.is_dir(), reason=f"needs the photos in {SHARED_PHOTOS}")
    def test_real_photos_are_what_a_viewer_shows(self) -> None:
        paths = sorted(SHARED_PHOTOS.glob("*/*.jpg"))[::20]
        assert len(paths) > 20
        for path in paths:
            viewed = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            assert np.array_equal(read_photo(path), np.asarray(viewed))

    def test_threads_get_what_one_thread_gets(self, folder: Path) -> None:
        files = [read_bytes(folder / name) for name in GOOD] * 3
        alone = [decode(data, 64) for data in files]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda data: decode(data, 64), files))
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
LOSSLESS = st.sampled_from(
    [("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
     ("WEBP", {"lossless": True, "exact": True})]
)  # fmt: skip


class TestProperties:
    @settings(max_examples=100, deadline=None)
    @given(PICTURES, LOSSLESS)
    def test_lossless_formats_give_back_every_pixel(
        self, pixels: NDArray[np.uint8], form: tuple[str, dict[str, object]]
    ) -> None:
        format_name, options = form
        assert np.array_equal(decode(encoded(pixels, format_name, **options)), pixels)

    @settings(max_examples=60, deadline=None)
    @given(PICTURES, LOSSLESS, st.integers(1, 50))
    def test_squashing_is_a_bilinear_resize_of_the_whole_photo(
        self, pixels: NDArray[np.uint8], form: tuple[str, dict[str, object]], size: int
    ) -> None:
        expected = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
        assert np.array_equal(decode(encoded(pixels, form[0], **form[1]), size), np.asarray(expected))

    @settings(max_examples=60, deadline=None)
    @given(PICTURES, st.integers(1, 8), st.sampled_from(["PNG", "TIFF"]), st.integers(1, 50))
    def test_orientation_is_undone_before_or_after_squashing_alike(
        self, pixels: NDArray[np.uint8], orientation: int, format_name: str, size: int
    ) -> None:
        data = encoded(pixels, format_name, exif=oriented(orientation))
        upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
        assert np.array_equal(decode(data), np.asarray(upright))
        squashed = np.asarray(upright.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
        # Rounding between the horizontal and the vertical pass depends on which comes first.
        assert np.abs(decode(data, size) - squashed).max() <= 1

    @settings(max_examples=60, deadline=None)
    @given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(4))))
    def test_transparent_photos_lie_on_white(self, pixels: NDArray[np.uint8]) -> None:
        colour, alpha = pixels[:, :, :3].astype(float), pixels[:, :, 3:] / 255
        on_white = colour * alpha + 255 * (1 - alpha)
        assert np.abs(decode(encoded(pixels, "PNG")) - on_white).max() <= 1

    @settings(max_examples=60, deadline=None)
    @given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 20), st.integers(1, 20))))
    def test_16_bit_greys_keep_their_upper_8_bits(self, levels: NDArray[np.uint16]) -> None:
        grey = (levels >> 8).astype(np.uint8)
        assert np.array_equal(decode(encoded(levels, "PNG")), np.dstack([grey] * 3))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300))
    def test_arbitrary_bytes_are_refused_in_one_line(self, data: bytes) -> None:
        with pytest.raises(PhotoError) as refusal:
            decode(data)
        assert refusal.value.reason.isprintable()


GUARD = Path(__file__).parents[1] / "support" / "photo_guard.py"
MEMORY_MB = 200
LIBTIFF_TALK = re.compile(r"^\w+: .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def guarded(folder: Path) -> subprocess.CompletedProcess[str]:
    """Each file read in a process of its own, with an alarm and a limit on memory."""
    command = [sys.executable, GUARD, *(folder / name for name in ALL)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory the Linux way")
class TestNothingHangsCrashesOrFillsTheMemory:
    @pytest.mark.slow
    def test_every_file_ends_in_time_within_memory(self, guarded: subprocess.CompletedProcess[str]) -> None:
        reports = [json.loads(line) for line in guarded.stdout.splitlines()]
        assert len(reports) == len(ALL)
        assert [report for report in reports if report["status"] != 0] == []
        assert [report for report in reports if report["megabytes"] > MEMORY_MB] == []

    def test_nothing_is_said_on_stderr(self, guarded: subprocess.CompletedProcess[str]) -> None:
        # Pillow cannot silence the C library that decodes compressed TIFFs.
        assert LIBTIFF_TALK.sub("", guarded.stderr).split() == []
