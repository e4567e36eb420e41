"""Where files of the program's own lie."""

from pathlib import Path

import pytest

from roadclear.utils.paths import CACHE_FOLDER_VARIABLE, checkpoint_path, default_cache_path


def test_the_cache_lies_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_FOLDER_VARIABLE, str(tmp_path))
    assert default_cache_path() == tmp_path / "features.sqlite"


@pytest.mark.parametrize("value", ["", None])
def test_the_cache_lies_where_the_system_keeps_caches(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(CACHE_FOLDER_VARIABLE)
    if value is not None:
        monkeypatch.setenv(CACHE_FOLDER_VARIABLE, value)
    assert default_cache_path().is_relative_to(tmp_path)
    assert default_cache_path().parts[-2:] == ("roadclear", "features.sqlite")


def test_a_checkpoint_lies_beside_the_cache() -> None:
    assert checkpoint_path(Path("some/features.sqlite"), "key") == Path("some/checkpoint-key.npz")
