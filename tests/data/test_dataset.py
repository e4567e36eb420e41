"""Folders are the interface: labels by folder, parts by folder or table, and advice where it is not understood."""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from folders import photo
from named_files import ODD_NAMES, make

from roadclear.data.dataset import LabelledPhoto, label_names, load_folder, with_split
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError


def listed(root: Path) -> list[tuple[str, str, str | None]]:
    """File, label and part of every photo."""
    return [(photo.file, photo.label, photo.split) for photo in load_folder(root).photos]


class TestLabelFolders:
    def test_the_folder_is_the_label(self, tmp_path: Path) -> None:
        dataset = load_folder(make(tmp_path, "empty/b.jpg", "crossing/a.jpg", "crossing/c.png"))
        assert dataset.root == tmp_path
        assert dataset.labels == ("crossing", "empty")
        assert dataset.photos == (
            LabelledPhoto(tmp_path / "crossing" / "a.jpg", "crossing/a.jpg", "crossing"),
            LabelledPhoto(tmp_path / "crossing" / "c.png", "crossing/c.png", "crossing"),
            LabelledPhoto(tmp_path / "empty" / "b.jpg", "empty/b.jpg", "empty"),
        )

    def test_a_path_may_be_text(self, tmp_path: Path) -> None:
        make(tmp_path, "a/1.jpg", "b/2.jpg")
        assert load_folder(str(tmp_path)) == load_folder(tmp_path)

    def test_folders_inside_a_label_belong_to_it(self, tmp_path: Path) -> None:
        make(tmp_path, "crossing/monday/cam 1/a.jpg", "crossing/b.jpg", "empty/tuesday/c.jpg")
        assert listed(tmp_path) == [
            ("crossing/b.jpg", "crossing", None),
            ("crossing/monday/cam 1/a.jpg", "crossing", None),
            ("empty/tuesday/c.jpg", "empty", None),
        ]

    def test_hidden_files_and_folders_are_passed_over(self, tmp_path: Path) -> None:
        make(tmp_path, ".git/x.jpg", ".DS_Store", "a/.hidden.jpg", "a/.thumbs/x.jpg", "a/1.jpg", "b/2.jpg")
        assert [file for file, _, _ in listed(tmp_path)] == ["a/1.jpg", "b/2.jpg"]

    def test_files_beside_the_label_folders_are_passed_over(self, tmp_path: Path) -> None:
        make(tmp_path, "readme.txt", "stray.jpg", "a/1.jpg", "b/2.jpg")
        assert [file for file, _, _ in listed(tmp_path)] == ["a/1.jpg", "b/2.jpg"]

    def test_files_that_are_no_photos_are_listed_so_that_they_are_reported(self, tmp_path: Path) -> None:
        make(tmp_path, "a/notes.txt", "a/x.jpg/inside.jpg", "b/2.jpg")
        assert [file for file, _, _ in listed(tmp_path)] == ["a/notes.txt", "a/x.jpg", "b/2.jpg"]

    def test_names_of_any_bytes(self, tmp_path: Path) -> None:
        make(tmp_path, "b/2.jpg", *(f"a/{name}" for name in ODD_NAMES))
        assert [photo.path.name for photo in load_folder(tmp_path).photos[:-1]] == sorted(ODD_NAMES)

    def test_a_label_folder_may_be_a_link_and_may_be_empty(self, tmp_path: Path) -> None:
        make(tmp_path / "photos", "1.jpg")
        root = tmp_path / "data"
        (root / "empty").mkdir(parents=True)
        (root / "crossing").symlink_to(tmp_path / "photos")
        assert listed(root) == [("crossing/1.jpg", "crossing", None)]
        assert load_folder(root).labels == ("crossing", "empty")

    def test_links_that_lead_in_circles_end(self, tmp_path: Path) -> None:
        """A link to a folder is listed, to be reported, and not followed."""
        make(tmp_path, "a/1.jpg", "b/2.jpg")
        (tmp_path / "a" / "loop").symlink_to(tmp_path)
        (tmp_path / "itself").symlink_to("itself")
        assert [file for file, _, _ in listed(tmp_path)] == ["a/1.jpg", "a/loop", "b/2.jpg"]

    def test_the_order_does_not_depend_on_the_file_system(self, tmp_path: Path) -> None:
        names = ["a/10.jpg", "a/2.jpg", "a/B.jpg", "a/b.jpg", "a/b/1.jpg", "a/é.jpg", "b/1.jpg"]
        make(tmp_path / "one", *names)
        make(tmp_path / "other", *names[::-1])
        files = [photo.file for photo in load_folder(tmp_path / "one").photos]
        assert files == [photo.file for photo in load_folder(tmp_path / "other").photos] == sorted(names)


class TestPartFolders:
    @pytest.mark.parametrize(
        ("folders", "parts"),
        [
            (("train", "val", "test"), (TRAIN, VALIDATION, TEST)),
            (("train", "valid", "test"), (TRAIN, VALIDATION, TEST)),
            (("Train", "Validation", "TEST"), (TRAIN, VALIDATION, TEST)),
            (("train", "test"), (TRAIN, TEST)),
            (("train",), (TRAIN,)),
        ],
    )
    def test_their_names(self, tmp_path: Path, folders: Sequence[str], parts: Sequence[str]) -> None:
        make(tmp_path, *(f"{folder}/{label}/{folder}.jpg" for folder in folders for label in ("empty", "crossing")))
        assert load_folder(tmp_path).labels == ("crossing", "empty")
        found = {(photo.path.parent.parent.name, photo.label, photo.split) for photo in load_folder(tmp_path).photos}
        pairs = list(zip(folders, parts, strict=True))
        assert found == {(folder, label, part) for folder, part in pairs for label in ("crossing", "empty")}

    def test_a_label_may_be_missing_in_a_part(self, tmp_path: Path) -> None:
        make(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg")
        assert listed(tmp_path) == [
            ("test/a/3.jpg", "a", TEST),
            ("train/a/1.jpg", "a", TRAIN),
            ("train/b/2.jpg", "b", TRAIN),
        ]

    def test_another_folder_beside_them_makes_them_labels(self, tmp_path: Path) -> None:
        make(tmp_path, "train/a/1.jpg", "test/a/2.jpg", "notes/3.jpg")
        with pytest.raises(DatasetError, match=r"found 3 \('notes', 'test', 'train'\): move the others away"):
            load_folder(tmp_path)


class TestAdvice:
    """Folders that are not understood: one line with what was expected, what was found, and what to do."""

    @pytest.mark.parametrize(
        ("files", "found", "advice"),
        [
            ([], "none", "make one folder a label and put its photos there"),
            (["1.jpg", "2.jpg"], "none", "make one folder a label and put its photos there"),
            ([".hidden/1.jpg"], "none", "make one folder a label and put its photos there"),
            (["a/1.jpg"], "1 ('a')", "add a folder of the other label"),
            (["a/1.jpg", "b/2.jpg", "c/3.jpg"], "3 ('a', 'b', 'c')", "move the others away, or merge them into two"),
            (["train/a/1.jpg", "test/a/2.jpg"], "1 ('a')", "add a folder of the other label"),
            (["train/1.jpg"], "none", "make one folder a label and put its photos there"),
            ([f"{n}/1.jpg" for n in range(9)], "9 ('0', '1', '2', '3', '4', '5')", "move the others away"),
        ],
    )
    def test_numbers_of_labels(self, tmp_path: Path, files: list[str], found: str, advice: str) -> None:
        with pytest.raises(DatasetError) as caught:
            load_folder(make(tmp_path, *files))
        assert str(caught.value).startswith(f"expected two label folders in {str(tmp_path)!r}, found {found}: {advice}")

    @pytest.mark.parametrize("depth", [1, 2, 5])
    @pytest.mark.parametrize("labels", [None, ("a", "b")])
    def test_folders_around_the_label_folders_are_named(
        self, tmp_path: Path, depth: int, labels: tuple[str, str] | None
    ) -> None:
        inner = tmp_path.joinpath(*["inner"] * depth)
        make(inner, "a/1.jpg", "b/2.jpg")
        with pytest.raises(
            DatasetError, match=re.escape(f"name the folder {str(inner)!r}, which has two label folders")
        ):
            load_folder(tmp_path, labels)
        assert len(load_folder(inner, labels).photos) == 2

    def test_a_folder_that_leads_into_itself_is_no_label_folder(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to(".")
        with pytest.raises(DatasetError, match="add a folder of the other label"):
            load_folder(tmp_path)

    def test_the_folder_that_macos_adds_to_an_archive_is_no_label(self, tmp_path: Path) -> None:
        make(tmp_path, "a/1.jpg", "b/2.jpg", "__MACOSX/a/._1.jpg")
        assert load_folder(tmp_path).labels == label_names(tmp_path) == ("a", "b")

    def test_a_run_is_recognised(self, tmp_path: Path) -> None:
        make(tmp_path, "model.onnx", "metrics.json")
        with pytest.raises(DatasetError, match=r"found a run at .*: name the folder of photos"):
            load_folder(tmp_path)

    @pytest.mark.parametrize("name", ["missing", "file"])
    def test_no_folder(self, tmp_path: Path, name: str) -> None:
        make(tmp_path, "file")
        with pytest.raises(
            DatasetError, match=r"^expected a folder with one subfolder a label, found (no folder|a file) at"
        ):
            load_folder(tmp_path / name)

    @pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "two\nlines", "tab\t", "bell\x07"], ids=ascii)
    def test_labels_that_cannot_be_written_in_a_report(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DatasetError) as caught:
            load_folder(make(tmp_path, f"{name}/1.jpg", "b/2.jpg"))
        message = str(caught.value)
        assert message.startswith("expected a label folder with a printable UTF-8 name, found ")
        assert message.isprintable()

    @pytest.mark.parametrize("name", ["zażółć", "横断", "no people", "a'b"])
    def test_labels_of_any_language(self, tmp_path: Path, name: str) -> None:
        assert name in load_folder(make(tmp_path, f"{name}/1.jpg", "other/2.jpg")).labels


class TestExpectedLabels:
    BOTH = ("crossing", "empty")

    def test_one_of_them_may_have_no_folder(self, tmp_path: Path) -> None:
        assert load_folder(make(tmp_path, "empty/1.jpg"), self.BOTH).labels == self.BOTH

    def test_their_order_does_not_matter(self, tmp_path: Path) -> None:
        assert load_folder(make(tmp_path, "empty/1.jpg"), self.BOTH[::-1]).labels == self.BOTH

    @pytest.mark.parametrize("files", [[], ["cat/1.jpg", "dog/2.jpg"], ["empty/1.jpg", "crossing/1.jpg", "x/1.jpg"]])
    def test_others_are_refused(self, tmp_path: Path, files: list[str]) -> None:
        with pytest.raises(DatasetError, match=r"^expected label folders 'crossing' and 'empty' in .*: rename"):
            load_folder(make(tmp_path, *files), self.BOTH)


class TestTables:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return make(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")

    @staticmethod
    def told(root: Path, attribute: str) -> dict[str, str | None]:
        return {photo.file: getattr(photo, attribute) for photo in load_folder(root).photos}

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_scenes(self, root: Path, encoding: str, newline: str) -> None:
        text = newline.join(
            ["file,label,scene", "a/1.jpg,a,cam-1", "b/3.jpg,b,cäm-1", "a/2.jpg,a,", "gone.jpg,a,x", ""]
        )
        (root / "manifest.csv").write_bytes(text.encode(encoding))
        assert self.told(root, "scene") == {"a/1.jpg": "cam-1", "a/2.jpg": None, "b/3.jpg": "cäm-1"}

    def test_scenes_of_files_with_odd_names(self, tmp_path: Path) -> None:

        make(tmp_path, "b/1.jpg", *(f"a/{name}" for name in ODD_NAMES))
        with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "scene"])
            writer.writerows([f"a/{name}", f"scene {n}"] for n, name in enumerate(ODD_NAMES))
        expected = {f"a/{name}": f"scene {n}" for n, name in enumerate(ODD_NAMES)} | {"b/1.jpg": None}
        assert self.told(tmp_path, "scene") == expected

    @pytest.mark.parametrize(
        "table", ["", "file\n", "file,else\n1,2\n", "file,label\na/1.jpg,a\n", "file,scene\na/1.jpg\n"]
    )
    def test_a_manifest_without_scenes(self, root: Path, table: str) -> None:
        (root / "manifest.csv").write_text(table)
        assert set(self.told(root, "scene").values()) == {None}

    def test_no_manifest(self, root: Path) -> None:
        photos = load_folder(root).photos
        assert {(photo.scene, photo.source, photo.page, photo.author, photo.licence) for photo in photos} == {
            (None,) * 5
        }

    def test_a_licence_of_either_table(self, root: Path) -> None:
        (root / "manifest.csv").write_text("file,licence\na/1.jpg,CC0\na/2.jpg,CC BY\n")
        (root / "sources.csv").write_text("file,licence\na/1.jpg,PDM\na/2.jpg,\n")
        found = {photo.file: photo.licence for photo in load_folder(root).photos}
        assert (found["a/1.jpg"], found["a/2.jpg"]) == ("PDM", "CC BY")

    @pytest.mark.parametrize(
        ("row", "source", "page", "author"),
        [
            ("a/1.jpg,openverse,https://Example.org/p/1,Ann", "example.org", "https://Example.org/p/1", "Ann"),
            ("a/1.jpg,openverse,,", "openverse", None, None),
            ("a/1.jpg,,,Ann", None, None, "Ann"),
        ],
    )
    def test_sources(self, root: Path, row: str, source: str | None, page: str | None, author: str | None) -> None:
        (root / "sources.csv").write_text(f"file,provider,page_url,author\n{row}\n")
        photo = load_folder(root).photos[0]
        assert (photo.source, photo.page, photo.author) == (source, page, author)

    def test_a_table_that_is_not_one(self, root: Path) -> None:
        """A quotation mark that nobody closes makes one field of a whole file, longer than any field may be."""
        (root / "manifest.csv").write_text('file,scene\n"a/1.jpg,x\n' + "b/3.jpg,y\n" * 20_000)
        with pytest.raises(DatasetError, match=r"^expected a CSV table at '.*manifest.csv', found .*"):
            load_folder(root)

    def test_real_scenes(self, roads: Path) -> None:
        dataset = load_folder(roads)
        assert dataset.labels == ("crossing", "empty")
        assert all(photo.scene and photo.source for photo in dataset.photos)


class TestWithSplit:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = make(tmp_path / "photos", "a/1.jpg", "a/2.jpg", "b/3.jpg")
        for number, path in enumerate(folder.glob("*/*")):
            path.write_bytes(photo(number))
        return folder

    def table(self, root: Path, text: str) -> Path:
        path = root.parent / "splits.csv"
        path.write_text(text)
        return path

    def test_parts_come_from_the_table(self, root: Path) -> None:
        table = self.table(
            root, "file,label,split,group\nb/3.jpg,b,test,2\na/1.jpg,a,train,0\na/2.jpg,a,validation,1\nx,,test,\n"
        )
        dataset = with_split(load_folder(root), table)
        assert [photo.split for photo in dataset.photos] == [TRAIN, VALIDATION, TEST]
        assert dataset.labels == ("a", "b")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("file,split\na/1.jpg,train\n", "lacks 2 of the 3 photos, the first being 'a/2.jpg': make it anew"),
            ("", "lacks 3 of the 3 photos"),
            ("file,split\na/1.jpg,train\na/2.jpg,train\nb/3.jpg,dev\n", "expected one of train, .*, found 'dev'"),
            ("file,split\na/1.jpg,train\na/2.jpg\nb/3.jpg,test\n", "expected one of train, .*, found ''"),
        ],
    )
    def test_tables_that_do_not_fit(self, root: Path, text: str, message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            with_split(load_folder(root), self.table(root, text))

    def test_a_photo_that_cannot_be_read_may_be_missing(self, root: Path) -> None:
        """`roadclear split` cannot put such a photo into a group, and leaves it out."""
        (root / "a" / "2.jpg").write_bytes(photo(1)[:100])
        dataset = with_split(load_folder(root), self.table(root, "file,split\na/1.jpg,train\nb/3.jpg,test\n"))
        assert [(photo.file, photo.split) for photo in dataset.photos] == [
            ("a/1.jpg", TRAIN), ("a/2.jpg", None), ("b/3.jpg", TEST)
        ]  # fmt: skip

    def test_no_table(self, root: Path) -> None:
        with pytest.raises(DatasetError, match=r"^expected a split table at '.*', found none: make it with"):
            with_split(load_folder(root), root / "nothing.csv")


@pytest.mark.parametrize("table", ["manifest.csv", "sources.csv"])
def test_a_table_without_a_column_of_files_is_not_passed_over(tmp_path: Path, table: str) -> None:
    for label in ("crossing", "empty"):
        (tmp_path / label).mkdir()
    (tmp_path / table).write_text("file;scene\nempty/1.jpg;a\n")
    with pytest.raises(DatasetError, match="a column 'file'"):
        load_folder(tmp_path)
