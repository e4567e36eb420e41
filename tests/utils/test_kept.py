"""Kept values: whole or not there, damaged ones not there either, and never more than a few."""

import os
from pathlib import Path

import pytest

from roadclear.features.cache import clear_cache
from roadclear.utils.kept import keep, kept_files, kept_path, read_kept


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class TestKeeping:
    @pytest.mark.parametrize("value", [b"", b"x", bytes(range(256)) * 100])
    def test_a_value_comes_back(self, value: bytes) -> None:
        keep(kept_path("word", "key"), value)
        assert read_kept(kept_path("word", "key")) == value

    def test_nothing_was_kept(self) -> None:
        assert read_kept(kept_path("word", "key")) is None

    @pytest.mark.parametrize("damage", [b"", b"short", b"x" * 1000])
    def test_another_content_is_no_value(self, damage: bytes) -> None:
        path = kept_path("word", "key")
        keep(path, b"value")
        path.write_bytes(damage)
        assert read_kept(path) is None

    def test_every_flipped_bit_is_noticed(self) -> None:
        path = kept_path("word", "key")
        keep(path, b"value")
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bytes(changed))
            assert read_kept(path) is None

    def test_a_place_that_cannot_be_written_is_left(self, folder: Path) -> None:
        folder.write_text("no folder")
        keep(kept_path("word", "key"), b"value")
        assert folder.read_text() == "no folder"


class TestNames:
    def test_equal_keys_have_equal_names(self) -> None:
        assert kept_path("word", "a", b"b") == kept_path("word", "a", b"b")

    @pytest.mark.parametrize("other", [("word", "ab"), ("word", "a", "b", ""), ("word", "b", "a"), ("other", "a", "b")])
    def test_other_keys_have_other_names(self, other: tuple[str, ...]) -> None:
        assert kept_path(*other) != kept_path("word", "a", "b")


class TestBounds:
    def test_the_least_used_values_give_way(self) -> None:
        paths = [kept_path("word", str(number)) for number in range(20)]
        for number, path in enumerate(paths[:16]):
            keep(path, b"value")
            os.utime(path, (number, number))
        assert read_kept(paths[0]) == b"value"  # the first is now used last
        for path in paths[16:]:
            keep(path, b"value")
        assert [read_kept(path) is not None for path in paths] == [True, *[False] * 4, *[True] * 15]

    def test_other_kinds_stay(self) -> None:
        keep(kept_path("other", "key"), b"value")
        for number in range(20):
            keep(kept_path("word", str(number)), b"value")
        assert read_kept(kept_path("other", "key")) == b"value"


def test_clearing_the_cache_removes_them(folder: Path) -> None:
    keep(kept_path("word", "key"), b"value")
    (folder / ".kept-word-0.abcdefgh.roadclear").write_bytes(b"half")
    (folder / "photo.jpg").write_bytes(b"not ours")
    clear_cache(folder / "features.sqlite")
    assert kept_files(folder) == []
    assert (folder / "photo.jpg").exists()
