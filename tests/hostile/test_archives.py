"""ZIP archives that are made to harm: refused in one sentence, before a file is written."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from roadclear.data import archive
from roadclear.data.archive import is_archive, unpack
from roadclear.errors import DatasetError, OutputError
from roadclear.utils import temporary


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked: beside a file of the user."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(folder))
    return folder


def written(home: Path) -> list[Path]:
    return [path for path in home.parent.rglob("*") if path.is_file() and path.name not in ("mine.txt", "photos.zip")]


def make(path: Path, *names: str | zipfile.ZipInfo, method: int = zipfile.ZIP_DEFLATED, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name in names:
            file.writestr(name, content)
    return path


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "parent": (lambda path: make(path, "a/1.jpg", "../mine.txt"), "leads out of the archive"),
    "parent inside": (lambda path: make(path, "a/../../mine.txt"), "leads out of the archive"),
    "parent with backslashes": (lambda path: make(path, "a\\..\\..\\mine.txt"), "leads out of the archive"),
    "absolute": (lambda path: make(path, "/etc/cron.d/x"), "leads out of the archive"),
    "drive": (lambda path: make(path, "C:/x"), "leads out of the archive"),
    "link": (lambda path: make(path, entry("a/link", stat.S_IFLNK | 0o777), content=b"/etc"), "the link 'a/link'"),
    "deep": (lambda path: make(path, "/".join(["a"] * 60)), "folders more than 32 deep"),
    "same name": (lambda path: make(path, "a/1.jpg", "a/./1.jpg"), "two entries named 'a/1.jpg'"),
    "file and folder": (lambda path: make(path, "a", "a/1.jpg"), "."),
    "other method": (lambda path: make(path, "a/1.jpg", method=zipfile.ZIP_LZMA), "another method than deflate"),
    "control characters": (lambda path: make(path, "../\x1b[31m"), r"\\x1b"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("attack", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, home: Path, attack: Callable[[Path], Path], reason: str) -> None:
    path = attack(tmp_path / "photos.zip")
    with pytest.raises((DatasetError, OutputError), match=reason) as caught:
        unpack(path)
    assert str(caught.value).isprintable()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert all(file.is_relative_to(home) for file in written(home))


class TestCost:
    def test_many_entries(self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
        with pytest.raises(DatasetError, match="11 entries, more than 10: make several archives"):
            unpack(make(tmp_path / "photos.zip", *(f"a/{n}.jpg" for n in range(11))))
        assert written(home) == []

    def test_a_long_list_of_entries_is_not_even_read(
        self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 1000)
        monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
        path = tmp_path / "photos.zip"
        path.write_bytes(b"PK\x03\x04" + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 2000, 4, 0))
        with pytest.raises(DatasetError, match="a list of files of"):
            unpack(path)
        longer = b"PK\x06\x06" + bytes(36) + struct.pack("<2Q", 2**40, 4)
        locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 4, 1)
        end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 0xFFFFFFFF, 4, 0)
        path.write_bytes(b"PK\x03\x04" + longer + locator + end)
        with pytest.raises(DatasetError, match="a list of files of"):
            unpack(path)

    def test_few_bytes_that_unpack_to_many(self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make(tmp_path / "photos.zip", "a/1.jpg", "a/2.jpg", content=bytes(5_000_000))
        assert path.stat().st_size < 20_000
        monkeypatch.setattr(archive, "MAX_BYTES", 9_000_000)
        with pytest.raises(DatasetError, match="GB, more than"):
            unpack(path)
        monkeypatch.setattr(archive, "MAX_FILE_BYTES", 4_000_000)
        monkeypatch.setattr(archive, "MAX_BYTES", 10**9)
        with pytest.raises(DatasetError, match="of 5 MB, more than 4"):
            unpack(path)
        assert written(home) == []

    def test_a_size_that_is_a_lie_writes_no_more_than_it_says(self, tmp_path: Path, home: Path) -> None:
        path = make(tmp_path / "photos.zip", "a/1.jpg", content=bytes(5_000_000))
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<L", 5_000_000), struct.pack("<L", 10)))
        with pytest.raises(DatasetError, match="cannot be read"):
            unpack(path)
        assert sum(file.stat().st_size for file in written(home)) <= 10

    def test_a_full_disk_is_foreseen(self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = archive.shutil.disk_usage(tmp_path)._replace(free=0)
        monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(OutputError, match="MB are free; set TMPDIR"):
            unpack(make(tmp_path / "photos.zip", "a/1.jpg"))
        assert written(home) == []


class TestDamage:
    def test_mutants_are_read_or_refused(self, tmp_path: Path, home: Path) -> None:
        data = make(tmp_path / "photos.zip", "a/1.jpg", "b/2.jpg", content=b"content" * 50).read_bytes()
        for place in range(len(data)):
            for value in (0, 0xFF, data[place] ^ 1):
                mutant = tmp_path / "photos.zip"
                mutant.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
                if not is_archive(mutant):
                    continue
                try:
                    assert unpack(mutant).is_relative_to(home)
                except (DatasetError, OutputError) as error:
                    assert str(error).isprintable()
        assert all(file.is_relative_to(home) for file in written(home))

    @pytest.mark.parametrize("name", ["photos.txt", "missing.zip", "folder.zip", "text.zip"])
    def test_what_is_no_archive(self, tmp_path: Path, name: str) -> None:
        make(tmp_path / "photos.txt", "a/1.jpg")
        (tmp_path / "folder.zip").mkdir()
        (tmp_path / "text.zip").write_text("PK")
        assert not is_archive(tmp_path / name)
