"""Triage: wrong labels are found, the table keeps every name, and nothing of a person's is overwritten."""

import csv
import io
import os
import shutil
from pathlib import Path

import pytest
from cases import hostile_photos, one_by_one

from roadclear.curation.decisions import read_decisions
from roadclear.curation.triage import Triage, check_out, triage, triage_table, write_triage
from roadclear.data.dataset import load_folder
from roadclear.errors import OptionError, OutputError
from roadclear.features.cache import open_cache
from roadclear.training.config import TrainSettings

FOUND = Triage(photos=0, labels=("empty", "crossing"), cases=(), label_issues=None, skipped=(), maps={})  # type: ignore[arg-type]


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
def test_the_table_keeps_every_name_and_is_a_table_of_decisions(tmp_path: Path) -> None:
    paths = hostile_photos(tmp_path)
    table = triage_table(one_by_one(paths))
    rows = list(csv.DictReader(io.StringIO(table.decode(errors="surrogateescape"), newline="")))
    assert list(rows[0]) == ["rank", "reason", "file", "label", "suggested", "probability", "decision", "sha256"]
    assert [row["file"] for row in rows] == [f"empty/{path.name}" for path in paths]
    assert {(row["reason"], row["label"], row["suggested"], row["probability"], row["decision"]) for row in rows} == {
        ("wrong-label", "empty", "crossing", "0.9300", "")
    }
    (tmp_path / "triage.csv").write_bytes(table)
    assert read_decisions(tmp_path / "triage.csv") == []


@pytest.mark.slow
def test_a_photo_under_the_wrong_label_is_listed_first(drawn_photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    shutil.copytree(drawn_photos, root)
    moved = root / "empty" / "moved.jpg"
    (root / "crossing" / "crossing-014.jpg").rename(moved)
    with open_cache(None) as cache:
        found = triage(load_folder(root), TrainSettings(size=96), cache, folds=3, repeats=1)
    assert (found.photos, found.labels, found.skipped) == (48, ("empty", "crossing"), ())
    first = found.cases[0].entries[0]
    assert (first.rank, first.photo.path, first.suggested) == (1, moved, "crossing")
    listed = [entry.photo.file for case in found.cases for entry in case.entries]
    assert len(listed) == len(set(listed))


def test_a_label_that_is_not_there(drawn_photos: Path) -> None:
    with open_cache(None) as cache, pytest.raises(OptionError, match="'bridge'"):
        triage(load_folder(drawn_photos), TrainSettings(positive="bridge"), cache)


def test_a_triage_is_replaced_only_when_asked(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "triage"
    photos.mkdir()
    write_triage(out, photos, FOUND, overwrite=False)
    assert sorted(path.name for path in out.iterdir()) == ["triage.csv", "triage.html"]
    with pytest.raises(OutputError, match="already there"):
        write_triage(out, photos, FOUND, overwrite=False)
    write_triage(out, photos, FOUND, overwrite=True)


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "thesis"
    photos.mkdir()
    out.mkdir()
    (out / "chapter.tex").write_text("mine")
    with pytest.raises(OutputError, match="holds other things than a triage"):
        check_out(out, photos, overwrite=True)
    with pytest.raises(OutputError, match="among the photos"):
        check_out(photos / "triage", photos, overwrite=True)


@pytest.mark.slow
def test_every_fold_may_fine_tune(drawn_photos: Path) -> None:
    pytest.importorskip("torch", reason="fine-tuning needs PyTorch")
    settings = TrainSettings(
        size=96, head="linear", positive="crossing", unfreeze=1, finetune_epochs=1, finetune_views=0, views=0, epochs=3
    )
    with open_cache(None) as cache:
        found = triage(load_folder(drawn_photos), settings, cache, folds=2, repeats=1)
        frozen = triage(
            load_folder(drawn_photos), TrainSettings(size=96, positive="crossing"), cache, folds=2, repeats=1
        )
    assert (found.photos, found.by_model) == (48, None)
    assert (found.label_issues.self_confidence != frozen.label_issues.self_confidence).all()
    assert set(found.maps) <= {photo.file for photo in load_folder(drawn_photos).photos}
