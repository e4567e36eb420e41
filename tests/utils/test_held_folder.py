"""Names are resolved below the folder, however deep and odd they are, and links on the way are refused."""

import os
from pathlib import Path

import pytest

from roadclear.utils import held_folder
from roadclear.utils.held_folder import HeldFolder, LinkError, hold

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes symbolic links")


@pytest.fixture(params=["handles", "checks"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "checks":
        monkeypatch.setattr(held_folder, "HAS_HANDLES", False)
    return str(request.param)


def test_what_is_there_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_bytes(b"content")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    with hold(tmp_path) as folder:
        assert [folder.exists(name) for name in ("a", "a/b", "a/file", "a/link", "a/c", "c/d")] == [True] * 4 + [
            False
        ] * 2
        assert [folder.is_folder(name) for name in ("a/b", "a/file", "a/link", "c")] == [True, False, False, False]
        assert not folder.exists("a/file/below a file")
        assert not folder.exists("a/" + "n" * 300)
        assert folder.status("a/file").st_size == 7  # type: ignore[union-attr]


def test_links_on_the_way_are_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").touch()
    (tmp_path / "photos/a/link").symlink_to(tmp_path / "home")
    (tmp_path / "photos/a/loop").symlink_to("loop")
    (tmp_path / "photos/file").touch()
    with hold(tmp_path / "photos") as folder:
        for link in ("a/link", "a/loop"):
            for use in (
                lambda link=link: folder.exists(f"{link}/file"),
                lambda link=link: folder.make_parents(f"{link}/new/file"),
                lambda link=link: folder.move("file", f"{link}/file"),
                lambda link=link: folder.move(f"{link}/file", "new"),
            ):
                with pytest.raises(LinkError) as caught:
                    use()
                assert (caught.value.filename, caught.value.strerror) == (link, "a folder on the way is a link")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/x", "a//b", "", "a/", "a\0b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with hold(tmp_path) as folder, pytest.raises(OSError, match="leads out of the folder"):
        folder.exists(name)


def test_the_folder_itself_may_be_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").touch()
    (tmp_path / "link").symlink_to("real")
    with hold(tmp_path / "link") as folder:
        folder.move("a", "b/c")
    assert (tmp_path / "real" / "b" / "c").exists()


def test_empty_folders_go_and_others_stay(tmp_path: Path) -> None:
    for name in ("top/a/b", "top/kept/inside", "top/full", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "top/full/file").touch()
    (tmp_path / "top/link").symlink_to(tmp_path / "other")
    with hold(tmp_path) as folder:
        folder.remove_empty_folders("top", keep={"top/kept"})
        folder.remove_empty_folders("missing", keep=set())
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "other", "top", "top/full", "top/full/file", "top/kept", "top/kept/inside", "top/link"
    ]  # fmt: skip


def test_names_beyond_the_longest_path(tmp_path: Path, way: str) -> None:
    """Steps are short, so that files far below the folder can be moved; a path as a whole is at most 4,096 bytes."""
    if way == "checks":
        pytest.skip("needs handles")
    deep = "/".join(["n" * 200] * 30)
    with hold(tmp_path) as folder:
        (tmp_path / "file").write_bytes(b"content")
        folder.move("file", f"{deep}/file")
        assert folder.exists(f"{deep}/file")
        folder.move(f"{deep}/file", "back")
        folder.remove_empty_folders("n" * 200, keep=set())
    assert [path.name for path in tmp_path.iterdir()] == ["back"]


def test_handles_are_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    with hold(tmp_path) as folder:
        for name in ("a/b/c", "x/y"):
            folder.exists(name)
        folder.make_parents("a/b/c")
        folder.remove_empty_folders("a", keep=set())
    assert isinstance(folder, HeldFolder)
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)  # noqa: PTH208


def test_a_folder_that_may_not_be_listed_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o300)
    (tmp_path / "a" / "file").touch()
    with hold(tmp_path) as folder:
        folder.move("a/file", "b")
    assert (tmp_path / "b").exists()
