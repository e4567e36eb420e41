"""The cost of a photo is bounded by what its file may cost, not by its size: seconds of the processor, and memory."""

import io
import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from costly import COSTLY, RUNS_TABLE, avif_frames, jpeg_scans, jpeg_segments, scan_of_runs
from drawings import drawing, encoded, oriented
from PIL import Image

from roadclear.collect import downloader
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.errors import PhotoError, WeightsError
from roadclear.features.backbone import kerasfile
from roadclear.images import isolated
from roadclear.images.decode import decode, identify, photo_errors
from roadclear.images.limits import MAX_EXIF_BYTES, MAX_METADATA_BYTES, MAX_SCAN_SAMPLES, SharedMemory
from roadclear.utils.worker import WorkerPool

pytestmark = [pytest.mark.filterwarnings("ignore:::PIL"), pytest.mark.slow]

SIZE = 4_000_000
# Scans cost seconds for a few bytes: 0.06 MB cost 27 seconds before they were counted.
SIZES = {
    "JPEG: refining scans": 60_000,
    "JPEG: arithmetic scans": 10_000,
    "TIFF: progressive JPEG": 5_000,
    "WebP: frames": 1_000_000,
}
CHEAP = {"TIFF: progressive JPEG", "GIF: comments", "WebP: frames"}
"""Files that are read, because reading them costs little."""
SECONDS = 1.0


def cost(work: Callable[[bytes], object], data: bytes) -> tuple[float, str | None]:
    """Seconds of the processor, and the reason of a refusal."""
    started = time.process_time()
    try:
        work(data)
    except PhotoError as error:
        return time.process_time() - started, error.reason
    return time.process_time() - started, None


class TestFilesThatCostMoreThanTheirSizeShows:
    @pytest.mark.parametrize("name", COSTLY)
    def test_they_are_refused_or_read_at_once(self, name: str) -> None:
        data = COSTLY[name](SIZES.get(name, SIZE))
        for work in (lambda content: decode(content, 224), identify):
            seconds, reason = cost(work, data)
            assert seconds < SECONDS
            assert (reason is None) == (name in CHEAP), reason
            assert reason is None or ((reason.isprintable() and "expected" in reason) or "more than" in str(reason))

    @pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory the Linux way")
    def test_no_memory_is_filled(self) -> None:
        """Segments without content took 35 times the file's size."""
        script = (
            "import resource, sys; from costly import COSTLY; from roadclear.errors import PhotoError;"
            "from roadclear.images.decode import decode\n"
            "names = 'JPEG: empty segments', 'JPEG: comments', 'GIF: comments of one byte', 'PNG: empty chunks'\n"
            "for name in names:\n"
            "    data = COSTLY[name](20_000_000)\n"
            "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "    try: decode(data, 224)\n"
            "    except PhotoError: pass\n"
            "    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)\n"
        )
        assert all(int(megabytes) < 60 for megabytes in run(script).split())

    def test_scans_just_within_the_limit_are_cheap(self) -> None:
        width, height = 6_000, 4_000
        scan = scan_of_runs(0x10, width * height // 64)
        count = MAX_SCAN_SAMPLES // (width * height)
        seconds, reason = cost(lambda data: decode(data, 224), jpeg_scans(width, height, scan)(count * len(scan)))
        assert reason is None
        assert seconds < 3
        _, reason = cost(decode, jpeg_scans(width, height, scan)((count + 1) * len(scan)))
        assert reason is not None and "samples in all scans" in reason

    def test_scans_hidden_behind_restart_markers_and_fill_bytes_are_found(self) -> None:
        scan = scan_of_runs(0x10, 375_000) + b"\xff\xd0\xff\x00\xff\xff"
        _, reason = cost(decode, jpeg_scans(6_000, 4_000, scan)(200 * len(scan)))
        assert reason is not None and "samples in all scans" in reason

    def test_long_exif_data_is_not_read(self) -> None:
        entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x9C9B, 3, 1, 0) * 40_000
        exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 40_001) + entries + bytes(MAX_EXIF_BYTES)
        photo = encoded(drawing(), "PNG", exif=exif)
        assert decode(photo).shape == drawing().shape
        assert cost(identify, photo)[0] < SECONDS


def test_what_a_decoder_quotes_from_a_file_is_printable() -> None:
    with pytest.raises(PhotoError) as refusal, photo_errors("HEIF"):
        raise ValueError("could not parse item property 'c\x01\x1bap'")
    assert "item property" in refusal.value.reason
    assert refusal.value.reason.isprintable()


class TestOrdinaryFilesStayWithinTheLimits:
    """What cameras, editors and scanners write, at its largest."""

    def test_a_colour_profile_in_255_segments_and_large_metadata(self) -> None:
        jpeg = encoded(drawing(), "JPEG")
        profile = b"".join(
            struct.pack(">BBH", 0xFF, 0xE2, 65_500) + b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65_484)
            for n in range(1, 256)
        )
        depth_map = jpeg_segments(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_000))(10_000_000)[2:]
        photo = jpeg[:2] + profile + depth_map
        assert len(photo) < MAX_METADATA_BYTES
        assert np.array_equal(decode(photo), decode(jpeg))

    def test_a_progressive_photo_of_12_megapixels(self) -> None:
        photo = encoded(Image.fromarray(drawing()).resize((4_000, 3_000)), "JPEG", progressive=True, subsampling=2)
        assert photo.count(b"\xff\xda") >= 10
        assert decode(photo, 224).shape == (224, 224, 3)

    @pytest.mark.parametrize(
        ("format_name", "options"),
        [("GIF", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {}), ("PNG", {})],
    )
    def test_a_hundred_pages_are_counted_as_pillow_counts_them(self, format_name: str, options: dict) -> None:
        pages = [Image.new("RGB", (16, 12), (n * 97 % 256, n * 61 % 256, n * 151 % 256)) for n in range(100)]
        photo = encoded(pages[0], format_name, save_all=True, append_images=pages[1:], **options)
        with Image.open(io.BytesIO(photo)) as viewed:
            assert identify(photo).frames == viewed.n_frames == 100

    def test_an_animation_with_comments_and_a_palette_for_each_frame(self) -> None:
        frames = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (90, 90, 3), np.uint8)) for n in range(9)]
        photo = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"c" * 20_000, loop=0)
        assert identify(photo).frames == 9

    def test_a_layered_avif_is_read(self) -> None:
        """Seven more frames in one picture, as layers have them."""
        assert decode(avif_frames(300)).shape == drawing().shape
        with pytest.raises(PhotoError, match="more than 16 frames in one picture"):
            decode(avif_frames(2_000))

    def test_a_scan_of_20_000_rows_in_a_strip_each(self) -> None:
        page = Image.fromarray(np.zeros((20_000, 100), np.uint8))
        assert decode(encoded(page, "TIFF", strip_size=1), 64).shape == (64, 64, 3)

    def test_a_png_in_pieces_of_8_kilobytes(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (1_000, 1_000, 3), np.uint8)
        assert np.array_equal(decode(encoded(pixels, "PNG", compress_level=0)), pixels)


class TestMemoryOfAllThreadsTogether:
    def test_threads_wait_until_there_is_room(self) -> None:
        memory, most, now, lock = SharedMemory(100), 0, 0, threading.Lock()

        def use(need: int) -> None:
            nonlocal most, now
            with memory.reserve(need):
                with lock:
                    now += min(need, 100)
                    most = max(most, now)
                time.sleep(0.002)
                with lock:
                    now -= min(need, 100)

        threads = [threading.Thread(target=use, args=(need,)) for need in [30, 60, 100, 500, 10, 45] * 5]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert 60 < most <= 100

    def test_memory_is_given_back_after_an_error(self) -> None:
        memory = SharedMemory(100)
        for _ in range(3):
            with pytest.raises(PhotoError), memory.reserve(80):
                raise PhotoError("damaged")
        with memory.reserve(100):
            pass

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory the Linux way")
    def test_three_photos_of_60_megabytes_at_the_same_time(self, tmp_path: Path) -> None:
        """They took 6.5 GB when their 60 MB were segments without content; as pictures they take three times 160 MB."""
        (tmp_path / "segments.jpg").write_bytes(COSTLY["JPEG: empty segments"](60_000_000))
        (tmp_path / "picture.bmp").write_bytes(encoded(Image.new("RGB", (5_000, 4_000), "red"), "BMP"))
        for file in ("segments.jpg", "picture.bmp"):
            script = (
                "import resource, sys; from roadclear.errors import PhotoError;"
                "from roadclear.images.decode import read_photo; from roadclear.utils.threads import ordered_map\n"
                "def read(path):\n"
                "    try: return read_photo(path, 224).shape\n"
                "    except PhotoError as error: return error.reason\n"
                "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
                f"for _ in ordered_map(read, [{str(tmp_path / file)!r}] * 3, 3): pass\n"
                "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)\n"
            )
            assert int(run(script)) < 700


def run(script: str) -> str:
    """What a script prints in a process of its own."""
    script = f"import json, sys; sys.path[:] = json.loads({json.dumps(sys.path)!r})\n{script}"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL
    ).stdout


class TestPhotosFromTheNetwork:
    @pytest.fixture
    def looping(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A decoder that never ends."""
        pool = WorkerPool("worker_handlers:loop", seconds=0.5, memory_bytes=2**30, answer_bytes=2**20)
        monkeypatch.setattr(isolated, "_workers", pool)
        yield
        pool.close()

    def test_they_are_what_decoding_here_gives(self) -> None:
        photo = encoded(drawing(), "JPEG", exif=oriented(6))
        assert isolated.identify_isolated(photo, 32) == identify(photo)
        assert np.array_equal(isolated.decode_isolated(photo, 40), decode(photo, 40))

    @pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xd8\xff\xe0\0\x10JFIF", encoded(drawing(), "PNG")[:60]])
    def test_the_reasons_are_the_same(self, data: bytes) -> None:
        with pytest.raises(PhotoError) as here:
            decode(data, 32)
        with pytest.raises(PhotoError) as there:
            isolated.identify_isolated(data, 32)
        assert there.value.reason == here.value.reason[:200]

    @pytest.mark.slow
    def test_a_decoder_that_never_ends_is_ended(self, looping: None) -> None:
        used = time.process_time()
        with pytest.raises(FetchError) as refusal:
            downloader._examined(encoded(drawing(), "JPEG"))
        assert refusal.value.reason is RejectionReason.NOT_A_PHOTO
        assert "took longer than" in str(refusal.value)
        assert time.process_time() - used < SECONDS

    def test_a_worker_that_was_taken_over_cannot_lie_about_sizes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for answer in ({"format": "JPEG", "width": 10**9, "height": 10**9, "frames": 1}, {"format": "../../x"}, {}):
            monkeypatch.setattr(isolated, "_ask", lambda values, data, answer=answer: (answer, b""))
            with pytest.raises(PhotoError, match="without a result"):
                isolated.identify_isolated(b"", 32)
        with pytest.raises(PhotoError, match="without a result"):
            isolated.decode_isolated(b"", 32)


class TestKerasFiles:
    # Found by search, with the layout that h5py 3.16 writes: without an end, a crash, and an error of arithmetic.
    MUTANTS = (136, 1005, 1488, 3375, 199, 568)

    def test_mutants_neither_hang_nor_crash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        h5py = pytest.importorskip("h5py", reason="Keras files need roadclear[keras]")
        monkeypatch.setattr(kerasfile, "_MOST_SECONDS", 1)
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.attrs["layer_names"] = [b"Conv1"]
            file.create_group("Conv1").attrs["weight_names"] = [b"Conv1/kernel:0"]
            file["Conv1"].create_dataset("Conv1/kernel:0", data=np.arange(90, dtype=np.float32).reshape(3, 3, 2, 5))
        whole = buffer.getvalue()
        assert list(kerasfile.read_tensors(whole)) == ["layer 0/kernel"]
        for seed in self.MUTANTS:
            started = time.monotonic()
            try:
                kerasfile.read_tensors(mutant(whole, seed))
            except WeightsError as error:
                assert str(error).isprintable()
            assert time.monotonic() - started < 5


def mutant(whole: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    data = bytearray(whole)
    for position in rng.integers(0, len(data), rng.integers(1, 9)):
        extreme = rng.random() < 0.5
        data[position] = (
            rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF)) if extreme else data[position] ^ 1 << rng.integers(8)
        )
    return bytes(data)


def test_the_runs_table_is_a_huffman_table() -> None:
    """The scans of these tests are decoded, not refused for another reason."""
    assert RUNS_TABLE.startswith(b"\xff\xc4")
    assert decode(jpeg_scans(64, 48, scan_of_runs(0x01, 48))(100), 16).shape == (16, 16, 3)
