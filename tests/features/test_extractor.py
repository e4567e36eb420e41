"""Extraction: every photo in its order, from the cache or from the network to the same bits, in flat memory."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scenes import draw_scene

from roadclear.errors import DatasetError, PhotoError
from roadclear.features.backbone.graph import build, build_trunk
from roadclear.features.backbone.mobilenetv2 import trunk_output
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.features.decoded import DecodedPhotos
from roadclear.features.engine import has_native_bf16, open_engine
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.augment import PLAIN_VIEW, view
from roadclear.images.decode import decode, read_photo
from roadclear.images.settings import AugmentSettings

pytestmark = pytest.mark.slow

SIZE = 32
POLICY = AugmentSettings()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "features.sqlite") as cache:
        yield cache


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six photos. For reading only."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        draw_scene(number, figure=number % 2 == 0).save(path)
    return paths


def extractor(cache: FeatureCache, policy: AugmentSettings = POLICY, **space: object) -> FeatureExtractor:
    usual = {"weights": load_weights("imagenet"), "size": SIZE, "engine": "openvino", "precision": "f32"}
    return FeatureExtractor(FeatureSpace(**(usual | space)), policy, cache)  # type: ignore[arg-type]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestResults:
    def test_hashes_in_the_order_of_the_photos(self, cache: FeatureCache, photos: list[Path]) -> None:
        order = [photos[number] for number in (3, 0, 5, 3, 1)]
        assert list(extractor(cache).extract(order, [PLAIN_VIEW])) == [sha256(path) for path in order]

    def test_embeddings_are_the_network_s_of_each_view(self, cache: FeatureCache, photos: list[Path]) -> None:
        """As computed by the other engine, photo by photo."""
        features = extractor(cache)
        hashes = [str(result) for result in features.extract(photos, [0, 1, 2])]
        engine = open_engine(build(load_weights("imagenet"), SIZE).SerializeToString(), ["embedding"], "onnxruntime")
        for k in (0, 1, 2):
            loaded = features.load(hashes, k)
            assert (loaded.dtype, loaded.shape) == (np.float32, (6, 1280))
            for embedding, path in zip(loaded, photos, strict=True):
                pixels = view(read_photo(path, SIZE), sha256(path), k, POLICY)
                assert embedding == pytest.approx(engine.infer(pixels)["embedding"], abs=1e-4)

    @pytest.mark.parametrize("tensor", ["block_9/output", "stem/output"])
    def test_activations_are_the_trunk_s_in_half_precision(
        self, cache: FeatureCache, photos: list[Path], tensor: str
    ) -> None:
        features = extractor(cache, tensor=tensor)
        hashes = [str(result) for result in features.extract(photos, [0, 1])]
        engine = open_engine(build_trunk(load_weights(), tensor, SIZE).SerializeToString(), [tensor], "onnxruntime")
        for k in (0, 1):
            loaded = features.load(hashes, k)
            assert (loaded.dtype, loaded.shape) == (np.float32, (6, *features.space.shape))
            assert (loaded == loaded.astype(np.float16)).all()
            for activation, path in zip(loaded, photos, strict=True):
                expected = engine.infer(view(read_photo(path, SIZE), sha256(path), k, POLICY))[tensor]
                np.testing.assert_allclose(activation, expected, rtol=2**-11, atol=1e-3)

    def test_names_may_be_text(self, cache: FeatureCache, photos: list[Path]) -> None:
        assert list(extractor(cache).extract([str(photos[0])], [PLAIN_VIEW])) == [sha256(photos[0])]

    def test_no_photos(self, cache: FeatureCache) -> None:
        assert list(extractor(cache).extract([], [PLAIN_VIEW])) == []

    def test_progress_is_told_after_every_photo(self, cache: FeatureCache, photos: list[Path]) -> None:
        told: list[tuple[int, int]] = []
        list(extractor(cache).extract(photos, [PLAIN_VIEW], lambda done, total: told.append((done, total))))
        assert told == [(done, 6) for done in range(1, 7)]

    def test_fingerprints_come_with_the_plain_view(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache)
        hashes = [str(result) for result in features.extract([*photos, photos[0]], [PLAIN_VIEW])]
        prints = features.load_fingerprints(hashes)
        assert (prints.dtype, len(prints)) == (np.uint64, 7)
        assert np.array_equal(prints[0], prints[6])
        assert len(np.unique(prints, axis=0)) == 6


class TestPhotosThatCannotBeUsed:
    def test_each_is_an_error_in_its_place(self, cache: FeatureCache, photos: list[Path], tmp_path: Path) -> None:
        (tmp_path / "empty.jpg").touch()
        (tmp_path / "page.jpg").write_text("<!DOCTYPE html><p>Not found</p>")
        (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:600])
        (tmp_path / "folder.jpg").mkdir()
        bad = {
            "empty.jpg": "the file is empty",
            "missing.jpg": "the file is missing",
            "page.jpg": "an HTML page, not a photo",
            "cut.jpg": "truncated",
            "folder.jpg": "a folder, not a photo",
        }
        mixed = [path for name, good in zip(bad, photos, strict=False) for path in (tmp_path / name, good)]
        features = extractor(cache)
        results = list(features.extract(mixed, [0, 1]))
        assert results[1::2] == [sha256(path) for path in photos[:5]]
        for result, reason in zip(results[::2], bad.values(), strict=True):
            assert isinstance(result, PhotoError)
            assert result.reason.startswith(reason)
        assert (features.stats.photos, features.stats.inferences) == (5, 10)


@pytest.mark.skipif(not has_native_bf16(), reason="this processor has no bfloat16")
class TestMixedPrecision:
    def test_plain_photos_in_f32_and_views_in_bf16(self, cache: FeatureCache, photos: list[Path]) -> None:
        mixed, f32, bf16 = (extractor(cache, precision=precision) for precision in ("mixed", "f32", "bf16"))
        hashes = [str(result) for result in mixed.extract(photos, [0, 1])]
        for other, shared in ((f32, 0), (bf16, 1)):
            list(other.extract(photos, [0, 1]))
            assert other.stats.inferences == len(photos)  # the other view is in the cache
            assert np.array_equal(other.load(hashes, shared), mixed.load(hashes, shared))
            assert not np.array_equal(other.load(hashes, 1 - shared), mixed.load(hashes, 1 - shared))

    def test_activations_are_f32(self, cache: FeatureCache, photos: list[Path]) -> None:
        tensor = "block_15/output"
        mixed, f32 = (extractor(cache, precision=precision, tensor=tensor) for precision in ("mixed", "f32"))
        list(mixed.extract(photos[:1], [0, 1]))
        list(f32.extract(photos[:1], [0, 1]))
        assert (mixed.stats.inferences, f32.stats.inferences) == (2, 0)

    def test_a_lost_view_is_computed_again_to_the_same_bits(self, photos: list[Path], tmp_path: Path) -> None:
        with open_cache(tmp_path / "features.sqlite") as cache:
            mixed = extractor(cache, precision="mixed")
            hashes = [str(result) for result in mixed.extract(photos, [0, 1])]
            before = [mixed.load(hashes, k) for k in (0, 1)]
            with closing(sqlite3.connect(cache.path)) as database, database:
                database.execute("DELETE FROM features")
            assert all(np.array_equal(mixed.load(hashes, k), before[k]) for k in (0, 1))


class TestInnerTensor:
    """One run of the network over a plain photo gives the embedding and the input of blocks to fine-tune."""

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    @pytest.mark.parametrize("unfrozen", [1, 4, 8, 11, 17])
    def test_both_are_those_of_separate_runs_to_the_bit(
        self, cache: FeatureCache, photos: list[Path], engine: str, unfrozen: int
    ) -> None:
        """So a model does not depend on what was asked for first."""
        tensor = trunk_output(unfrozen)
        together = extractor(cache, engine=engine, size=96)
        together.inner = tensor
        hashes = [str(result) for result in together.extract(photos, [PLAIN_VIEW])]
        trunk = extractor(cache, engine=engine, size=96, tensor=tensor)
        list(trunk.extract(photos, [PLAIN_VIEW]))
        assert (together.stats.inferences, trunk.stats.inferences) == (len(photos), 0)
        with open_cache(None) as fresh:
            for parted, found in ((extractor(fresh, engine=engine, size=96), together),
                                  (extractor(fresh, engine=engine, size=96, tensor=tensor), trunk)):  # fmt: skip
                list(parted.extract(photos, [PLAIN_VIEW]))
                assert np.array_equal(parted.load(hashes, PLAIN_VIEW), found.load(hashes, PLAIN_VIEW))

    def test_views_are_left_to_the_trunk(self, cache: FeatureCache, photos: list[Path]) -> None:
        tensor = trunk_output(4)
        together, trunk = extractor(cache), extractor(cache, tensor=tensor)
        together.inner = tensor
        list(together.extract(photos, [0, 1]))
        list(trunk.extract(photos, [0, 1]))
        assert trunk.stats.inferences == len(photos)

    @pytest.mark.skipif(not has_native_bf16(), reason="this processor has no bfloat16")
    def test_bf16_keeps_two_runs(self, cache: FeatureCache, photos: list[Path]) -> None:
        tensor = trunk_output(4)
        together, trunk = (extractor(cache, precision="bf16", **also) for also in ({}, {"tensor": tensor}))
        together.inner = tensor
        list(together.extract(photos, [PLAIN_VIEW]))
        list(trunk.extract(photos, [PLAIN_VIEW]))
        assert trunk.stats.inferences == len(photos)


class TestDecodedPhotos:
    """Pixels of a pass with plain views serve the next pass, which then decodes nothing."""

    @pytest.mark.parametrize("room", [10**9, 2 * 64 * 64 * 3, 0])
    def test_results_do_not_depend_on_what_was_kept(
        self, cache: FeatureCache, photos: list[Path], room: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decodes: list[int] = []

        def counted(data: bytes, size: int) -> NDArray[np.uint8]:
            decodes.append(size)
            return decode(data, size)

        monkeypatch.setattr("roadclear.features.extractor.decode", counted)
        features = extractor(cache, size=64)
        features.decoded = DecodedPhotos(room)
        hashes = [str(result) for result in features.extract(photos, [PLAIN_VIEW])]
        list(features.extract(photos[:4], [1, 2]))
        kept = min(room // (64 * 64 * 3), 4)
        assert len(decodes) == len(photos) + 4 - kept
        with open_cache(None) as fresh:
            again = extractor(fresh, size=64)
            list(again.extract(photos[:4], [0, 1, 2]))
            for k in (0, 1, 2):
                assert np.array_equal(again.load(hashes[:4], k), features.load(hashes[:4], k))

    def test_the_second_pass_releases_all(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache)
        features.decoded = DecodedPhotos(10**9)
        hashes = [str(result) for result in features.extract(photos, [PLAIN_VIEW])]
        list(features.extract(photos[:1], [1]))
        assert [features.decoded.take(sha256) for sha256 in hashes] == [None] * len(photos)

    def test_the_engine_of_the_views_opens_beside_other_work(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache, precision="mixed")
        features.decoded = DecodedPhotos(10**9)
        list(features.extract(photos, [PLAIN_VIEW]))
        for thread in threading.enumerate():
            if thread.name == "roadclear-engine":
                thread.join(60)
        assert set(features._engines) == ({"f32", "bf16"} if has_native_bf16() else {"f32"})

    def test_without_kept_photos_no_other_engine_opens(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache, precision="mixed")
        list(features.extract(photos, [PLAIN_VIEW]))
        assert "roadclear-engine" not in {thread.name for thread in threading.enumerate()}

    def test_a_photo_that_changed_is_not_taken_from_memory(
        self, cache: FeatureCache, photos: list[Path], tmp_path: Path
    ) -> None:
        features = extractor(cache)
        features.decoded = DecodedPhotos(10**9)
        path = Path(shutil.copy(photos[0], tmp_path / "photo.png"))
        (before,) = features.extract([path], [PLAIN_VIEW])
        shutil.copy(photos[1], path)
        (after,) = features.extract([path], [1])
        assert (before, after) == (sha256(photos[0]), sha256(photos[1]))


class TestCache:
    def test_only_missing_views_are_computed(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache)
        counts = []
        for chosen, views in ((photos[:2], [0]), (photos[:2], [0]), (photos[:2], [0, 1, 2]), (photos, [0, 2])):
            list(features.extract(chosen, views))
            counts.append(features.stats.inferences)
        assert counts == [2, 2, 2 + 4, 6 + 8]
        assert features.stats.photos == 2 + 2 + 2 + 6

    def test_warm_equals_cold_bit_for_bit(self, cache: FeatureCache, photos: list[Path]) -> None:
        cold, warm = extractor(cache), extractor(cache)
        hashes = [str(result) for result in cold.extract(photos, [0, 1])]
        before = [cold.load(hashes, k).tobytes() for k in (0, 1)]
        assert list(warm.extract(photos, [0, 1])) == hashes
        assert warm.stats.inferences == 0
        assert [warm.load(hashes, k).tobytes() for k in (0, 1)] == before
        with open_cache(None) as fresh:
            again = extractor(fresh)
            list(again.extract(photos[::-1], [1, 0]))
            assert [again.load(hashes, k).tobytes() for k in (0, 1)] == before

    def test_a_photo_is_known_by_its_content(self, cache: FeatureCache, photos: list[Path], tmp_path: Path) -> None:
        """Copies, other names and other folders cost nothing."""
        (tmp_path / "elsewhere").mkdir()
        copy = shutil.copy(photos[0], tmp_path / "elsewhere" / "copy.png")
        features = extractor(cache)
        first = list(features.extract([photos[0]], [PLAIN_VIEW]))
        assert list(features.extract([copy], [PLAIN_VIEW])) == first
        assert features.stats.inferences == 1

    def test_a_photo_that_changes_is_another(self, cache: FeatureCache, photos: list[Path], tmp_path: Path) -> None:
        features = extractor(cache)
        path = Path(shutil.copy(photos[0], tmp_path / "photo.jpg"))
        (before,) = features.extract([path], [PLAIN_VIEW])
        shutil.copy(photos[1], path)
        (after,) = features.extract([path], [PLAIN_VIEW])
        assert (before, after) == (sha256(photos[0]), sha256(photos[1]))
        one, other = features.load([str(before), str(after)], PLAIN_VIEW)
        assert not np.array_equal(one, other)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "changed",
        [{"size": 64}, {"engine": "onnxruntime"}, {"precision": "bf16"}, {"tensor": "block_15/output"}],
        ids=lambda changed: next(iter(changed)),
    )
    def test_another_feature_space_shares_nothing(
        self, cache: FeatureCache, photos: list[Path], changed: dict[str, object]
    ) -> None:
        list(extractor(cache).extract(photos[:1], [PLAIN_VIEW]))
        other = extractor(cache, **changed)
        list(other.extract(photos[:1], [PLAIN_VIEW]))
        assert other.stats.inferences == 1

    def test_another_policy_shares_the_plain_view_only(self, cache: FeatureCache, photos: list[Path]) -> None:
        list(extractor(cache).extract(photos[:1], [0, 1]))
        other = extractor(cache, AugmentSettings(rotation=3))
        list(other.extract(photos[:1], [0, 1]))
        assert other.stats.inferences == 1

    @pytest.mark.parametrize("loss", ["removed", "damaged"])
    def test_what_the_cache_loses_is_computed_again(self, photos: list[Path], tmp_path: Path, loss: str) -> None:
        path = tmp_path / "features.sqlite"
        with open_cache(path) as cache:
            features = extractor(cache)
            hashes = [str(result) for result in features.extract(photos, [0, 1])]
            before = [features.load(hashes, k) for k in (0, 1)], features.load_fingerprints(hashes)
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("DELETE FROM features" if loss == "removed" else "UPDATE features SET value = x'00'")
            after = [features.load(hashes, k) for k in (0, 1)], features.load_fingerprints(hashes)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        with open_cache(path) as cache:  # and stored again
            assert np.array_equal(extractor(cache).load(hashes, 1), before[0][1])

    @pytest.mark.parametrize("change", ["deleted", "another photo"])
    def test_what_the_cache_loses_of_a_photo_that_changed_is_an_error(
        self, cache: FeatureCache, photos: list[Path], tmp_path: Path, change: str
    ) -> None:
        photo = Path(shutil.copy(photos[0], tmp_path / "photo.jpg"))
        features = extractor(cache)
        (sha,) = features.extract([photo], [PLAIN_VIEW])
        with closing(sqlite3.connect(cache.path)) as database, database:
            database.execute("DELETE FROM features")
        photo.unlink()
        if change == "another photo":
            shutil.copy(photos[1], photo)
        with pytest.raises(DatasetError, match="to stay as it was, found another content: start again"):
            features.load([str(sha)], PLAIN_VIEW)

    def test_no_thread_is_at_work_when_an_error_ends_the_extraction(
        self, cache: FeatureCache, photos: list[Path]
    ) -> None:
        def fail(done: int, total: int) -> None:
            raise ValueError("no terminal")

        before = set(threading.enumerate())
        with pytest.raises(ValueError, match="no terminal") as caught:
            list(extractor(cache).extract(photos * 20, [0, 1], fail))
        assert caught.tb is not None  # whose frames hold the generator
        assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("roadclear")]

    def test_what_was_extracted_before_the_consumer_left_is_kept(self, cache: FeatureCache, photos: list[Path]) -> None:
        features = extractor(cache)
        results = features.extract(photos, [PLAIN_VIEW])
        first = [str(next(results)), str(next(results))]
        results.close()  # type: ignore[attr-defined]
        assert features.load(first, PLAIN_VIEW).shape == (2, 1280)


EXTRACT = """
import hashlib, os, resource, sys
from pathlib import Path
if sys.argv[1] == "one core":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from roadclear.images.settings import AugmentSettings
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.features.precision import resolve_precision
space = FeatureSpace(load_weights("imagenet"), 32, "openvino", resolve_precision("auto", "openvino"))
with open_cache(Path(sys.argv[2])) as cache:
    features = FeatureExtractor(space, AugmentSettings(), cache)
    paths = sorted(Path(sys.argv[3]).iterdir())
    hashes = list(features.extract(paths, [0, 1] if sys.argv[1] != "memory" else [0]))
    if sys.argv[1] == "memory":
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    else:
        print([hashlib.sha256(features.load(hashes, k).tobytes()).hexdigest() for k in (0, 1)])
"""


def extract_elsewhere(how: str, cache: Path, photos: Path) -> str:
    """Run `EXTRACT` in a process of its own."""
    command = [sys.executable, "-c", EXTRACT, how, str(cache), str(photos)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_one_core_computes_what_all_cores_compute(photos: list[Path], tmp_path: Path) -> None:
    one, all_cores = (
        extract_elsewhere(how, tmp_path / f"{how}.sqlite", photos[0].parent) for how in ("one core", "all cores")
    )
    assert one == all_cores


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units elsewhere")
def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path) -> None:
    """Ten times the photos would take 9 MB more for their embeddings alone, 20 MB for their pixels at full size."""
    draw = np.random.default_rng(0)
    peaks = []
    for n in (200, 2000):
        folder = tmp_path / str(n)
        folder.mkdir()
        for number in range(n):
            write_tiny(folder / f"{number}.bmp", draw.integers(0, 256, (60, 60, 3), dtype=np.uint8))
        peaks.append(int(extract_elsewhere("memory", tmp_path / f"{n}.sqlite", folder)) / 1000)
    assert peaks[1] - peaks[0] < 8


def write_tiny(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path)
