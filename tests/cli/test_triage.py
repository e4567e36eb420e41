"""`roadclear triage`, as a process of its own, on drawn photos of which some have the wrong label."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from folders import tree
from process import roadclear

from roadclear.cli.commands import app
from roadclear.errors import OptionError

pytestmark = pytest.mark.slow

PLANTED = ("crossing-003.jpg", "crossing-011.jpg", "empty-005.jpg", "empty-017.jpg")
QUICK = ("--repeats", "1")


@pytest.fixture
def root(drawn_photos: Path, tmp_path: Path) -> Path:
    """Drawn photos, four of them under the other label, and one that is no photo."""
    folder = tmp_path / "photos"
    shutil.copytree(drawn_photos, folder)
    for name in PLANTED:
        label = name.split("-")[0]
        other = "empty" if label == "crossing" else "crossing"
        (folder / label / name).rename(folder / other / name)
    return folder


def label_of(root: Path, name: str) -> str:
    (place,) = root.rglob(name)
    return place.parent.name


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "triage.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_planted_labels_are_found_put_right_and_put_back(root: Path, tmp_path: Path) -> None:
    before, out = tree(root), tmp_path / "out"
    ended = roadclear("triage", root, "--out", out, *QUICK)
    assert (ended.code, ended.err) == (0, "")
    assert tree(root) == before
    assert {path.name for path in out.iterdir()} == {"triage.csv", "triage.html"}
    assert f"roadclear triage {root} --apply decisions.csv" in ended.out.decode()
    rows = rows_of(out)
    doubtful = [Path(row["file"]).name for row in rows if row["reason"] == "wrong-label"]
    assert len(set(PLANTED) & set(doubtful)) >= 3

    decisions = tmp_path / "decisions.csv"
    with decisions.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        for row in rows:
            planted = Path(row["file"]).name in PLANTED
            writer.writerow(row | {"decision": f"move to {row['suggested']}" if planted and row["suggested"] else ""})
    ended = roadclear("triage", root, "--apply", decisions)
    assert (ended.code, ended.err) == (0, "")
    corrected = [name for name in PLANTED if label_of(root, name) == name.split("-")[0]]
    assert len(corrected) >= 3
    assert f"Moved to the other label: {len(corrected)}. Set aside: 0." in ended.out.decode()

    ended = roadclear("triage", root, "--undo")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.decode().strip() == f"{len(corrected)} photos were put back."
    assert tree(root) == before
    ended = roadclear("triage", root, "--undo")
    assert (ended.code, ended.err) == (0, "")
    assert f"No photo was moved since the last cleaning.   Undo the cleaning: roadclear clean {root} --restore" in str(
        ended.out, "utf-8"
    )


def test_the_same_twice_and_in_json(root: Path, tmp_path: Path) -> None:
    (root / "empty" / "broken.jpg").write_bytes(b"no photo")
    one = roadclear("triage", root, "--out", tmp_path / "one", *QUICK, "--json")
    other = roadclear("triage", root, "--out", tmp_path / "other", *QUICK, "--json")
    assert (one.code, other.code) == (3, 3)
    assert one.out == other.out
    assert (tmp_path / "one" / "triage.csv").read_bytes() == (tmp_path / "other" / "triage.csv").read_bytes()
    told = json.loads(one.out)
    assert [skipped["file"] for skipped in told["skipped"]] == ["empty/broken.jpg"]
    assert (told["photos"], told["positive"]) == (48, "crossing")
    assert [entry["rank"] for entry in told["entries"]] == list(range(1, len(told["entries"]) + 1))
    assert {entry["sha256"] for entry in told["entries"]} <= {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.jpg")
    }
    assert 0 < told["wrong_share"]["empty"] < 0.5


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--out", "{root}/triage"), 1, "would lie among the photos: choose another with --out"),
        (("--out", "{there}"), 1, "is already there: choose another name, or add --overwrite"),
        (("--out", "{there}", "--overwrite"), 1, "holds other things than a triage, and is left alone"),
        (("--folds", "1", "--out", "{new}"), 2, "expected at least 2 folds"),
        (("--head", "tall", "--out", "{new}"), 2, "head must be"),
        (("--apply", "{new}", "--undo"), 2, "--apply carries decisions out, --undo takes them back"),
        (("--apply", "{new}"), 1, "cannot read"),
    ],
)
def test_what_cannot_be_done(
    drawn_photos: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "thesis.txt").write_text("mine")
    names = {"root": drawn_photos, "there": there, "new": tmp_path / "new"}
    ended = roadclear("triage", drawn_photos, *(argument.format(**names) for argument in arguments))
    assert ended.code == code
    assert says in ended.error()
    assert (there / "thesis.txt").read_text() == "mine"


def test_what_was_left_is_told_and_the_exit_code_says_so(root: Path, tmp_path: Path) -> None:
    decisions = tmp_path / "decisions.csv"
    decisions.write_text(f"file,sha256,decision\nempty/gone.jpg,{'0' * 64},set aside\n")
    ended = roadclear("triage", root, "--apply", decisions, "--json")
    assert ended.code == 1
    told = json.loads(ended.out)
    assert told == {
        "relabelled": 0, "set_aside": 0, "earlier": 0, "left": [{"file": "empty/gone.jpg", "why": "is gone"}]
    }  # fmt: skip
    assert "empty/gone.jpg: is gone" in ended.err


def test_an_earlier_triage_is_replaced_when_asked(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "triage.csv").write_text("old")
    ended = roadclear("triage", root, "--out", out, "--overwrite", *QUICK)
    assert (ended.code, ended.err) == (0, "")
    assert (out / "triage.html").is_file()
    assert rows_of(out)


def test_unlabelled_photos_are_labelled_and_come_back(drawn_photos: Path, tmp_path: Path) -> None:
    photos, new, out = tmp_path / "photos", tmp_path / "new", tmp_path / "out"
    for label in ("crossing", "empty"):
        (photos / label).mkdir(parents=True)
        (new / "camera").mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(sorted((drawn_photos / label).iterdir())[:14]):
            shutil.copy(file, photos / label if number < 6 else new / "camera")
    before = tree(photos), tree(new)
    ended = roadclear("triage", photos, "--unlabelled", new, "--at-most", "5", "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert f"roadclear triage {photos} --unlabelled {new} --apply decisions.csv" in ended.out.decode()
    rows = rows_of(out)
    assert [(row["reason"], row["label"]) for row in rows] == [("label-next", "")] * 5
    with (out / "triage.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0].keys())
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {"decision": f"move to {Path(row['file']).name.split('-')[0]}"})
    ended = roadclear("triage", photos, "--unlabelled", new, "--apply", out / "triage.csv", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {"labelled": 5, "set_aside": 0, "earlier": 0, "left": []}
    assert all((photos / Path(row["file"]).name.split("-")[0] / row["file"]).is_file() for row in rows)
    ended = roadclear("triage", photos, "--undo")
    assert f"were moved here from {new}" in ended.out.decode()
    ended = roadclear("triage", photos, "--unlabelled", new, "--undo")
    assert (ended.code, ended.out.decode()) == (0, "5 photos were put back.\n")
    assert tree(new) == before[1]


def test_a_model_sorts_photos_without_a_label(drawn_photos: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for number, file in enumerate(sorted((drawn_photos / "crossing").iterdir())[:3]):
        shutil.copy(file, new / f"{number}.jpg")
    out = tmp_path / "out"
    ended = roadclear("triage", "--model", "stock", "--unlabelled", new, "--out", out, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert (found["photos"], found["labelled"], found["model"], found["positive"]) == (3, 0, "stock", "crossing")
    assert {entry["reason"] for entry in found["entries"]} <= {"unsure", "proposal"}
    assert f"roadclear triage PHOTOS --unlabelled {new} --apply" in (out / "triage.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), "expected a folder of photos, found none: roadclear triage PHOTOS, or roadclear triage --model RUN"),
        (("--model", "stock"), "expected a folder of photos, found none"),
        (("--unlabelled", "new"), "found none: name PHOTOS with labelled photos, or --model RUN"),
        (("photos", "--at-most", "5"), "expected --unlabelled DIR, found none"),
        (("photos", "--unlabelled", "new", "--folds", "3"), "--folds has no effect with --unlabelled"),
        (("photos", "--unlabelled", "new", "--repeats", "3"), "--repeats has no effect with --unlabelled"),
        (("photos", "--unlabelled", "new", "--head", "dense"), "--head has no effect with --unlabelled"),
        (("photos", "--unlabelled", "new", "--unfreeze", "4"), "--unfreeze has no effect with --unlabelled"),
        (("photos", "--unlabelled", "new", "--group-by", "x"), "--group-by has no effect with --unlabelled"),
        (("photos", "--model", "stock", "--apply", "a.csv"), "expected no --model, leave it out"),
        (("photos", "--at-most", "5", "--undo"), "expected no --at-most, leave it out"),
        (("--unlabelled", "new", "--apply", "a.csv"), "expected PHOTOS, the folder with the labels, found none"),
        (("photos", "--apply", "a.csv", "--undo"), "expected one or the other"),
    ],
)
def test_wrong_combinations(words: tuple[str, ...], found: str) -> None:
    with pytest.raises(OptionError, match=re.escape(found)):
        app(["triage", *words], standalone_mode=False)
