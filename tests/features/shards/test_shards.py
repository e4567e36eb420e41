"""Features in Parquet shards are those of the extractor, bit for bit; files are written once, whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from scenes import draw_scene
from stores import tar_bytes

from roadclear.data.shards.mapping import SUFFIX, MappedShard, ShardMap, read_columns, short_key
from roadclear.data.shards.opening import open_source
from roadclear.data.shards.rows import check_unique, find_rows, read_rows
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.extractor import FeatureExtractor, fingerprint_kind, view_key
from roadclear.features.shards.cache import ShardCache
from roadclear.features.shards.work import EmbeddingWork
from roadclear.features.space import FeatureSpace
from roadclear.images.settings import AugmentSettings
from roadclear.utils import rows as rows_module
from roadclear.utils.rows import StoredRows

pytest.importorskip("pyarrow", reason="pyarrow is not installed: no Parquet")
pytestmark = pytest.mark.slow

SPACE = FeatureSpace(load_weights("imagenet"), 32, "openvino", "f32")
WORK = EmbeddingWork(SPACE, AugmentSettings(views=1))


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    found = {}
    for number in range(6):
        file = BytesIO()
        draw_scene(number, figure=number % 2 == 0).save(file, "JPEG")
        found[f"{'ab'[number % 2]}/{number}.jpg"] = file.getvalue()
    return found


@pytest.fixture
def source(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    """Six photos, one that is broken, and one that is empty, in a folder."""
    for name, content in {**photos, "a/broken.jpg": b"no photo", "b/empty.jpg": b""}.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    return tmp_path / "photos"


def extract(source: object, target: Path, work: EmbeddingWork = WORK) -> list[MappedShard]:
    return [ShardMap(work, str(target))(shard) for shard in open_source(source)]  # type: ignore[arg-type]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def cached(source: Path, tmp_path: Path) -> Iterator[tuple[ShardCache, list[str], Path]]:
    """The cache of the shards, the SHA-256 of its photos, and the folder."""
    (mapped,) = extract(source, tmp_path / "out")
    rows = read_rows(str(tmp_path / "out" / mapped.file), source)
    contents: dict[Path, str | PhotoError] = {p.path: h for p, h in zip(rows.photos, rows.hashes, strict=True)}
    cache = ShardCache(WORK, contents | {source / "a/broken.jpg": PhotoError("known to be broken")})
    cache.add(rows.place, rows.usable)
    yield cache, list(rows.hashes), source
    cache.close()


class TestRows:
    def test_every_photo_is_a_row_with_its_features_or_a_reason(self, source: Path, tmp_path: Path) -> None:
        (mapped,) = extract(source, tmp_path / "out")
        assert (mapped.photos, mapped.unreadable, mapped.computed) == (8, 2, True)
        table = read_columns(str(tmp_path / "out" / mapped.file), ["id", "label", "sha256", "error", "embedding"])
        rows = {row["id"]: row for row in table.to_pylist()}
        assert list(rows) == sorted(rows) and len(rows) == 8
        for name, row in rows.items():
            content = (source / name).read_bytes()
            assert row["label"] == name[0]
            assert row["sha256"] == (hashlib.sha256(content).hexdigest() if content else None)
            assert (row["embedding"] is None) == (row["error"] is not None) == (name[2:] in ("broken.jpg", "empty.jpg"))
        assert dict(mapped.examples) == {name: row["error"] for name, row in rows.items() if row["error"]}

    def test_features_are_those_of_the_extractor_to_the_bit(
        self, cached: tuple[ShardCache, list[str], Path], tmp_path: Path
    ) -> None:
        cache, hashes, source = cached
        paths = sorted(path for path in source.rglob("*.jpg") if path.stem.isdecimal())
        with open_cache(tmp_path / "features.sqlite") as usual:
            extractor = FeatureExtractor(SPACE, WORK.augmentation, usual)
            assert list(extractor.extract(paths, [0, 1])) == hashes
            kinds = [(SPACE.key_of(k), view_key(k, WORK.augmentation), np.float32) for k in (0, 1)]
            for kind, view, dtype in [*kinds, (fingerprint_kind(32), "plain", np.uint64)]:
                some = hashes[::-1] + hashes[:2]
                assert np.array_equal(cache.load(some, kind, view, dtype), usual.load(some, kind, view, dtype))

    def test_decoding_in_another_process_changes_nothing(self, photos: dict[str, bytes]) -> None:
        here, there = (WORK.open(isolated) for isolated in (False, True))
        content = photos["a/0.jpg"]
        sha256 = hashlib.sha256(content).hexdigest()
        found, expected = there(content, sha256), here(content, sha256)
        assert found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)
        with pytest.raises(PhotoError, match="not a photo"):
            there(b"no photo", sha256)

    def test_a_training_reads_no_photo(self, cached: tuple[ShardCache, list[str], Path]) -> None:
        cache, hashes, source = cached
        extractor = FeatureExtractor(SPACE, WORK.augmentation, cache)
        paths = [source / name for name in ("a/0.jpg", "a/broken.jpg", "b/1.jpg")]
        for path in source.rglob("*.jpg"):
            path.unlink()
        first, broken, last = extractor.extract(paths, [0, 1])
        assert (first, last) == (hashes[0], hashes[3]) and str(broken) == "known to be broken"
        assert extractor.load([hashes[0]], 1).shape == (1, 1280)
        assert isinstance(next(extractor.extract(paths[:1], [2])), PhotoError), "the second view was not extracted"

    def test_embeddings_of_many_photos_are_the_same_in_a_file(
        self, cached: tuple[ShardCache, list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache, hashes, source = cached
        paths = sorted(path for path in source.rglob("*.jpg") if path.stem.isdecimal())
        with open_cache(tmp_path / "features.sqlite") as usual:
            extractors = [FeatureExtractor(SPACE, WORK.augmentation, each) for each in (cache, usual)]
            assert list(extractors[1].extract(paths, [0])) == hashes
            monkeypatch.setattr(rows_module, "MOST_IN_MEMORY", 1)
            for extractor in extractors:
                found = extractor.load_embeddings(hashes[::-1], 0)
                assert isinstance(found, StoredRows)
                assert np.array_equal(found[:], extractor.load(hashes[::-1], 0))


class TestFiles:
    def test_starting_again_does_what_is_missing(self, source: Path, tmp_path: Path) -> None:
        (first,) = extract(source, tmp_path / "out")
        file = tmp_path / "out" / first.file
        before = file.stat()
        (again,) = extract(source, tmp_path / "out")
        assert again.computed is False and file.stat().st_mtime_ns == before.st_mtime_ns
        assert (again.photos, again.unreadable, again.examples) == (8, 2, first.examples)
        content = file.read_bytes()
        file.unlink()
        extract(source, tmp_path / "out")
        assert file.read_bytes() == content

    def test_a_damaged_file_is_made_again(self, source: Path, tmp_path: Path) -> None:
        (first,) = extract(source, tmp_path / "out")
        file = tmp_path / "out" / first.file
        content = file.read_bytes()
        for damaged in (b"", content[:100], content[:-20]):
            file.write_bytes(damaged)
            assert extract(source, tmp_path / "out")[0].computed
            assert file.read_bytes() == content

    def test_the_name_follows_from_content_and_options(
        self, source: Path, tmp_path: Path, photos: dict[str, bytes]
    ) -> None:
        names = {extract(source, tmp_path / "out")[0].file}
        for work in (
            EmbeddingWork(SPACE, AugmentSettings(views=0)),
            EmbeddingWork(SPACE, AugmentSettings(views=1, zoom=0.5)),
            EmbeddingWork(FeatureSpace(SPACE.weights, 64, "openvino", "f32"), AugmentSettings(views=1)),
        ):
            names.add(extract(source, tmp_path / "out", work)[0].file)
        (source / "a/0.jpg").rename(source / "b/0.jpg")
        names.add(extract(source, tmp_path / "out")[0].file)
        assert len(names) == 5 == len(names_in(tmp_path / "out"))
        for folder in ("here", "there"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "0.tar").write_bytes(tar_bytes(photos))
        files = [extract(tmp_path / place / "0.tar", tmp_path / "tars")[0].file for place in ("here", "there")]
        assert files[0] == files[1]

    def test_nothing_half_written_is_left(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out").chmod(0o500)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            extract(source, tmp_path / "out")
        (tmp_path / "out").chmod(0o700)
        assert names_in(tmp_path / "out") == []

    def test_a_shard_that_cannot_be_read_leaves_no_file(self, tmp_path: Path, photos: dict[str, bytes]) -> None:
        (tmp_path / "in").mkdir()
        for number in range(2):
            (tmp_path / "in" / f"{number}.tar").write_bytes(tar_bytes(photos))
        shards = open_source(tmp_path / "in")
        (tmp_path / "in/1.tar").unlink()
        first, second = (ShardMap(WORK, str(tmp_path / "out"))(shard) for shard in shards)
        assert first.file and not second.file and second.examples == (("1", "No such file or directory"),)
        assert names_in(tmp_path / "out") == [first.file]


class TestFolders:
    def test_only_files_of_the_options_are_found(self, source: Path, tmp_path: Path) -> None:
        (mapped,) = extract(source, tmp_path / "out")
        assert find_rows(tmp_path / "out", short_key(WORK)) == [str(tmp_path / "out" / mapped.file)]
        other = EmbeddingWork(SPACE, AugmentSettings(views=3))
        with pytest.raises(DatasetError, match="found 1 files of other options"):
            find_rows(tmp_path / "out", short_key(other))
        with pytest.raises(DatasetError, match="found no Parquet file"):
            find_rows(tmp_path / "nothing", short_key(WORK))

    def test_an_older_and_a_newer_file_of_one_shard_are_refused(self, source: Path, tmp_path: Path) -> None:
        extract(source, tmp_path / "out")
        (source / "a/new.jpg").write_bytes((source / "a/0.jpg").read_bytes())
        extract(source, tmp_path / "out")
        files = [read_rows(str(path), source) for path in sorted((tmp_path / "out").glob(f"*{SUFFIX}"))]
        assert len(files) == 2
        with pytest.raises(DatasetError, match="delete the older"):
            check_unique(files)
