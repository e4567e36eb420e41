"""A folder of photos from a stranger moves nothing out of the folder and takes nothing in, however its links lie."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from deciding import decide
from folders import photo, tree, write_folder

from roadclear.cli.app import main
from roadclear.collect.records import SourceRecord, write_sources
from roadclear.collect.store import open_filing
from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import clean, restore
from roadclear.curation.journal import QUARANTINE
from roadclear.curation.rules import CleanRules
from roadclear.data.dataset import load_folder
from roadclear.data.discovery import find_photos
from roadclear.errors import DatasetError, RoadclearError
from roadclear.features.cache import open_cache
from roadclear.utils import held_folder
from roadclear.utils.held_folder import hold
from roadclear.utils.renames import exchange

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="makes symbolic links"), pytest.mark.slow]

RULES = CleanRules(look_alikes=False)
HEADER = "moved_at,reason,detail,label,from,to,sha256,kept\n"
SWAP_SECONDS = 1.0
DEEP = 1400


swaps = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="swaps two names in one step")


@pytest.fixture(params=["handles", "checks"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the handles of folders, and with the checks of systems that have none."""
    if request.param == "checks":
        monkeypatch.setattr(held_folder, "HAS_HANDLES", False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(
        tmp_path / "photos",
        {"crossing/a.png": photo(1), "crossing/cut.png": b"cut", "empty/b.png": photo(2), "empty/none.png": b""},
    )


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user, with the names that the attacks are after."""
    files = {"private.txt": b"mine", "cut.png": b"mine", "a.png": photo(1), "deep/none.png": b""}
    folder = tmp_path / "home"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def clean_folder(root: Path) -> tuple[str, ...]:
    with open_cache(None) as cache:
        return tuple(left.file for left in clean(root, RULES, cache).left)


def row(origin: str, place: str, reason: str = "duplicate", when: str = "now", sha256: str = "") -> str:
    return f"{when},{reason},,crossing,{origin},{place},{sha256},\n"


@pytest.mark.usefixtures("ways")
class TestLinksThatStand:
    @pytest.mark.parametrize("when", ["now", ""])
    @pytest.mark.parametrize("action", [restore, undo, clean_folder], ids=["restore", "undo", "clean"])
    def test_a_journal_plants_no_file_outside(
        self, root: Path, outside: Path, action: Callable[[Path], object], when: str
    ) -> None:
        (root / ".a").symlink_to(outside)
        payload = write_folder(root, {f"{QUARANTINE}/duplicate/key": b"ssh-ed25519 stranger"})
        (root / "cleaning.csv").write_text(HEADER + row(".a/authorized_keys", f"{QUARANTINE}/duplicate/key", when=when))
        before, inside = tree(outside), tree(payload)
        with pytest.raises(DatasetError, match=r"expected a folder at '.*/\.a', found a link"):
            action(root)
        assert tree(outside) == before
        assert tree(root) == inside

    @pytest.mark.parametrize("when", ["now", ""])
    @pytest.mark.parametrize("action", [restore, clean_folder], ids=["restore", "clean"])
    def test_a_journal_takes_no_file_from_outside(
        self, root: Path, outside: Path, action: Callable[[Path], object], when: str
    ) -> None:
        (root / QUARANTINE).mkdir()
        (root / QUARANTINE / "duplicate").symlink_to(outside)
        (root / "cleaning.csv").write_text(
            HEADER + row("crossing/private.txt", f"{QUARANTINE}/duplicate/private.txt", when=when)
        )
        before, inside = tree(outside), tree(root)
        with pytest.raises(DatasetError, match=r"expected a folder at '.*/duplicate', found a link"):
            action(root)
        assert tree(outside) == before
        assert tree(root) == inside

    def test_a_relabelling_takes_no_file_from_outside(self, root: Path, outside: Path) -> None:
        (root / "empty" / "sub").symlink_to(outside)
        sha256 = hashlib.sha256(b"mine").hexdigest()
        text = HEADER + row("crossing/private.txt", "empty/sub/private.txt", "relabelled", sha256=sha256)
        (root / "cleaning.csv").write_text(text)
        before = tree(outside)
        for action in (undo, restore, clean_folder):
            with pytest.raises(DatasetError, match="found a link"):
                action(root)
        assert tree(outside) == before
        assert (root / "cleaning.csv").read_text() == text

    @pytest.mark.parametrize("name", ["unreadable", "unreadable/crossing"])
    def test_findings_go_to_a_quarantine_of_their_own(self, root: Path, outside: Path, name: str) -> None:
        link = root / QUARANTINE / name
        link.parent.mkdir(parents=True)
        link.symlink_to(outside)
        before = tree(outside)
        assert clean_folder(root) == ()
        assert tree(outside) == before
        assert (root / QUARANTINE / "unreadable-2/crossing/cut.png").read_bytes() == b"cut"
        assert link.is_symlink()

    def test_a_quarantine_that_is_a_link(self, root: Path, outside: Path) -> None:
        (root / QUARANTINE).symlink_to(outside)
        before = tree(outside)
        for action in (restore, undo, clean_folder):
            with pytest.raises(RoadclearError, match="found a file or a link"):
                action(root)
        assert tree(outside) == before

    def test_photos_behind_a_linked_label_are_listed_and_left(self, root: Path, outside: Path) -> None:
        shutil.rmtree(root / "crossing")
        (root / "crossing").symlink_to(outside)
        before = tree(outside)
        assert set(clean_folder(root)) == {"crossing/cut.png", "crossing/deep/none.png", "crossing/private.txt"}
        left = apply_decisions(
            root, decide(root, {"crossing/a.png": "move to empty", "empty/b.png": "move to crossing"})
        )
        assert {(one.file, one.why.split(":")[0]) for one in left.left} == {
            ("crossing/a.png", "lies behind a link to a folder"),
            ("empty/b.png", "lies behind a link to a folder"),
        }
        assert tree(outside) == before
        assert (root / "empty/b.png").exists()
        restore(root)
        assert tree(outside) == before

    def test_a_link_that_is_a_photo_is_moved_itself(self, root: Path, outside: Path) -> None:
        (root / "crossing/link.png").symlink_to(outside / "cut.png")
        before, inside = tree(outside), tree(root)
        clean_folder(root)
        assert (root / QUARANTINE / "unreadable/crossing/link.png").is_symlink()
        restore(root)
        assert (tree(outside), tree(root)) == (before, inside)

    @pytest.mark.parametrize(
        "name", ["crossing/../../x", "crossing//a", "crossing/a\0b", "/x/y", "./crossing/a", "../a/b"]
    )
    def test_a_journal_with_odd_names_is_refused_whole(self, root: Path, name: str) -> None:
        (root / "cleaning.csv").write_text(HEADER + row(name, f"{QUARANTINE}/duplicate/key"))
        before = tree(root)
        with pytest.raises(DatasetError, match="what `roadclear clean` wrote there, found a move from"):
            restore(root)
        assert tree(root) == before

    def test_a_journal_that_is_a_pipe_is_not_waited_for(self, root: Path) -> None:
        os.mkfifo(root / "cleaning.csv")
        with pytest.raises(DatasetError, match="found no file"):
            restore(root)


class TestCollecting:
    def test_a_linked_label_is_refused(self, tmp_path: Path, outside: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/crossing").symlink_to(outside)
        before = tree(outside)
        opened = open_filing(tmp_path / "photos", ["crossing", "empty"])
        with pytest.raises(DatasetError, match=r"expected a folder at '.*/crossing', found a link"), opened:
            pass
        assert tree(outside) == before

    def test_a_table_of_sources_finishes_no_move_outside(self, root: Path, outside: Path) -> None:
        (outside / ".key.part").write_bytes(b"mine")
        (root / "crossing/sub").symlink_to(outside)
        record = SourceRecord("crossing/sub/key", "crossing", *[""] * 14, "2026-01-01T00:00:00+00:00")
        write_sources(root, [record])
        before = tree(outside)
        with open_filing(root, ["crossing", "empty"]):
            pass
        assert tree(outside) == before

    def test_copies_of_tables_are_left_alone(self, root: Path) -> None:
        for name in (".sources.csv.bak", ".rejected.csv.original"):
            (root / name).write_bytes(b"mine")
        with open_filing(root, ["crossing", "empty"]):
            pass
        assert (root / ".sources.csv.bak").exists()
        assert (root / ".rejected.csv.original").exists()


def test_a_copy_of_the_journal_is_left_alone(root: Path) -> None:
    for name in (".cleaning.csv.bak", ".cleaning.csv.original"):
        (root / name).write_bytes(b"mine")
    before = tree(root)
    clean_folder(root)
    restore(root)
    assert tree(root) == before


class Swapper:
    """Swaps a folder for a link to another folder and back, without end, in a thread."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder, self.link = folder, folder.with_name(f".{folder.name}.aside")
        self.link.symlink_to(outside)
        self.swaps = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Swapper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                self.swaps += exchange(self.folder, self.link)
            time.sleep(0.0003)


@pytest.mark.slow
@swaps
@pytest.mark.parametrize("swapped", ["crossing", "empty", f"{QUARANTINE}/unreadable", f"{QUARANTINE}/set-aside"])
@pytest.mark.parametrize("action", ["clean and restore", "apply and undo"])
def test_a_running_swap_of_links_does_not_win(root: Path, outside: Path, swapped: str, action: str) -> None:
    """A second thread swaps a folder for a link to the user's files while files are moved in and out of the folder."""
    (outside / "crossing").mkdir()
    (outside / "crossing/cut.png").write_bytes(b"mine")
    table = decide(root, {"crossing/a.png": "move to empty", "empty/b.png": "set aside"})
    (root / swapped).mkdir(parents=True, exist_ok=True)
    (root / swapped / "stays").write_bytes(b"stays")
    before = tree(outside)
    rounds = 0
    with Swapper(root / swapped, outside) as swapper:
        end = time.monotonic() + SWAP_SECONDS
        while time.monotonic() < end:
            rounds += 1
            with suppress(RoadclearError):
                if action == "clean and restore":
                    clean_folder(root)
                    restore(root)
                else:
                    apply_decisions(root, table)
                    undo(root)
    assert tree(outside) == before
    assert swapper.swaps > 20
    assert rounds > 2


@swaps
def test_moves_between_swaps_stay_inside(root: Path, outside: Path) -> None:
    """The same race at the level of single moves, which is far more often in the act."""
    before = tree(outside)
    moved = refused = 0
    with held_folder.hold(root) as folder, Swapper(root / "crossing", outside) as swapper:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            for source, target in (("crossing/cut.png", "empty/new"), ("empty/new", "crossing/cut.png")):
                try:
                    folder.move(source, target)
                    moved += 1
                except OSError:
                    refused += 1
    assert tree(outside) == before
    assert min(moved, refused, swapper.swaps) > 20


@pytest.fixture
def pit(root: Path) -> Iterator[Path]:
    """A folder with links to themselves, a photo 1,400 folders deep, and one beyond the longest path."""
    (root / "loop.png").symlink_to("loop.png")
    for name in ("crossing/loop.png", "empty/loop"):
        (root / name).symlink_to(Path(name).name)
    (root / "empty/cycle").symlink_to("..")
    with hold(root) as folder:
        for number, name in enumerate(
            ("crossing/" + "n/" * DEEP + "deep.png", "empty/" + f"{'n' * 200}/" * 25 + "far")
        ):
            (root / "new").write_bytes(photo(10 + number))
            folder.move("new", name)
    yield root
    # Python's own removal calls itself once for each folder.
    subprocess.run(["rm", "-rf", str(root)], check=True)


def count(root: Path) -> int:
    """Number of files and folders, however deep."""
    found = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True)
    return found.stdout.count(b"\0")


def test_folders_without_ground_are_listed(pit: Path) -> None:
    files = [photo.file for photo in load_folder(pit).photos]
    assert "crossing/" + "n/" * DEEP + "deep.png" in files
    assert {"crossing/loop.png", "empty/loop", "empty/cycle"} <= set(files)
    (far,) = (file for file in files if "n" * 200 in file)
    assert 3000 < len(far) < 4400  # the deepest folder with a path that the system takes
    assert len(files) == 9
    assert len(list(find_photos([pit]))) == 10


def test_folders_without_ground_are_cleaned_and_restored(pit: Path) -> None:
    before = count(pit)
    assert clean_folder(pit) == ()
    assert count(pit) > before
    assert restore(pit).left == ()
    assert count(pit) == before


LONG = "n" * 5000


@pytest.mark.parametrize(
    "name", ["loop.png", "n" * 300, LONG, f"crossing/{LONG}"], ids=["loop", "300", "5000", "below"]
)
@pytest.mark.parametrize(
    "words",
    [
        "clean {}",
        "clean {} --restore",
        "clean . --html {}",
        "triage {} --out /tmp/t",
        "triage . --out {}",
        "triage . --apply {}",
        "triage {} --undo",
        "split {} --out s.csv",
        "split . --out {}",
        "train {} --out r",
        "train . --out {}",
        "train . --out r --split {}",
        "validate {}",
        "evaluate stock {}",
        "evaluate {} .",
        "collect {} --contact me@example.org",
        "info {}",
    ],
)
def test_names_that_cannot_be_used_get_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, name: str
) -> None:
    (root / "loop.png").symlink_to("loop.png")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["roadclear", *words.format(name).split()])
    before = tree(root)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert said.startswith("roadclear: ")
    assert said.count("\n") == 1
    assert tree(root) == before
