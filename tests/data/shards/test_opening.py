"""Every kind of source gives the same photos, here and from object stores, in flat memory, and says what is wrong."""

import hashlib
import itertools
import pickle
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import stores
from named_files import make
from stores import ENVIRONMENT, parquet_bytes, put, s3_server, seldom, tar_bytes, web_server

from roadclear.data.dataset import load_folder
from roadclear.data.settings import SourceSettings
from roadclear.data.shards import tar
from roadclear.data.shards.files import deal
from roadclear.data.shards.opening import expand, is_sharded, open_source
from roadclear.data.shards.photo import ShardPhoto
from roadclear.data.sources import load_photos, names_of_labels, root_of
from roadclear.errors import DatasetError, OptionError
from roadclear.utils import storage
from roadclear.utils.temporary import origin_of

PHOTOS = {"a/1.jpg": b"first", "a/2.jpg": b"second", "b/3.png": b"third"}
KNOWN = [(name, name[0], content) for name, content in PHOTOS.items()]


def read(place: object, **columns: str) -> list[ShardPhoto]:
    """All photos of a source, by their ids."""
    found: list[ShardPhoto] = []
    for shard in open_source(place, SourceSettings(**columns)):  # type: ignore[arg-type]
        with pickle.loads(pickle.dumps(shard)).open() as opened:
            found += opened.photos
    return sorted(found, key=lambda photo: photo.id)


def known(photos: list[ShardPhoto]) -> list[tuple[str, str | None, bytes | None]]:
    return [(photo.id, photo.label, photo.content) for photo in photos]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in PHOTOS.items():
        (tmp_path / "roads" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "roads" / name).write_bytes(content)
    (tmp_path / "roads/manifest.csv").write_text("file,scene\na/1.jpg,s\n")
    return tmp_path / "roads"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        yield address


class TestTar:
    @pytest.mark.parametrize(
        "suffix, mode", [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
    )
    @pytest.mark.parametrize("prefix", ["", "./", "inner/"])
    def test_labels_by_folder(self, tmp_path: Path, suffix: str, mode: str, prefix: str) -> None:
        members = {f"{prefix}{name}": content for name, content in PHOTOS.items()}
        (tmp_path / f"x{suffix}").write_bytes(tar_bytes({**members, "a/.hidden.jpg": b"h", "notes.txt": b"t"}, mode))
        inner = prefix.removeprefix("./")
        assert known(read(tmp_path / f"x{suffix}")) == [(f"x/{inner}{name}", a, b) for name, a, b in KNOWN]

    def test_labels_and_details_of_samples(self, tmp_path: Path) -> None:
        members = {
            "1.cls": b"0\n",
            "1.jpg": b"one",
            "2.jpg": b"two",
            "2.cls": b"1",
            "2.json": b'{"scene": "s", "split": "test", "label": "not this", "other": []}',
            "3.left.jpg": b"left",
            "3.json": b'{"label": 7}',
            "4.jpg": b"",
            "4.json": b"[",
        }
        (tmp_path / "x.tar").write_bytes(tar_bytes(members))
        assert read(tmp_path / "x.tar") == [
            ShardPhoto("x/1.jpg", b"one", label="0"),
            ShardPhoto("x/2.jpg", b"two", label="1", scene="s", split="test"),
            ShardPhoto("x/3.left.jpg", b"left", label="7"),
            ShardPhoto("x/4.jpg", None, "the file is empty"),
        ]

    def test_labels_by_a_chosen_key(self, tmp_path: Path) -> None:
        members = {
            "a/1.jpg": b"1",
            "a/1.cls": b"a",
            "a/1.json": b'{"people": "some", "label": "x"}',
            "a/2.jpg": b"2",
            "a/2.json": b'{"people": 0}',
            "a/3.jpg": b"3",
        }
        (tmp_path / "x.tar").write_bytes(tar_bytes(members))
        assert [p.label for p in read(tmp_path / "x.tar")] == ["a", "a", "a"]
        assert [p.label for p in read(tmp_path / "x.tar", label_column="people")] == ["some", "0", None]

    def test_splits_by_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.tar").write_bytes(tar_bytes({"val/a/1.jpg": b"1", "test/b/1.jpg": b"2"}))
        assert [(p.label, p.split) for p in read(tmp_path / "x.tar")] == [("b", "test"), ("a", "validation")]

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    def test_a_shard_that_is_cut_short_says_so_at_every_length(self, tmp_path: Path, mode: str) -> None:
        """Every photo is whole or missing, and the last row says that the shard is cut."""
        whole = tar_bytes({"a/1.jpg": b"x" * 700, "b/2.jpg": bytes(range(256)) * 3}, mode)
        shard = tmp_path / "x.tar"
        step = 128 if mode == "w" else 16
        last = 2048 + 1024 if mode == "w" else len(whole) - 1  # after both photos, before the block of zeros
        for length in range(step, last + 1, step):
            shard.write_bytes(whole[:length])
            found = {photo.id: photo for photo in read(shard)}
            cut = found.pop("x", None)
            # The checksum of gzip follows the block of zeros: a cut there loses nothing.
            assert "cut short or damaged" in (cut.reason or "") if cut else mode == "w:gz" and len(found) == 2, length
            assert all(photo.content in (b"x" * 700, bytes(range(256)) * 3) for photo in found.values())

    def test_damage_in_the_middle(self, tmp_path: Path) -> None:
        whole = bytearray(tar_bytes({"a/1.jpg": b"x" * 700, "b/2.jpg": b"y"}))
        whole[1536 + 100] ^= 255
        (tmp_path / "x.tar").write_bytes(whole)
        first, second = read(tmp_path / "x.tar")
        assert first.reason is not None and "after 1 members" in first.reason and second.id == "x/a/1.jpg"

    def test_what_is_too_large_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tar, "MAX_FILE_BYTES", 1000)
        (tmp_path / "x.tar").write_bytes(tar_bytes({"a/1.jpg": b"x" * 1001, "b/2.jpg": b"y"}))
        large, small = read(tmp_path / "x.tar")
        assert large.content is None and "too large" in (large.reason or "") and small.content == b"y"
        monkeypatch.setattr(tar, "MAX_BYTES", 1000)
        assert "more than" in (read(tmp_path / "x.tar")[0].reason or "")

    def test_a_header_that_would_fill_memory_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.tar").write_bytes(tar_bytes({"a/" + "n" * 70_000 + ".jpg": b"x", "b/2.jpg": b"y"}))
        (only,) = read(tmp_path / "x.tar")
        assert "header too large" in (only.reason or "")


class TestParquet:
    def test_columns_by_name_and_by_choice(self, tmp_path: Path) -> None:
        images, names = list(PHOTOS.values()), list(PHOTOS)
        columns = {
            "image": images,
            "label": ["a", "a", "b"],
            "id": names,
            "scene": ["s", None, None],
            "people": [0, 1, 2],
        }
        (tmp_path / "x.parquet").write_bytes(parquet_bytes(columns))
        assert known(read(tmp_path / "x.parquet")) == [(f"x/{name}", a, b) for name, a, b in KNOWN]
        assert [p.scene for p in read(tmp_path / "x.parquet")] == ["s", None, None]
        assert [p.label for p in read(tmp_path / "x.parquet", label_column="people")] == ["0", "1", "2"]

    @pytest.mark.parametrize("kind", ["tar", "parquet"])
    def test_other_columns_are_another_digest(self, tmp_path: Path, kind: str) -> None:
        """Features of one label must not be taken for those of another."""
        made = tar_bytes({"1.jpg": b"1"}) if kind == "tar" else parquet_bytes({"image": [b"1"], "x": [1], "y": [2]})
        (tmp_path / f"x.{kind}").write_bytes(made)
        digests = set()
        for columns in ({}, {"label_column": "x"}, {"label_column": "y"}):
            (shard,) = open_source(tmp_path / f"x.{kind}", SourceSettings(**columns))
            with shard.open() as opened:
                digests.add(opened.sha256)
        assert len(digests) == 3 and hashlib.sha256(made).hexdigest() in digests

    def test_records_and_names_of_numbers(self, tmp_path: Path) -> None:
        columns = {"photo": [{"bytes": b"1", "path": "p"}, {"bytes": None, "path": "q"}], "label": [1, 0]}
        (tmp_path / "x.parquet").write_bytes(parquet_bytes(columns, {"label": ["empty", "crossing"]}))
        assert [(p.id, p.label, p.content, p.reason) for p in read(tmp_path / "x.parquet")] == [
            ("x/0000000", "crossing", b"1", None),
            ("x/0000001", "empty", None, "the row has no photo"),
        ]

    @pytest.mark.parametrize("columns", [{}, {"image_column": "nothing"}, {"label_column": "nothing"}])
    def test_a_column_that_is_not_there(self, tmp_path: Path, columns: dict[str, str]) -> None:
        have = {"pixels": [b"1"]} if not columns else {"image": [b"1"], "label": ["a"]}
        (tmp_path / "x.parquet").write_bytes(parquet_bytes(have))
        with pytest.raises(DatasetError, match=r"expected the column .* found"):
            read(tmp_path / "x.parquet", **columns)

    def test_a_shard_that_is_cut_short_says_so(self, tmp_path: Path) -> None:
        whole = parquet_bytes({"image": [bytes([n]) * 400 for n in range(40)], "label": ["a"] * 40})
        (tmp_path / "x.parquet").write_bytes(whole[:-100])
        (only,) = read(tmp_path / "x.parquet")
        assert only.id == "x" and "cut short or damaged after 0 rows" in (only.reason or "")


class TestFolderAndTable:
    def test_a_folder_is_that_of_training(self, folder: Path) -> None:
        make(folder, "a/deep/4.jpg", "b/.hidden.jpg", "outside.jpg", "__MACOSX/a/x.jpg")
        expected = [(p.file, p.label, p.scene) for p in load_folder(folder).photos]
        assert [(p.id, p.label, p.scene) for p in read(folder)] == expected

    def test_splits_of_folders(self, tmp_path: Path) -> None:
        make(tmp_path / "x", "train/a/1.jpg", "val/b/2.jpg")
        expected = [(p.file, p.label, p.split) for p in load_folder(tmp_path / "x").photos]
        assert [(p.id, p.label, p.split) for p in read(tmp_path / "x")] == expected

    def test_photos_without_labels(self, tmp_path: Path) -> None:
        make(tmp_path / "x", "1.jpg", "2.jpg", "sources.csv")
        assert [(p.id, p.label) for p in read(tmp_path / "x")] == [("1.jpg", None), ("2.jpg", None)]

    def test_archive_and_table(self, folder: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name, content in PHOTOS.items():
                archive.writestr(name, content)
        assert known(read(tmp_path / "x.zip")) == KNOWN
        lines = "".join(f"{name},{name[0]}\n" for name in PHOTOS)
        (folder / "t.csv").write_text("file,label\n" + lines)
        assert known(read(folder / "t.csv")) == KNOWN
        (folder / "t.csv").write_text("name,what\n" + lines)
        assert known(read(folder / "t.csv", image_column="name", label_column="what")) == KNOWN
        assert load_photos(folder / "t.csv", None, SourceSettings(image_column="name", label_column="what")).labels == (
            "a",
            "b",
        )

    def test_photos_that_cannot_be_read_are_rows(self, folder: Path) -> None:
        (folder / "a/1.jpg").write_bytes(b"")
        (folder / "b/gone.jpg").symlink_to("nowhere")
        assert [(p.id, p.reason) for p in read(folder) if p.content is None] == [
            ("a/1.jpg", "the file is empty"),
            ("b/gone.jpg", "a broken link: its target is missing"),
        ]

    def test_one_new_photo_changes_one_shard(self) -> None:
        def shards(count: int) -> dict[str, list[str]]:
            photos = [(f"{n}.jpg", ShardPhoto(f"{n}.jpg", None)) for n in range(count)]
            return {shard.name: [photo.id for _, photo in shard.photos] for shard in deal("x", photos)}

        before, after = shards(3600), shards(3601)
        assert len(before) == 4 and before.keys() == after.keys()
        assert sorted(itertools.chain(*before.values())) == sorted(f"{n}.jpg" for n in range(3600))
        assert [name for name in before if before[name] != after[name]] == [
            name for name in after if "3600.jpg" in after[name]
        ]
        assert list(shards(1000)) == ["x-00000-of-00001"]

    def test_the_digest_is_that_of_the_content(self, folder: Path) -> None:
        def digests() -> list[str]:
            found = []
            for shard in open_source(folder):
                with shard.open() as opened:
                    found.append(opened.sha256)
            return found

        first = digests()
        (folder / "a/1.jpg").touch()
        assert digests() == first
        (folder / "a/1.jpg").write_bytes(b"other")
        second = digests()
        (folder / "a/1.jpg").rename(folder / "b/1.jpg")
        assert len({*first, *second, *digests()}) == 3


class TestRanges:
    def test_expansion(self) -> None:
        assert list(expand("a{08..10}b{1..0}.tar")) == [f"a{n}b{m}.tar" for n in ("08", "09", "10") for m in (1, 0)]
        assert list(expand("no range")) == ["no range"]
        with pytest.raises(DatasetError, match="at most 1,000,000"):
            list(expand("{0..99999}{0..99999}"))

    def test_many_files_folders_of_shards_and_patterns(self, tmp_path: Path) -> None:
        for number, (name, content) in enumerate(PHOTOS.items()):
            (tmp_path / f"{number:04d}.tar").write_bytes(tar_bytes({name: content}))
        expected = [(f"{number:04d}/{name}", a, b) for number, (name, a, b) in enumerate(KNOWN)]
        for place in (f"{tmp_path}/{{0000..0002}}.tar", f"{tmp_path}/*.tar", tmp_path):
            assert known(read(place)) == expected
        assert is_sharded(tmp_path) and not is_sharded(tmp_path.parent)

    def test_shards_of_two_folders(self, tmp_path: Path) -> None:
        for part in ("1", "2"):
            (tmp_path / part).mkdir()
            (tmp_path / part / "x.tar").write_bytes(tar_bytes({"a/1.jpg": part.encode()}))
        assert [(p.id, p.content) for p in read(f"{tmp_path}/{{1..2}}/x.tar")] == [
            ("1-x/a/1.jpg", b"1"),
            ("2-x/a/1.jpg", b"2"),
        ]

    @pytest.mark.parametrize("place", ["gone.tar", "gone.csv", "gone", "*.tar", "{1..2}.jpg", "gone.zip"])
    def test_what_is_not_there(self, tmp_path: Path, place: str) -> None:
        with pytest.raises(DatasetError, match="expected"):
            read(tmp_path / place)


@pytest.mark.slow
class TestStores:
    def test_every_source_on_s3(self, server: str, folder: Path) -> None:
        for path in folder.rglob("*.*"):
            put(server, f"roads/{path.relative_to(folder)}", path.read_bytes())
        put(server, "roads/.quarantine/a/9.jpg", b"no")
        table = put(server, "roads/t.csv", b"file,label\n" + b"".join(f"{n},{n[0]}\n".encode() for n in PHOTOS))
        archive = put(server, "tars/0000.tar", tar_bytes(PHOTOS))
        columns = {"image": list(PHOTOS.values()), "label": ["a", "a", "b"], "id": list(PHOTOS)}
        rows = put(server, "rows/0000.parquet", parquet_bytes(columns))
        assert known(read(table)) == known(read("s3://bucket/roads/")) == KNOWN
        assert [p.scene for p in read("s3://bucket/roads")] == ["s", None, None]
        in_shard = [(f"0000/{name}", a, b) for name, a, b in KNOWN]
        for place in (
            archive,
            "s3://bucket/tars/",
            rows,
            "s3://bucket/rows/*.parquet",
            "s3://bucket/rows/{0000..0000}.parquet",
        ):
            assert known(read(place)) == known(read(Path(place))) == in_shard

    def test_training_sees_files(self, server: str) -> None:
        place = put(server, "few/0000.tar", tar_bytes({**PHOTOS, "5.jpg": b"bare"}))
        found = load_photos(place)
        assert found.labels == names_of_labels(Path(place)) == ("a", "b")
        assert [(p.file, p.label, p.path.read_bytes()) for p in found.photos] == [
            (f"0000/{name}", a, b) for name, a, b in KNOWN
        ]
        assert [(str(s.file), s.reason) for s in found.skipped] == [("0000/5.jpg", "it has no label")]
        assert root_of(place) == found.root and origin_of(found.photos[0].path) == f"{place}/0000/a/1.jpg"

    def test_refusals_now_and_then_change_nothing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with s3_server(seldom("503 Slow Down", "404 Not Found")) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            storage._file_system.cache_clear()
            for name, content in PHOTOS.items():
                put(address, f"roads/{name}", content)
            whole = tar_bytes({**PHOTOS, "a/large.jpg": bytes(2**20)})
            assert known(read("s3://bucket/roads")) == KNOWN
            with open_source(put(address, "0.tar", whole))[0].open() as opened:
                assert opened.sha256 == hashlib.sha256(whole).hexdigest()
                assert len(list(opened.photos)) == 4
            storage.write_whole("s3://bucket/out.bin", b"out")
            assert storage.read("s3://bucket/out.bin") == b"out"
        storage._file_system.cache_clear()

    def test_a_shard_that_is_gone_is_a_row(self, server: str) -> None:
        put(server, "some/0000.tar", tar_bytes(PHOTOS))
        found = load_photos("s3://bucket/some/{0000..0001}.tar")
        assert len(found.photos) == 3 and [str(s.file) for s in found.skipped] == ["0001"]
        with pytest.raises(DatasetError, match=r"none that can be read: gone: .*404|none that can be read"):
            load_photos("s3://bucket/gone.tar")

    def test_the_web(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "0.tar.gz").write_bytes(tar_bytes(PHOTOS, "w:gz"))
        (folder / "t.csv").write_text(
            "file,label\n" + "".join(f"{name},{name[0]}\n" for name in [*PHOTOS, "b/gone.jpg"])
        )
        with web_server(tmp_path) as address:
            assert known(read(f"{address}/0.tar.gz")) == [(f"0/{name}", a, b) for name, a, b in KNOWN]
            *there, gone = read(f"{address}/roads/t.csv")
            assert known(there) == KNOWN and "404" in (gone.reason or "")
            with pytest.raises((DatasetError, OptionError), match="expected"):
                read(f"{address}/roads")


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for module in ("pyarrow", "pyarrow.fs", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    storage._file_system.cache_clear()
    for place in (tmp_path / "x.parquet", "s3://bucket/x.tar"):
        with pytest.raises(OptionError, match=r"roadclear\[parquet\]"):
            read(place)


def test_the_support_says_what_it_refuses() -> None:
    assert list(itertools.islice(stores.seldom("503", "404"), 6)) == ["", "", "503", "", "404", ""]
