"""Labelled photos from a ZIP archive or from a table of labels are those of a folder."""

import zipfile
from pathlib import Path

import pytest
from named_files import make

from roadclear.data.archive import unpack
from roadclear.data.dataset import load_folder
from roadclear.data.discovery import find_photos
from roadclear.data.sources import load_photos, names_of_labels, root_of
from roadclear.errors import DatasetError
from roadclear.utils.temporary import origin_of


def zipped(root: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root))
    return target


class TestArchive:
    @pytest.mark.parametrize("prefix", ["", "inner/", "one/two/"])
    @pytest.mark.parametrize("splits", [("",), ("train/", "val/", "test/")])
    def test_as_the_folder(self, tmp_path: Path, prefix: str, splits: tuple[str, ...]) -> None:
        names = [f"{prefix}{split}{name}" for split in splits for name in ("a/1.jpg", "b/2.png")]
        root = make(tmp_path / "photos", *names, f"{prefix}.DS_Store", "__MACOSX/a/._1.jpg")
        (root / prefix / "manifest.csv").write_text("file,scene\na/1.jpg,s\n")
        expected = load_folder(root / prefix)
        archive = zipped(root, tmp_path / "photos.zip")
        found = load_photos(archive)
        assert found.labels == names_of_labels(archive) == expected.labels == ("a", "b")
        assert [(p.file, p.label, p.split, p.scene) for p in found.photos] == [
            (p.file, p.label, p.split, p.scene) for p in expected.photos
        ]
        assert all(photo.path.read_bytes() is not None for photo in found.photos)
        assert found.root == root_of(archive)

    def test_one_label_is_enough_where_both_are_known(self, tmp_path: Path) -> None:
        archive = zipped(make(tmp_path / "photos", "a/1.jpg"), tmp_path / "photos.zip")
        assert [photo.file for photo in load_photos(archive, ("a", "b")).photos] == ["a/1.jpg"]

    def test_photos_are_found_and_named_as_the_user_knows_them(self, tmp_path: Path) -> None:
        root = make(tmp_path / "photos", "a/1.jpg", "2.jpg", "sources.csv")
        archive = zipped(root, tmp_path / "photos.zip")
        assert [origin_of(path) for path in find_photos([archive])] == [f"{archive}/2.jpg", f"{archive}/a/1.jpg"]
        assert origin_of(root / "2.jpg") == str(root / "2.jpg")

    def test_it_is_unpacked_once_and_anew_when_it_changes(self, tmp_path: Path) -> None:
        archive = zipped(make(tmp_path / "photos", "a/1.jpg"), tmp_path / "photos.zip")
        assert unpack(archive) == unpack(archive)
        first = unpack(archive)
        zipped(make(tmp_path / "photos", "a/1.jpg", "a/longer name.jpg"), archive)
        assert unpack(archive) != first
        assert len(list(unpack(archive).rglob("*.jpg"))) == 2


class TestTable:
    def table(self, root: Path, text: str) -> Path:
        (root / "labels.csv").write_text(text)
        return root / "labels.csv"

    def test_files_and_labels(self, tmp_path: Path) -> None:
        make(tmp_path, "1.jpg", "deep/2.jpg", "not named.jpg")
        (tmp_path / "manifest.csv").write_text("file,scene\n1.jpg,s\n")
        table = self.table(tmp_path, "label,file,split\ndog,1.jpg,test\ncat,./deep/2.jpg,\ndog,1.jpg,test\n")
        found = load_photos(table)
        assert found.root == root_of(table) == tmp_path
        assert found.labels == names_of_labels(table) == ("cat", "dog")
        assert [(p.file, p.path, p.label, p.split, p.scene) for p in found.photos] == [
            ("1.jpg", tmp_path / "1.jpg", "dog", "test", "s"),
            ("deep/2.jpg", tmp_path / "deep/2.jpg", "cat", None, None),
        ]

    def test_one_label_is_enough_where_both_are_known(self, tmp_path: Path) -> None:
        assert load_photos(self.table(tmp_path, "file,label\n1.jpg,a\n"), ("a", "b")).labels == ("a", "b")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", r"columns 'file' and 'label' at .*, found \[\]"),
            ("path,label\nx,a\n", r"found \['path', 'label'\]: correct the first line"),
            ("file,label\n1.jpg,a\n", r"expected two labels in .*, found 1 \('a'\)"),
            ("file,label\n1.jpg,a\n2.jpg,b\n3.jpg,c\n", r"found 3 \('a', 'b', 'c'\)"),
            ("file,label\n1.jpg,a\n2.jpg,\n", r"expected a label in line 3 of .*, found none"),
            ("file,label\n,a\n", r"expected a path relative to the table's folder in line 2 of .*, found ''"),
            ("file,label\n/etc/passwd,a\n", "relative to the table's folder"),
            ("file,label\n../1.jpg,a\n", "relative to the table's folder"),
            ("file,label\n1.jpg,a\n1.jpg,b\n", r"one label and one split a file in line 3 of .*, found others"),
            ("file,label,split\n1.jpg,a,exam\n", r"expected one of train, validation, test in line 2 .* 'exam'"),
            ("file,label\n1.jpg,a\n2.jpg,\x1b[31m\n", r"expected printable labels in .*, found '\\x1b\[31m'"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, reason: str) -> None:
        with pytest.raises(DatasetError, match=reason) as caught:
            load_photos(self.table(tmp_path, text))
        assert str(caught.value).isprintable()

    def test_other_labels_than_the_model_has(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "file,label\n1.jpg,dog\n2.jpg,cat\n")
        with pytest.raises(DatasetError, match=r"expected the labels 'a' and 'b' in .*, found 2 \('cat', 'dog'\)"):
            load_photos(table, ("a", "b"))
