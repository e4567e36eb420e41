"""The listing changes its number when, and only when, a file has changed."""

import os
from pathlib import Path

import pytest

from roadclear.data.dataset import LabelledPhoto
from roadclear.deploy.studio.library import Library
from roadclear.errors import DatasetError


def test_every_change_on_disk_has_a_number(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    library = Library(tmp_path, lambda: ("a", "b"))
    assert library.refresh().version == library.refresh().version == 1
    (tmp_path / "a/x.jpg").write_bytes(b"1")
    listing = library.refresh()
    assert (listing.version, len(listing.ids)) == (2, 1)
    assert library.files([*listing.ids, "nothing"]) == (["a/x.jpg"], 1)
    (tmp_path / "a/x.jpg").rename(tmp_path / "b/x.jpg")
    moved = library.refresh()
    assert moved.version == 3 and moved.ids != listing.ids and moved.stamps == listing.stamps
    os.utime(tmp_path / "b/x.jpg", ns=(1, 1))
    assert library.refresh().version == 4 and library.refresh().version == 4
    assert library.photo(listing.ids[0]) is None
    (tmp_path / "c").mkdir()
    with pytest.raises(DatasetError):
        library.refresh()
    assert library.listing.version == 4, "the last listing stays"


def test_unlabelled_photos_are_listed_and_do_not_train(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
    path = tmp_path / "x.jpg"
    path.write_bytes(b"1")
    bare: list[LabelledPhoto] = []
    library = Library(tmp_path / "photos", lambda: ("a", "b"), lambda: bare)
    before = library.refresh()
    bare.append(LabelledPhoto(path, ".unlabelled/x.jpg", ""))
    now = library.refresh()
    assert now.version == 2 and now.photos == tuple(bare) and now.trains_like(before)
    assert library.files(now.ids) == ([".unlabelled/x.jpg"], 0)
    (tmp_path / "photos/a/y.jpg").write_bytes(b"2")
    labelled = library.refresh()
    assert not labelled.trains_like(now) and [photo.label for photo in labelled.photos] == ["a", ""]
    (tmp_path / "photos/a/y.jpg").write_bytes(b"other")
    assert not library.refresh().trains_like(labelled)
