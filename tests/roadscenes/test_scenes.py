"""Drawn scenes: the same from the same seed, told apart by people alone, and a model's heatmaps point at these."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from process import roadclear

from roadclear import RoadClassifier
from roadclear.data.near_duplicates.groups import look_alikes
from roadclear.data.near_duplicates.rules import COPY
from roadclear.images.phash import fingerprint
from roadscenes import BOXES_FILE, CROSSING, EMPTY, Box, draw_scene, write_scenes

pytestmark = pytest.mark.slow

TRAINED_ON, ASKED_ABOUT, SET = 160, 240, 300


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of scenes. For reading only."""
    folder = tmp_path_factory.mktemp("scenes") / "set"
    write_scenes(folder, SET)
    return folder


@pytest.fixture(scope="module")
def files(scenes: Path) -> list[Path]:
    """The set's files, in the order of their numbers."""
    return sorted(scenes.glob("*/*.jpg"), key=lambda file: file.name)


@pytest.fixture(scope="module")
def targets(files: list[Path]) -> NDArray[np.bool_]:
    return np.array([file.parent.name == CROSSING for file in files])


@pytest.fixture(scope="module")
def boxes(scenes: Path) -> dict[Path, list[Box]]:
    """What boxes.csv says, by file."""
    told: dict[Path, list[Box]] = defaultdict(list)
    with (scenes / BOXES_FILE).open(newline="") as table:
        for row in csv.DictReader(table):
            told[scenes / row["file"]].append(Box(*(int(row[side]) for side in ("x0", "y0", "x1", "y1"))))
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class TestScene:
    @pytest.mark.parametrize("crossing", [True, False])
    def test_equal_arguments_give_equal_scenes(self, crossing: bool) -> None:
        one, other = draw_scene(3, 7, crossing), draw_scene(3, 7, crossing)
        assert (one.image.tobytes(), one.label, one.boxes) == (other.image.tobytes(), other.label, other.boxes)

    def test_another_seed_or_number_gives_another_scene(self) -> None:
        assert len({draw_scene(*key, True).image.tobytes() for key in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4

    @pytest.mark.parametrize("number", range(8))
    def test_people_are_what_the_label_says(self, number: int) -> None:
        """Both labels have one street and one frame; only the road has people in it or not."""
        crossing, empty = (draw_scene(0, number, label) for label in (True, False))
        assert (crossing.label, empty.label) == (CROSSING, EMPTY)
        assert crossing.boxes and not empty.boxes
        assert crossing.image.size == empty.image.size
        difference = np.abs(np.asarray(crossing.image, int) - np.asarray(empty.image, int)).max(axis=2)
        assert 0.01 < (difference > 20).mean() < 0.5

    @pytest.mark.parametrize("number", range(8))
    def test_people_are_where_the_boxes_are(self, number: int) -> None:
        scene = draw_scene(0, number, True)
        width, height = scene.image.size
        for box in scene.boxes:
            assert 0 <= box.x0 < box.x1 <= width
            assert 0 <= box.y0 < box.y1 <= height


class TestSet:
    def test_both_labels_are_there(self, files: list[Path], targets: NDArray[np.bool_]) -> None:
        assert len(files) == SET
        assert targets.sum() == SET // 2

    @pytest.mark.parametrize(("share", "crossing"), [(0.5, 6), (0.25, 3), (0.9, 10)])
    def test_the_share_of_crossings(self, share: float, crossing: int, tmp_path: Path) -> None:
        files = write_scenes(tmp_path, 12, share_crossing=share)
        assert sum(file.parent.name == CROSSING for file in files) == crossing

    def test_the_number_of_processes_changes_no_byte(self, tmp_path: Path) -> None:
        for processes in (1, 2):
            write_scenes(tmp_path / str(processes), 12, processes=processes)
        one, other = (sorted((tmp_path / name).rglob("*.*")) for name in ("1", "2"))
        assert [file.name for file in one] == [file.name for file in other]
        assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]

    def test_the_same_arguments_give_the_same_bytes(self, scenes: Path, tmp_path: Path) -> None:
        """And a smaller set is the beginning of a larger one."""
        write_scenes(tmp_path / "again", 10)
        again, before = contents(tmp_path / "again"), contents(scenes)
        table = again.pop(BOXES_FILE)
        assert before[BOXES_FILE].startswith(table)
        assert all(before[name] == data for name, data in again.items())

    def test_the_table_has_the_people_of_every_crossing(self, boxes: dict[Path, list[Box]], files: list[Path]) -> None:
        assert set(boxes) == {file for file in files if file.parent.name == CROSSING}
        assert boxes[files[1]] == list(draw_scene(0, 1, files[1].parent.name == CROSSING).boxes)

    def test_most_people_are_large_enough_to_be_seen(self, boxes: dict[Path, list[Box]]) -> None:
        """By the tallest of each scene: a share of its height."""
        tallest = [max(box.y1 - box.y0 for box in of_file) / Image.open(file).height for file, of_file in boxes.items()]
        assert np.mean(np.array(tallest) > 0.2) > 0.85

    def test_no_two_are_taken_for_one_picture(self, files: list[Path]) -> None:
        squares = (Image.open(file).resize((224, 224), Image.Resampling.BOX) for file in files)
        fingerprints = np.array([fingerprint(np.asarray(square)) for square in squares])
        assert len(look_alikes(fingerprints, None, COPY)) == 0


def thumbnails(file: Path) -> list[float]:
    with Image.open(file) as image:
        return np.asarray(image.resize((8, 8), Image.Resampling.BOX), float).ravel().tolist()  # type: ignore[no-any-return]


def histograms(file: Path) -> list[float]:
    with Image.open(file) as image:
        levels = np.asarray(image)
    return [float(share) for c in range(3) for share in np.histogram(levels[..., c], 16, (0, 256))[0] / levels.size]


def file_size(file: Path) -> list[float]:
    return [float(file.stat().st_size)]


@pytest.mark.parametrize("cue", [thumbnails, histograms, file_size])
def test_trivial_cues_do_not_tell_the_labels_apart(
    cue: Callable[[Path], list[float]], files: list[Path], targets: NDArray[np.bool_]
) -> None:
    """Accuracy of a linear model, cross-validated in five parts; a coin has 50%."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(model, np.array([cue(file) for file in files]), targets, cv=parts).mean() < 0.65


@pytest.fixture(scope="module")
def classifier(files: list[Path], targets: NDArray[np.bool_]) -> RoadClassifier:
    """Trained on the first scenes, to be asked about later ones."""
    labels = np.where(targets, CROSSING, EMPTY)
    return RoadClassifier(head="linear", views=0).fit(files[:TRAINED_ON], labels[:TRAINED_ON])


class TestModel:
    def test_it_tells_the_labels_apart(
        self, classifier: RoadClassifier, files: list[Path], targets: NDArray[np.bool_]
    ) -> None:
        called = classifier.predict(files[TRAINED_ON:ASKED_ABOUT]) == CROSSING
        assert (called == targets[TRAINED_ON:ASKED_ABOUT]).mean() > 0.8

    @pytest.mark.parametrize("tolerance", [0, 1])
    def test_its_heatmaps_point_at_people(
        self, classifier: RoadClassifier, files: list[Path], boxes: dict[Path, list[Box]], tolerance: int
    ) -> None:
        """The pointing game (Zhang et al. 2018, section 4.2); a heatmap without a notion of people hits by chance."""
        hits, chances = [], []
        for file in files[TRAINED_ON:ASKED_ABOUT]:
            if file in boxes:
                heatmap = classifier.model_.explain(file).heatmap
                allowed = near_people(boxes[file], Image.open(file).size, heatmap.shape[0], tolerance)
                hits.append(allowed[np.unravel_index(heatmap.argmax(), heatmap.shape)])
                chances.append(allowed.mean())
        assert np.mean(hits) > np.mean(chances) + 0.2, (np.mean(hits), np.mean(chances))


def near_people(people: list[Box], size: tuple[int, int], cells: int, tolerance: int) -> NDArray[np.bool_]:
    """Cells [cells, cells] that touch a box, or lie so many cells from one that does."""
    near = np.zeros((cells, cells), dtype=bool)
    for box in people:
        left, right = box.x0 * cells // size[0] - tolerance, (box.x1 - 1) * cells // size[0] + tolerance
        top, bottom = box.y0 * cells // size[1] - tolerance, (box.y1 - 1) * cells // size[1] + tolerance
        near[max(0, top) : bottom + 1, max(0, left) : right + 1] = True
    return near


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"count": 1}, "expected a count of 2 scenes or more, found 1"),
            ({"count": 4, "seed": -1}, "expected a seed of 0 or above, found -1"),
            ({"count": 4, "share_crossing": 1.0}, "above 0 and below 1, found 1.0"),
        ],
    )
    def test_arguments(self, arguments: dict[str, float], told: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=told):
            write_scenes(tmp_path / "new", **arguments)  # type: ignore[arg-type]
        assert not (tmp_path / "new").exists()

    def test_a_folder_in_use(self, tmp_path: Path) -> None:
        (tmp_path / "note.txt").write_text("mine")
        with pytest.raises(FileExistsError, match=r"expected a new or an empty folder, found .* choose another name"):
            write_scenes(tmp_path, 4)
        assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


class TestCommand:
    def test_it_draws_and_says_what_to_do_next(self, tmp_path: Path) -> None:
        ended = roadclear("scenes", "drawn", "--count", "4", "--seed", "5", cwd=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        assert b"2 crossing and 2 empty scenes: drawn" in ended.out
        assert b"roadclear train drawn" in ended.out
        write_scenes(tmp_path / "called", 4, seed=5)
        assert contents(tmp_path / "drawn") == contents(tmp_path / "called")

    def test_a_folder_in_use_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "note.txt").write_text("mine")
        ended = roadclear("scenes", tmp_path, "--count", "4")
        assert ended.code == 1
        assert "choose another name" in ended.error()
