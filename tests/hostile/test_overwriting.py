"""Nothing that is there is overwritten without the user's consent, by whatever writer."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from folders import messy_folder
from scenes import draw_scene

import roadclear
from roadclear.cli.commands import app
from roadclear.collect.candidate import Candidate
from roadclear.collect.records import SourceRecord, write_sources
from roadclear.errors import OutputError
from roadclear.utils.files import check_free_file, write_file

MINE = b"edited by hand"


def run(*words: object) -> None:
    """Run a command in this process. Errors of ours are raised."""
    try:
        app([str(word) for word in words], standalone_mode=False)
    except SystemExit as end:
        assert end.code in (None, 0)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the user where a command would write."""
    file = tmp_path / "mine.png"
    file.write_bytes(MINE)
    return file


class TestCommands:
    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        return messy_folder(tmp_path / "photos")

    @pytest.mark.parametrize(
        "command",
        [
            ("split", "{photos}", "--out", "{mine}"),
            ("clean", "{photos}", "--html", "{mine}"),
            ("show", "stock", "{photos}", "--out", "{mine}"),
            ("predict", "stock", "{photos}", "--heatmaps", "{mine}"),
            ("evaluate", "stock", "{photos}", "--gallery", "{mine}"),
            ("validate", "{photos}", "--out", "{mine}"),
            ("train", "{photos}", "--out", "{mine}"),
            ("triage", "{photos}", "--out", "{mine}"),
            ("scenes", "{mine}", "--count", "2"),
            ("demo", "--out", "{mine}", "--no-open"),
        ],
        ids=lambda command: command[0],
    )
    def test_each_leaves_a_file_of_the_user_alone(self, photos: Path, mine: Path, command: tuple[str, ...]) -> None:
        before = sorted(path.name for path in mine.parent.iterdir())
        with pytest.raises(OutputError):
            run(*(word.format(photos=photos, mine=mine) for word in command))
        assert mine.read_bytes() == MINE
        assert sorted(path.name for path in mine.parent.iterdir()) == before

    def test_a_page_is_replaced_with_consent(self, photos: Path, mine: Path) -> None:
        run("clean", photos, "--html", mine, "--overwrite", "--no-cache")
        assert mine.read_bytes().lower().startswith(b"<!doctype html")

    def test_consent_does_not_reach_what_is_no_file(self, photos: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for place in (tmp_path / "pipe", photos):
            with pytest.raises(OutputError, match="is no file"):
                run("clean", photos, "--html", place, "--overwrite")

    def test_credits(self, tmp_path: Path) -> None:
        found = SourceRecord.of(Candidate("p", "q", 1, "https://a.example/1.jpg"), "empty")
        known = {"file": "empty/1.jpg", "bytes": "9", "sha256": "0" * 64, "retrieved_at": "2026-01-01T00:00:00+00:00"}
        write_sources(tmp_path, [replace(found, **known)])
        run("collect", tmp_path, "--credits")
        run("collect", tmp_path, "--credits")  # the same content is no loss
        ours = (tmp_path / "CREDITS.md").read_bytes()
        (tmp_path / "CREDITS.md").write_bytes(MINE)
        with pytest.raises(OutputError, match="move the file away, or add --overwrite"):
            run("collect", tmp_path, "--credits")
        assert (tmp_path / "CREDITS.md").read_bytes() == MINE
        run("collect", tmp_path, "--credits", "--overwrite")
        assert (tmp_path / "CREDITS.md").read_bytes() == ours

    def test_a_run_of_an_older_split(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        for split_is_there in (False, True):
            if split_is_there:
                (tmp_path / "split.csv").write_bytes(MINE)
                os.utime(tmp_path / "run", (1, 1))
            with pytest.raises(OutputError, match="move the run away, or add --overwrite"):
                run("run", "people", "road", "--out", tmp_path)
        assert not (tmp_path / "photos").exists()


class TestModel:
    def test_save(self, mine: Path) -> None:
        model = roadclear.load()
        with pytest.raises(OutputError, match=r"is already there: choose another name, or pass overwrite=True$"):
            model.save(mine)
        assert mine.read_bytes() == MINE
        model.save(mine, overwrite=True)
        assert mine.read_bytes() == model.data


class TestWriter:
    """A file that appears between the check and the write is unharmed."""

    @pytest.mark.parametrize("number", [None, errno.EPERM, errno.EOPNOTSUPP])
    def test_a_file_that_appears_is_unharmed(
        self, mine: Path, number: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if number is not None:
            monkeypatch.setattr(os, "link", refuse(number))
        with pytest.raises(OutputError, match="is already there"):
            write_file(mine, b"ours", overwrite=False)
        assert [path.name for path in mine.parent.iterdir()] == [mine.name]
        assert mine.read_bytes() == MINE
        write_file(mine.with_name("new"), b"ours", overwrite=False)
        assert mine.with_name("new").read_bytes() == b"ours"
        assert len(list(mine.parent.iterdir())) == 2

    def test_a_link_to_nothing_is_something(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("elsewhere")
        with pytest.raises(OutputError, match="is already there"):
            check_free_file(tmp_path / "link", overwrite=False)
        with pytest.raises(OutputError, match="is already there"):
            write_file(tmp_path / "link", b"ours", overwrite=False)
        assert [path.name for path in tmp_path.iterdir()] == ["link"]


def refuse(number: int) -> object:
    def link(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    return link


def test_scenes_into_a_folder_of_photos(tmp_path: Path) -> None:
    draw_scene(1, figure=True).save(tmp_path / "mine.jpg")
    with pytest.raises(OutputError):
        run("scenes", tmp_path, "--count", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jpg"]
