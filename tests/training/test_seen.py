"""A photo that a run was trained on is known by its place, its content, or at least its name."""

import shutil
from pathlib import Path

import pytest

from roadclear.data.dataset import LabelledPhoto, load_folder
from roadclear.errors import DatasetError, OptionError
from roadclear.training.seen import photos_seen

PARTS = {"a/1.jpg": "train", "a/2.jpg": "validation", "a/3.jpg": "test", "b/1.jpg": "train", "b/2.jpg": "test"}
SEEN = {"a/1.jpg", "a/2.jpg", "b/1.jpg"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of two labels with a content each; nobody decodes them here."""
    for number, file in enumerate(PARTS):
        path = tmp_path / "photos" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo %d" % number)
    return tmp_path / "photos"


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text(f'photos = "{photos}"\nseed = 3\n')
    rows = "".join(f"{file},{file[0]},{part},0\n" for file, part in PARTS.items())
    (folder / "splits.csv").write_text("file,label,split,group\n" + rows)
    (folder / "model.onnx").write_bytes(b"")
    return folder


def listed(folder: Path) -> tuple[LabelledPhoto, ...]:
    return load_folder(folder).photos


def test_in_the_folder_that_was_trained_on(run: Path, photos: Path) -> None:
    assert photos_seen(run, listed(photos)) == SEEN


def test_by_the_model_file_in_the_run(run: Path, photos: Path) -> None:
    assert photos_seen(run / "model.onnx", listed(photos)) == SEEN


def test_through_a_link_to_the_folder(run: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    assert photos_seen(run, listed(tmp_path / "link")) == SEEN


def test_copies_under_other_names_and_labels(run: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "others" / "a").mkdir(parents=True)
    (tmp_path / "others" / "b").mkdir()
    shutil.copy(photos / "a" / "1.jpg", tmp_path / "others" / "b" / "copy.jpg")
    shutil.copy(photos / "a" / "3.jpg", tmp_path / "others" / "a" / "tested.jpg")
    (tmp_path / "others" / "a" / "1.jpg").write_bytes(b"photo X")
    assert photos_seen(run, listed(tmp_path / "others")) == {"b/copy.jpg"}


def test_a_photo_moved_to_the_other_label(run: Path, photos: Path) -> None:
    shutil.copy(photos / "a" / "2.jpg", photos / "b" / "9.jpg")
    assert photos_seen(run, listed(photos)) == SEEN | {"b/9.jpg"}


def test_by_name_where_the_folder_is_gone(run: Path, photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "moved")
    assert photos_seen(run, listed(tmp_path / "moved")) == SEEN


def test_a_model_file_alone_tells_nothing(run: Path, photos: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "model.onnx"
    alone.parent.mkdir()
    alone.write_bytes(b"")
    assert photos_seen(alone, listed(photos)) is None
    assert photos_seen(alone.parent, listed(photos)) is None


def test_a_split_table_without_its_columns(run: Path, photos: Path) -> None:
    (run / "splits.csv").write_text("name,part\na/1.jpg,train\n")
    with pytest.raises(DatasetError, match="with columns 'file' and 'split'"):
        photos_seen(run, listed(photos))


def test_a_broken_configuration(run: Path, photos: Path) -> None:
    (run / "config.toml").write_text("photos = [")
    with pytest.raises(OptionError, match=r"expected a config\.toml"):
        photos_seen(run, listed(photos))
