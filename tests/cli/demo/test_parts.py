"""What the demonstration does beside the commands: planting, copying, counting, pointing, and claiming a folder."""

import csv
import os
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from folders import LABELS, messy_folder, photo, tree, write_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from roadclear.cli.demo.copying import copy_photos
from roadclear.cli.demo.folder import MARKER, claimed, write_marker
from roadclear.cli.demo.planting import Kind, Plant, plant, write_plants
from roadclear.cli.demo.pointing import read_boxes, touched_places
from roadclear.cli.demo.scoring import score_cleaning, score_triage, write_decisions
from roadclear.curation.decisions import Decision, read_decisions
from roadclear.curation.journal import Move, write_journal
from roadclear.data.dataset import JOURNAL, load_folder
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import decode, read_bytes

PER_LABEL = 24
PHOTOS = {f"{label}/p{n:02}.png": photo(100 * k + n) for k, label in enumerate(LABELS) for n in range(PER_LABEL)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photos", PHOTOS)


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class TestPlanting:
    @given(seed=st.integers(0, 2**32), per_label=st.integers(10, PER_LABEL))
    @settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_list_is_exactly_what_differs(
        self, tmp_path_factory: pytest.TempPathFactory, seed: int, per_label: int
    ) -> None:
        before = {file: data for file, data in PHOTOS.items() if int(file[-6:-4]) < per_label}
        root = write_folder(tmp_path_factory.mktemp("planted"), before)
        plants = plant(root, seed)
        after = contents(root)
        moved = {one.original for one in plants if one.kind == Kind.WRONG_LABEL}
        assert set(after) - set(before) == {one.file for one in plants}
        assert set(before) - set(after) == moved
        assert all(after[file] == before[file] for file in set(before) - moved)
        assert {one.kind for one in plants} == set(Kind)
        originals = [one.original for one in plants if one.original]
        assert len(originals) == len(set(originals))
        assert all(one.true_label == one.original.split("/")[0] for one in plants if one.original)

    def test_a_seed_plants_the_same_and_another_does_not(self, tmp_path: Path) -> None:
        folders = [write_folder(tmp_path / name, PHOTOS) for name in "abc"]
        lists = [plant(folder, seed) for folder, seed in zip(folders, (7, 7, 8), strict=True)]
        assert lists[0] == lists[1] != lists[2]
        assert contents(folders[0]) == contents(folders[1])

    def test_shares_grow_with_the_folder(self, root: Path) -> None:
        counts = Counter(one.kind for one in plant(root, 0))
        assert counts == Counter(dict.fromkeys(Kind, 1) | {Kind.WRONG_LABEL: 2})

    @pytest.mark.parametrize("kind", Kind)
    def test_every_fault_is_what_its_name_says(self, root: Path, kind: Kind) -> None:
        one = next(one for one in plant(root, 1) if one.kind == kind)
        data = (root / one.file).read_bytes()
        label = one.file.split("/")[0]
        assert label in LABELS
        assert (label == one.true_label) == (kind not in {Kind.BOTH_LABELS, Kind.WRONG_LABEL} and one.true_label != "")
        if kind in {Kind.DUPLICATE, Kind.BOTH_LABELS, Kind.WRONG_LABEL}:
            assert data == PHOTOS[one.original]
        elif kind in {Kind.RECODED, Kind.RESIZED, Kind.MIRRORED}:
            self.check_look_alike(kind, data, PHOTOS[one.original])
        else:
            assert (one.file.endswith(".txt"), data == b"") == (kind == Kind.TEXT, kind == Kind.EMPTY)
            with pytest.raises(PhotoError):
                decode(read_bytes(root / one.file))

    @staticmethod
    def check_look_alike(kind: Kind, data: bytes, original: bytes) -> None:
        image = Image.open(BytesIO(data))
        assert image.format == "JPEG"
        assert image.size == ((77, 64) if kind == Kind.RESIZED else (96, 80))
        if kind == Kind.MIRRORED:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        as_before = np.asarray(image.resize((96, 80)), dtype=float)
        assert np.abs(as_before - decode(original)).mean() < 8

    def test_what_cannot_be_read_is_no_original_and_stays(self, tmp_path: Path) -> None:
        root = messy_folder(tmp_path / "photos")
        before = tree(root)
        write_folder(root, PHOTOS)
        plants = plant(root, 3)
        after = tree(root)
        readable = {*PHOTOS, "crossing/good.png", "empty/good.png", "empty/small.png", "empty/blank.jpg"}
        readable |= {"crossing/same.bmp", "crossing/both.png", "empty/both.png"}
        assert {one.original for one in plants} - {""} <= readable
        moved = {one.original for one in plants if one.kind == Kind.WRONG_LABEL}
        folders = {*LABELS, "crossing/nested"}
        assert all(after[file] == before[file] for file in set(before) - moved - folders)

    def test_the_same_name_under_the_other_label_is_not_written_over(self, tmp_path: Path) -> None:
        names = {f"{label}/{n}.png": photo(100 * k + n) for k, label in enumerate(LABELS) for n in range(PER_LABEL)}
        root = write_folder(tmp_path / "photos", names)
        plants = plant(root, 0)
        assert len(contents(root)) == len(names) + sum(one.kind != Kind.WRONG_LABEL for one in plants)

    def test_photos_in_parts_stay_in_their_part(self, tmp_path: Path) -> None:
        files = {f"{part}/{file}": data for part in ("train", "test") for file, data in PHOTOS.items()}
        root = tmp_path / "photos"
        for file, data in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
        for one in plant(root, 0):
            part, label, _ = one.file.split("/")
            assert (part in {"train", "test"}, label in LABELS) == (True, True)
            assert one.original.split("/")[0] in {part, ""}

    def test_too_few_photos_are_told(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "photos", dict(list(PHOTOS.items())[:3]))
        with pytest.raises(DatasetError, match="expected more photos"):
            plant(root, 0)

    def test_the_table_keeps_names_of_any_bytes(self, tmp_path: Path) -> None:
        odd = os.fsdecode(b'empty/odd \xff\n",.jpg')
        write_plants(tmp_path / "planted.csv", [Plant(odd, Kind.WRONG_LABEL, "crossing", "crossing/a.jpg")])
        with (tmp_path / "planted.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            header, row = csv.reader(lines)
        assert header == ["file", "what", "true_label", "original"]
        assert row == [odd, "wrong label", "crossing", "crossing/a.jpg"]


class TestCopying:
    def test_the_source_stays_and_the_copies_are_the_same(self, root: Path, tmp_path: Path) -> None:
        (root / "manifest.csv").write_text("file,scene\ncrossing/p00.png,a\n")
        before = tree(root)
        assert copy_photos(root, tmp_path / "copy", 1000, 0) == 2 * PER_LABEL
        assert contents(tmp_path / "copy") == contents(root)
        assert tree(root) == before
        assert (tmp_path / "copy/empty/p00.png").stat().st_ino != (root / "empty/p00.png").stat().st_ino

    def test_a_sample_has_both_labels_in_their_shares_and_comes_from_a_seed(self, tmp_path: Path) -> None:
        files = {f"{LABELS[n % 3 == 0]}/{n}.png": b"%d" % n for n in range(300)}
        root = write_folder(tmp_path / "photos", files)
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            copy_photos(root, tmp_path / name, 90, seed)
        found = [contents(tmp_path / name) for name in "abc"]
        assert found[0] == found[1] != found[2]
        assert Counter(file.split("/")[0] for file in found[0]) == {"crossing": 60, "empty": 30}

    @pytest.mark.skipif(os.name != "posix", reason="makes pipes")
    def test_pipes_and_links_to_nowhere_are_passed_over(self, tmp_path: Path) -> None:
        root = messy_folder(tmp_path / "photos")
        write_folder(root, PHOTOS)
        before = tree(root)
        copied = copy_photos(root, tmp_path / "copy", 1000, 0)
        copies = tree(tmp_path / "copy")
        assert tree(root) == before
        assert copied == len(load_folder(tmp_path / "copy").photos)
        assert not any("pipe" in file or "link" in file for file in copies)

    def test_too_few_of_a_label_are_told(self, tmp_path: Path) -> None:
        files = {file: data for file, data in PHOTOS.items() if file.startswith("crossing") or file < "empty/p19"}
        root = write_folder(tmp_path / "photos", files)
        with pytest.raises(DatasetError, match=r"at least 20 photos of each label .* found 19 of 'empty'"):
            copy_photos(root, tmp_path / "copy", 100, 0)
        assert not (tmp_path / "copy").exists()


PLANTS = [
    Plant("crossing/IMG_1.jpg", Kind.DUPLICATE, "crossing", "crossing/a.jpg"),
    Plant("crossing/IMG_2.jpg", Kind.EMPTY, "", ""),
    Plant("empty/IMG_3.jpg", Kind.BOTH_LABELS, "crossing", "crossing/b.jpg"),
    Plant("empty/c.jpg", Kind.WRONG_LABEL, "crossing", "crossing/c.jpg"),
]


class TestScoring:
    @pytest.mark.parametrize(
        ("gone", "found", "innocent"),
        [
            ([], [], []),
            (["crossing/IMG_1.jpg"], [Kind.DUPLICATE], []),
            (["crossing/a.jpg"], [Kind.DUPLICATE], []),
            (["crossing/a.jpg", "crossing/IMG_1.jpg"], [Kind.DUPLICATE], ["crossing/a.jpg"]),
            (["crossing/IMG_2.jpg"], [Kind.EMPTY], []),
            (["crossing/b.jpg", "empty/IMG_3.jpg"], [Kind.BOTH_LABELS], []),
            (["empty/c.jpg"], [Kind.WRONG_LABEL], []),
            (["empty/d.jpg", "crossing/c.jpg"], [], ["crossing/c.jpg", "empty/d.jpg"]),
        ],
        ids=["nothing", "the copy", "its original", "both", "broken", "a conflict", "wrong label", "innocents"],
    )
    def test_cleaning(self, tmp_path: Path, gone: list[str], found: list[Kind], innocent: list[str]) -> None:
        moves = [Move("now", "duplicate", "", "", file, f".quarantine/x/{file}", "", "") for file in gone]
        relabelled = Move("now", "relabelled", "", "", "empty/e.jpg", "crossing/e.jpg", "", "")
        write_journal(tmp_path, [*moves, relabelled])
        cleaned = score_cleaning(PLANTS, tmp_path)
        assert (tmp_path / JOURNAL).is_file()
        assert cleaned.planted == Counter(one.kind for one in PLANTS)
        assert +cleaned.found == Counter(found)
        assert list(cleaned.innocent) == innocent
        assert len(cleaned.mislabelled) == (Kind.WRONG_LABEL not in found)

    def test_triage(self, tmp_path: Path) -> None:
        wrong = [Plant(f"empty/{n}.jpg", Kind.WRONG_LABEL, "crossing", f"crossing/{n}.jpg") for n in range(4)]
        rows = ["file,reason,sha256"]
        listed = [("empty/0.jpg", "wrong-label"), ("empty/9.jpg", "wrong-label"), ("empty/2.jpg", "unsure")]
        rows += [f"{file},{reason},{n:064x}" for n, (file, reason) in enumerate(listed)]
        (tmp_path / "triage.csv").write_text("\n".join(rows))
        found = score_triage(wrong, tmp_path / "triage.csv")
        assert (found.suspects, found.caught, found.listed) == (2, (wrong[0],), (wrong[0], wrong[2]))
        write_decisions(tmp_path / "decisions.csv", found.listed, tmp_path / "triage.csv")
        assert read_decisions(tmp_path / "decisions.csv") == [
            Decision("empty/0.jpg", f"{0:064x}", "crossing"),
            Decision("empty/2.jpg", f"{2:064x}", "crossing"),
        ]


class TestPointing:
    @pytest.mark.parametrize(
        ("box", "touched"),
        [
            ((0, 0, 80, 40), ["XXXX", "XXXX"]),
            ((0, 0, 20, 20), ["X...", "...."]),
            ((19, 19, 21, 21), ["XX..", "XX.."]),
            ((79, 39, 80, 40), ["....", "...X"]),
            ((20, 5, 60, 6), [".XX.", "...."]),
        ],
    )
    def test_places_that_a_box_touches(self, box: tuple[int, ...], touched: list[str]) -> None:
        found = touched_places(np.array([box], dtype=float), (80, 40), (2, 4))
        assert ["".join("X" if one else "." for one in row) for row in found] == touched

    def test_boxes_are_known_by_the_photos_names(self, tmp_path: Path) -> None:
        (tmp_path / "boxes.csv").write_text("file,label,x0,y0,x1,y1\ncrossing/a.jpg,crossing,1,2,3,4\n")
        assert {name: boxes.tolist() for name, boxes in read_boxes(tmp_path / "boxes.csv").items()} == {
            "a.jpg": [[1, 2, 3, 4]]
        }


class TestFolder:
    def test_an_interrupted_demo_is_begun_again_and_a_finished_one_on_request(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "out"
        with claimed(out, None, overwrite=False):
            write_folder(out / "photos", {"crossing/a.jpg": b"a"})
        (out / "mine.txt").write_bytes(b"mine")
        with claimed(out, None, overwrite=False):
            assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == [MARKER, "mine.txt"]
            (out / "grid.png").write_bytes(b"picture")
            write_marker(out, finished=True)
        with pytest.raises(OutputError, match="has a finished demo"), claimed(out, None, overwrite=False):
            pass
        assert (out / "grid.png").exists()
        with claimed(out, None, overwrite=True):
            assert not (out / "grid.png").exists()

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        with (
            claimed(tmp_path / "out", None, overwrite=False),
            pytest.raises(OutputError, match="another roadclear command is at work"),
            claimed(tmp_path / "out", None, overwrite=True),
        ):
            pass

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_other_things_are_left_alone(self, root: Path, overwrite: bool) -> None:
        before = tree(root)
        for out in (root, root / "crossing" / "p00.png"):
            with pytest.raises(OutputError, match="is left unchanged"), claimed(out, None, overwrite):
                pass
        assert tree(root) == before

    @pytest.mark.parametrize("out", ["photos", "photos/demo", "."])
    def test_it_never_overlaps_with_a_persons_photos(self, root: Path, out: str) -> None:
        before = tree(root)
        place = root.parent / out
        with pytest.raises(OutputError, match="overlap"), claimed(place, root, overwrite=True):
            pass
        assert tree(root) == before
