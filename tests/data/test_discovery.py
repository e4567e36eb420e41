"""Files, folders and patterns become photos, in a fixed order, and nothing that was named is passed over."""

from pathlib import Path

import pytest
from named_files import ODD_NAMES, make

from roadclear.data.discovery import OUR_TABLES, find_photos, named_like_a_photo, walk


class TestFindPhotos:
    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return make(
            tmp_path, "a.jpg", "b.png", "f/c.jpg", "f/g/d.jpg", "f/.hidden.jpg", "f/x.jpg/e.jpg", "odd[1].jpg", "n.txt"
        )

    @pytest.mark.parametrize(
        ("inputs", "found"),
        [
            ([], []),
            (["a.jpg"], ["a.jpg"]),
            (["n.txt", "a.jpg", "a.jpg"], ["n.txt", "a.jpg", "a.jpg"]),
            (["f"], ["f/c.jpg", "f/g/d.jpg", "f/x.jpg"]),
            (["f/g", "a.jpg"], ["f/g/d.jpg", "a.jpg"]),
            (["*.jpg"], ["a.jpg", "odd[1].jpg"]),
            (["?.*"], ["a.jpg", "b.png", "n.txt"]),
            (["f/**/d.jpg"], ["f/g/d.jpg"]),
            (["f/*"], ["f/c.jpg", "f/g/d.jpg", "f/x.jpg/e.jpg"]),
            (["odd[1].jpg"], ["odd[1].jpg"]),
            (["missing.jpg", "*.gif", "a.jpg"], ["missing.jpg", "*.gif", "a.jpg"]),
        ],
    )
    def test_table(self, root: Path, inputs: list[str], found: list[str]) -> None:
        assert list(find_photos(inputs)) == [Path(name) for name in found]

    @pytest.mark.parametrize("inputs", [["t"], ["t/*"], ["t/**"]])
    def test_our_own_tables_are_no_photos(self, root: Path, inputs: list[str]) -> None:
        make(root, "t/a.jpg", *(f"t/{name}" for name in OUR_TABLES))
        assert set(find_photos(inputs)) == {Path("t/a.jpg")}

    def test_a_table_that_is_named_is_given(self, root: Path) -> None:
        make(root, "t/sources.csv")
        assert list(find_photos(["t/sources.csv"])) == [Path("t/sources.csv")]

    def test_broken_links_are_given_as_they_are(self, root: Path) -> None:
        (root / "link.jpg").symlink_to("nowhere")
        assert list(find_photos([root / "link.jpg"])) == [root / "link.jpg"]

    @pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
    def test_odd_names(self, tmp_path: Path, name: str) -> None:
        make(tmp_path, f"odd/{name}")
        assert list(find_photos([tmp_path / "odd" / name])) == [tmp_path / "odd" / name]
        assert list(find_photos([tmp_path / "odd"])) == [tmp_path / "odd" / name]


def test_walking_is_lazy(tmp_path: Path) -> None:
    """The first file is known before all folders are listed."""
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    files = walk(tmp_path)
    assert next(files) == tmp_path / "a" / "1.jpg"
    (tmp_path / "b" / "2.jpg").rename(tmp_path / "b" / "3.jpg")
    assert list(files) == [tmp_path / "b" / "3.jpg"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jpg", True), ("A.JPEG", True), ("b.webp", True), ("c.txt", False), ("jpg", False), ("d.jpg.txt", False)],
)
def test_names_of_photos(name: str, expected: bool) -> None:
    assert named_like_a_photo(name) is expected
