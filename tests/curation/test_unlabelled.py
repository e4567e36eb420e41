"""Unlabelled photos are predicted, the most useful come first, and near copies come last."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_model

from roadclear.curation.cases import Entry, TriageReason
from roadclear.curation.triage import write_proposals
from roadclear.curation.unlabelled import Proposals, propose, rank
from roadclear.data.dataset import LabelledPhoto, load_folder
from roadclear.data.discovery import find_photos
from roadclear.errors import DatasetError, OptionError
from roadclear.features.cache import open_cache
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.session import Session
from roadclear.utils.paths import default_cache_path

SETTINGS = TrainSettings(size=96)


@pytest.fixture(scope="module")
def folders(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight labelled photos, and 24 unlabelled ones with a copy of a labelled one and a file that is no photo."""
    base = tmp_path_factory.mktemp("unlabelled")
    root, new = base / "photos", base / "new"
    for label in ("crossing", "empty"):
        (root / label).mkdir(parents=True)
        (new / label[:1]).mkdir(parents=True)
        files = sorted((drawn_photos / label).iterdir())
        for number, file in enumerate(files[:16]):
            shutil.copy(file, root / label if number < 4 else new / label[:1])
    shutil.copy(next((root / "empty").iterdir()), new / "copy.jpg")
    (new / "notes.txt").write_text("no photo")
    return root, new


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(drawn_model("linear", size=96, band=(0.3, 0.6)))
    return path


def proposals(
    photos: Path | None, new: Path, settings: TrainSettings = SETTINGS, at_most: int | None = None
) -> Proposals:
    with open_cache(default_cache_path()) as cache:
        return propose(photos, new, settings, cache, at_most)


def entries(found: Proposals) -> list[Entry]:
    return [entry for case in found.cases for entry in case.entries]


def test_photos_are_listed_once_with_the_copy_at_the_end(folders: tuple[Path, Path]) -> None:
    root, new = folders
    found = proposals(root, new)
    listed = entries(found)
    assert (found.photos, found.labelled, found.labels, found.model) == (25, 8, ("empty", "crossing"), None)
    assert [entry.rank for entry in listed] == list(range(1, 26))
    assert len({entry.photo.file for entry in listed}) == 25
    (copied,) = (entry for entry in listed if entry.photo.file == "copy.jpg")
    assert copied.rank > 25 - found.copies
    assert copied.why.startswith("looks like empty/") and copied.why.endswith(", which has a label")
    assert {entry.reason for entry in listed} == {TriageReason.LABEL_NEXT}
    assert {entry.photo.label for entry in listed} == {""}
    assert all((entry.suggested == "crossing") == (entry.probability >= 0.5) for entry in listed)
    assert [skipped.file.name for skipped in found.skipped] == ["notes.txt"]
    assert set(found.maps) == {entry.photo.file for entry in listed}


def test_a_session_ranks_as_the_command_does(folders: tuple[Path, Path]) -> None:
    root, new = folders
    found = proposals(root, new)
    unlabelled = [LabelledPhoto(path, path.relative_to(new).as_posix(), "") for path in find_photos([new])]
    with open_cache(default_cache_path()) as cache:
        read = Session(SETTINGS, cache).read([*load_folder(root).photos, *unlabelled])
    ranking = rank(read, ("empty", "crossing"), 50, SETTINGS.seed)
    assert list(ranking.entries) == entries(found)
    with pytest.raises(DatasetError, match="'crossing'"):
        rank(replace(read, photos=tuple(replace(one, label="empty") for one in read.photos)), found.labels, 50, 0)


def test_at_most_so_many_photos_are_listed(folders: tuple[Path, Path]) -> None:
    found = proposals(*folders, at_most=6)
    assert len(entries(found)) == 6
    assert "copy.jpg" not in {entry.photo.file for entry in entries(found)}
    assert [entry.photo.file for entry in entries(proposals(*folders, at_most=6))] == [
        entry.photo.file for entry in entries(found)
    ]


def test_a_model_predicts_without_any_label(folders: tuple[Path, Path], model: Path) -> None:
    _, new = folders
    found = proposals(None, new, replace(SETTINGS, weights=str(model)))
    listed = entries(found)
    assert (len(listed), found.labelled, found.model) == (25, 0, model.parent.name)
    judge = Model(model.read_bytes())
    for entry in listed[:5]:
        predicted = judge.predict(entry.photo.path)
        assert entry.probability == pytest.approx(predicted.probability, abs=1e-4)
        assert entry.suggested == predicted.label
        assert entry.reason == (TriageReason.UNSURE if predicted.unsure else TriageReason.PROPOSAL)


def test_a_folder_for_the_labels_may_be_missing_or_empty(
    folders: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, weights=str(model))
    (tmp_path / "empty").mkdir()
    for photos in (tmp_path / "missing", tmp_path / "empty"):
        assert proposals(photos, folders[1], settings, 3).labelled == 0
    assert proposals(folders[0], folders[1], settings, 3).labelled == 8


def test_what_cannot_be_predicted_with_is_refused(folders: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    root, new = folders
    for label in ("bridge", "river"):
        (tmp_path / "others" / label).mkdir(parents=True)
    (tmp_path / "half" / "crossing").mkdir(parents=True)
    (tmp_path / "half" / "empty").mkdir()
    shutil.copy(next((root / "empty").iterdir()), tmp_path / "half" / "empty")
    (tmp_path / "bare").mkdir()
    with_model = replace(SETTINGS, weights=str(model))
    with pytest.raises(DatasetError, match=r"expected labelled photos of 'crossing' .* found none: label some"):
        proposals(tmp_path / "half", new)
    with pytest.raises(DatasetError, match="expected label folders 'crossing' and 'empty'"):
        proposals(tmp_path / "others", new, with_model)
    with pytest.raises(OptionError, match="positive must be that of the model, 'crossing', got 'empty'"):
        proposals(root, new, replace(with_model, positive="empty"))
    with pytest.raises(OptionError, match="expected labelled photos or an earlier model, found neither"):
        proposals(None, new)
    with pytest.raises(DatasetError, match=r"expected photos that can be read .* found none"):
        proposals(root, tmp_path / "bare")


def test_the_table_and_the_page_are_written(folders: tuple[Path, Path], tmp_path: Path) -> None:
    root, new = folders
    write_proposals(tmp_path / "out", root, proposals(root, new, at_most=2), overwrite=False)
    rows = (tmp_path / "out" / "triage.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["rank", "reason"], ["1", "label-next"], ["2", "label-next"]]
    assert f"--unlabelled {new} --apply" in (tmp_path / "out" / "triage.html").read_text()


def test_maps_add_up_to_the_log_odds_but_for_the_offset(folders: tuple[Path, Path]) -> None:
    found = proposals(*folders, at_most=10)
    listed = entries(found)
    logits = np.array([np.log(entry.probability / (1 - entry.probability)) for entry in listed])
    sums = np.array([found.maps[entry.photo.file].sum() for entry in listed])
    assert np.ptp(logits - sums) == pytest.approx(0, abs=1e-2)


def test_a_fine_tuned_backbone_says_nothing_about_near_copies(folders: tuple[Path, Path]) -> None:
    """Photos of one label lie close together there. Only the hashes tell copies."""
    found = proposals(folders[0], folders[1], TrainSettings(weights="stock"))
    looks_alike = [entry for entry in entries(found) if entry.why.startswith("looks like")]
    assert found.model == "stock"
    assert len(looks_alike) == found.copies < 13
    assert "copy.jpg" in {entry.photo.file for entry in looks_alike}
