"""Files are moved out of the way and back, and nothing is ever lost."""

import csv
import os
import re
import resource
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import make_corpus
from folders import LABELS, drop_privileges, files_by_identity, messy_folder, photo, run_forked, tree, write_folder

from roadclear.curation.clean import Cleaning, clean, examine, restore
from roadclear.curation.rules import CleanRules
from roadclear.errors import DatasetError, OutputError
from roadclear.features.cache import FeatureCache, open_cache

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes, and files without permissions")

RULES = CleanRules(look_alikes=False)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "cache.sqlite") as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return messy_folder(tmp_path / "photos")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def journal(root: Path) -> list[dict[str, str]]:
    with (root / "cleaning.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))


def visible(root: Path) -> set[str]:
    return {file for file in tree(root) if not file.startswith((".quarantine", "cleaning.csv"))}


def test_what_does_not_belong_lies_under_its_reason_and_its_old_path(root: Path, cache: FeatureCache) -> None:
    before = tree(root)
    cleaning = clean(root, RULES, cache)
    moved = {
        ".quarantine/blank/empty/blank.jpg",
        ".quarantine/conflicting-label/crossing/both.png",
        ".quarantine/conflicting-label/empty/both.png",
        ".quarantine/duplicate/crossing/good.png",
        ".quarantine/too-small/empty/small.png",
        ".quarantine/unreadable/crossing/cut.png",
        ".quarantine/unreadable/crossing/empty.jpg",
        ".quarantine/unreadable/crossing/link.jpg",
        ".quarantine/unreadable/crossing/nested/empty.jpg",
        ".quarantine/unreadable/empty/folder.jpg",
        os.fsdecode(b'.quarantine/unreadable/empty/odd \xff\n".jpg'),
        ".quarantine/unreadable/empty/pipe.jpg",
    }
    after = tree(root)
    for place in moved:
        assert after[place] == before[place.split("/", 2)[2]]
    assert cleaning.left == ()
    assert len(cleaning.findings) == len(moved)
    assert visible(root) == {
        *LABELS, "crossing/same.bmp", "crossing/nested", "empty/good.png", "manifest.csv", "sources.csv"
    }  # fmt: skip
    assert {row["to"] for row in journal(root)} == moved


def test_the_journal_says_when_what_why_and_where(root: Path, cache: FeatureCache) -> None:
    clean(root, RULES, cache)
    rows = {row["from"]: row for row in journal(root)}
    duplicate = rows["crossing/good.png"]
    assert list(duplicate) == ["moved_at", "reason", "detail", "label", "from", "to", "sha256", "kept"]
    assert duplicate["moved_at"].endswith("+00:00")
    assert (duplicate["label"], duplicate["kept"]) == ("crossing", "crossing/same.bmp")
    assert duplicate["detail"] == "same pixels as crossing/same.bmp"
    assert len(duplicate["sha256"]) == 64
    assert rows["crossing/nested/empty.jpg"]["detail"] == "the file is empty"
    assert rows[os.fsdecode(b'empty/odd \xff\n".jpg')]["reason"] == "unreadable"


def test_restoring_puts_everything_back(root: Path, cache: FeatureCache) -> None:
    before = tree(root)
    findings = clean(root, RULES, cache).findings
    assert restore(root).restored == len(findings)
    assert tree(root) == before
    assert restore(root).restored == 0
    assert tree(root) == before


@pytest.mark.slow
def test_the_whole_corpus_goes_and_comes_back(tmp_path: Path, cache: FeatureCache) -> None:
    root = write_folder(tmp_path / "photos", {})
    make_corpus(root / "crossing")
    before = tree(root)
    cleaning = clean(root, RULES, cache)
    assert cleaning.left == ()
    assert files_by_identity(root) == sorted(
        identity for mode, identity, *_ in before.values() if not stat.S_ISDIR(mode)
    )  # type: ignore[arg-type]
    restore(root)
    assert tree(root) == before


def test_cleaning_a_clean_folder_changes_nothing(tmp_path: Path, cache: FeatureCache) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "empty/a.png": photo(2)})
    before = tree(root)
    assert clean(root, RULES, cache).findings == ()
    assert tree(root) == before


def test_a_later_run_adds_to_the_journal_and_keeps_names_apart(root: Path, cache: FeatureCache) -> None:
    first = len(clean(root, RULES, cache).findings)
    (root / "crossing" / "cut.png").write_bytes(b"another")
    clean(root, RULES, cache)
    assert (root / ".quarantine/unreadable/crossing/cut.png").read_bytes() == photo(3)[:200]
    assert (root / ".quarantine/unreadable-2/crossing/cut.png").read_bytes() == b"another"
    assert len(journal(root)) == first + 1


def test_a_folder_where_a_file_was_quarantined_keeps_apart(root: Path, cache: FeatureCache) -> None:
    clean(root, RULES, cache)
    (root / "crossing" / "link.jpg.d").mkdir()
    quarantined = root / ".quarantine/unreadable/crossing/link.jpg.d"
    quarantined.write_bytes(b"a file in the place of a folder")
    (root / "crossing" / "link.jpg.d" / "x").write_bytes(b"")
    assert clean(root, RULES, cache).left == ()
    assert (root / ".quarantine/unreadable-2/crossing/link.jpg.d/x").exists()


def test_restoring_overwrites_nothing(root: Path, cache: FeatureCache) -> None:
    before = tree(root)
    count = len(clean(root, RULES, cache).findings)
    (root / "crossing" / "cut.png").write_bytes(b"since appeared")
    restoring = restore(root)
    assert restoring.restored == count - 1
    assert [(left.file, left.why) for left in restoring.left] == [
        (
            ".quarantine/unreadable/crossing/cut.png",
            "there is another crossing/cut.png now: move one of them away",
        )
    ]
    assert (root / "crossing" / "cut.png").read_bytes() == b"since appeared"
    (root / "crossing" / "cut.png").unlink()
    assert restore(root).left == ()
    assert tree(root) == before


def test_restoring_makes_a_folder_that_is_gone(root: Path, cache: FeatureCache) -> None:
    before = tree(root)
    clean(root, RULES, cache)
    (root / "crossing" / "nested").rmdir()
    restore(root)
    assert set(tree(root)) == set(before)


def test_a_file_deleted_in_quarantine_is_gone_and_the_rest_comes_back(root: Path, cache: FeatureCache) -> None:
    before = tree(root)
    clean(root, RULES, cache)
    (root / ".quarantine/unreadable/crossing/cut.png").unlink()
    assert restore(root).left == ()
    assert set(before) - set(tree(root)) == {"crossing/cut.png"}


def test_a_folder_can_be_moved_away_and_restored_there(root: Path, cache: FeatureCache, tmp_path: Path) -> None:
    before = tree(root)
    clean(root, RULES, cache)
    root.rename(tmp_path / "elsewhere")
    restore(tmp_path / "elsewhere")
    assert tree(tmp_path / "elsewhere") == before


def test_a_file_that_vanishes_before_it_is_moved_is_no_trouble(root: Path, cache: FeatureCache) -> None:
    def remove_one(stage: str, done: int, total: int) -> None:
        if done == total:
            (root / "crossing" / "cut.png").unlink()

    cleaning = clean(root, RULES, cache, remove_one)
    assert cleaning.left == ()
    assert "crossing/cut.png" not in {row["from"] for row in journal(root)}


@pytest.mark.parametrize("root_exists", [True, False])
def test_not_a_labelled_folder(tmp_path: Path, cache: FeatureCache, root_exists: bool) -> None:
    if root_exists:
        (tmp_path / "photos" / "only one label").mkdir(parents=True)
    with pytest.raises(DatasetError, match="expected"):
        clean(tmp_path / "photos", RULES, cache)
    if not root_exists:
        with pytest.raises(DatasetError, match="expected a folder of photos"):
            restore(tmp_path / "photos")
    assert root_exists == (tmp_path / "photos").exists()


@pytest.mark.parametrize("name", [".quarantine", ".quarantine/unreadable"])
def test_a_quarantine_that_is_no_folder(root: Path, cache: FeatureCache, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"in the way")
    if name == ".quarantine":
        with pytest.raises(OutputError, match=r"expected a folder at .*, found a file or a link"):
            clean(root, RULES, cache)
    else:
        assert clean(root, RULES, cache).left == ()
    assert (root / name).read_bytes() == b"in the way"


def test_a_quarantine_without_its_journal_is_told(root: Path, cache: FeatureCache) -> None:
    clean(root, RULES, cache)
    (root / "cleaning.csv").unlink()
    with pytest.raises(DatasetError, match="move them back by hand"):
        restore(root)


def clean_as_nobody(root: Path) -> Cleaning:
    drop_privileges()
    with open_cache(None) as cache:
        return clean(root, RULES, cache)


def test_a_file_without_permission_is_moved_unread(open_folder: Path) -> None:
    root = write_folder(open_folder / "photos", {"crossing/secret.png": photo(1), "empty/good.png": photo(2)})
    (root / "crossing" / "secret.png").chmod(0)
    for folder in (root, *(root / label for label in LABELS)):
        folder.chmod(0o777)

    def details() -> list[str]:
        return [finding.detail for finding in clean_as_nobody(root).findings]

    assert run_forked(details) == (0, "['no permission to read it']")
    assert (root / ".quarantine/unreadable/crossing/secret.png").exists()
    restore(root)
    assert (root / "crossing" / "secret.png").read_bytes() == photo(1)


@pytest.mark.parametrize(
    ("read_only", "expected"),
    [
        ("", "OutputError: cannot write in .*: Permission denied; nothing was moved: make the folder writable"),
        ("crossing", r"\('crossing/bad.png', 'cannot be moved: Permission denied'\), unreadable: True"),
    ],
)
def test_read_only_folders(open_folder: Path, read_only: str, expected: str) -> None:
    root = write_folder(
        open_folder / "photos", {"crossing/bad.png": b"", "empty/bad.png": b"", "empty/x.png": photo(2)}
    )
    for folder in (root, *(root / label for label in LABELS)):
        folder.chmod(0o777)
    (root / read_only).chmod(0o555)
    before = tree(root)

    def what_is_left() -> str:
        cleaning = clean_as_nobody(root)
        (left,) = cleaning.left
        return f"{(left.file, left.why)}, unreadable: {cleaning.unreadable_left}"

    status, said = run_forked(what_is_left)
    assert status == 0
    assert re.match(expected, said)
    moved = {place for place in tree(root) if place.endswith("bad.png")} - set(before)
    assert moved == ({".quarantine/unreadable/empty/bad.png"} if read_only else set())
    (root / read_only).chmod(0o777)
    restore(root)
    assert set(tree(root)) == set(before)


@pytest.mark.parametrize("earlier_run", [False, True])
def test_a_full_disk(root: Path, cache: FeatureCache, earlier_run: bool) -> None:
    """No file can grow: the journal cannot be written, so nothing is moved."""
    before = tree(root)
    if earlier_run:
        clean(root, RULES, cache)
        (root / "empty" / "new.png").write_bytes(b"")
    examine(root, RULES, cache)  # so that the cache has nothing to write
    then = tree(root)

    def clean_without_space() -> object:
        with open_cache(cache.path) as warm:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            return clean(root, RULES, warm)

    status, said = run_forked(clean_without_space)
    assert status == 0
    assert re.fullmatch(
        "OutputError: cannot write '.*cleaning.csv': File too large; no photo is lost: free space or make the folder "
        "writable, then try again",
        said,
    )
    folders = {file for file, facts in tree(root).items() if stat.S_ISDIR(facts[0])}  # type: ignore[arg-type]
    assert {file: facts for file, facts in tree(root).items() if file not in folders} == {
        file: facts for file, facts in then.items() if file not in folders
    }
    restore(root)
    assert set(tree(root)) - {"empty/new.png"} == set(before)
