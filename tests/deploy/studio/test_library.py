"""The listing changes its number when, and only when, a file has changed."""

import os
from pathlib import Path

import pytest

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
