"""What a word names, and that passwords are in no name."""

from pathlib import Path

import pytest

from roadclear.deploy.watch.source import SourceKind, find_source, without_password
from roadclear.errors import DatasetError, OptionError


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://camera.example:554/one", "rtsp://camera.example:554/one"),
        ("rtsp://me:secret@camera.example/one", "rtsp://***@camera.example/one"),
        ("http://camera.example/one.mjpg?user=me&pwd=secret", "http://camera.example/one.mjpg***"),
        ("rtsp://camera.example/user=me_password=secret_channel=1.sdp", "rtsp://camera.example/***"),
        ("https://camera.example/one#secret", "https://camera.example/one***"),
    ],
)
def test_no_password_is_in_the_name(address: str, name: str) -> None:
    assert without_password(address) == name
    source = find_source(address)
    assert (source.kind, source.name, source.place) == (SourceKind.ADDRESS, name, address)
    assert "secret" not in f"{source} {source!r}"
    assert source.live


def test_a_password_that_was_not_encoded_is_not_shown_either() -> None:
    assert without_password("rtsp://me:s/e?c@ret@camera.example/one") == "rtsp://***@camera.example/one"


def test_files_folders_and_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"x")
    assert find_source(str(video)).kind is SourceKind.FILE
    assert find_source(str(tmp_path)).kind is SourceKind.FOLDER
    monkeypatch.setattr("sys.platform", "linux")
    camera = find_source("2")
    assert (camera.kind, camera.name, camera.place, camera.live) == (SourceKind.CAMERA, "camera 2", "/dev/video2", True)
    monkeypatch.chdir(tmp_path)
    Path("2").mkdir()
    assert find_source("2").kind is SourceKind.FOLDER, "what is there comes before a camera's number"


def test_a_camera_number_needs_a_system_that_numbers_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(OptionError, match="give the address of the camera"):
        find_source("0")


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("nowhere.mp4", DatasetError, "found nothing at 'nowhere.mp4'"),
        ("-1", DatasetError, "found nothing"),
        ("ftp://host/secret", OptionError, "expected an address with rtsp"),
        ("rtsp://", OptionError, "without a host"),
        ("rtsp://me:secret@/x", OptionError, "without a host"),
        ("rtsp://host:secret/x", OptionError, "impossible port"),
    ],
)
def test_other_words_are_refused_without_showing_a_password(word: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        find_source(word)
    assert "secret" not in str(raised.value)
