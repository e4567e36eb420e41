"""The folders and their tables agree, whatever happens to either."""

import csv
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from misbehaving_server import picture

from roadclear.collect.candidate import Candidate
from roadclear.collect.downloader import Photo
from roadclear.collect.records import (
    SourceRecord,
    read_rejections,
    read_sources,
)
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.store import FolderFiling, look_up, open_filing
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError, OutputError

LABELS = ("crossing", "empty")
COLUMNS = (
    "file,label,provider,query,rank,page_url,image_url,title,author,author_url,licence,licence_url,"
    "width,height,bytes,sha256,retrieved_at"
)


def candidate(number: int, **facts: object) -> Candidate:
    values = {"provider": "museum", "query": "a road", "rank": number, "image_url": f"https://m.example/{number}"}
    return Candidate(**values | facts)  # type: ignore[arg-type]


def photo(number: int) -> Photo:
    data = picture(number)
    return Photo(data, hashlib.sha256(data).hexdigest(), ".jpg", 96, 72)


def add(filing: FolderFiling, number: int, label: str = "crossing", **facts: object) -> str:
    """File photo number n; gives its place."""
    filing.add(SourceRecord.of(candidate(number, **facts), label), photo(number))
    return f"{label}/museum-{photo(number).sha256[:12]}.jpg"


def photos_in(folder: Path) -> dict[str, bytes]:
    """Every file in the label folders, hidden ones included."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for label in LABELS
        for path in (folder / label).rglob("*")
        if path.is_file()
    }


def assert_agreement(folder: Path) -> None:
    """Every photo has its row, every row its photo, and nothing else is there."""
    rows = {source.file: source.sha256 for source in read_sources(folder)}
    assert rows == {name: hashlib.sha256(data).hexdigest() for name, data in photos_in(folder).items()}
    assert {path.name for path in folder.iterdir()} == {*LABELS, "sources.csv", "rejected.csv"}


def test_a_photo_and_its_row(tmp_path: Path) -> None:
    facts = {
        "page_url": "https://m.example/page",
        "title": 'He said: "wait",\nthen, crossed',
        "author": "Zoë, Åsa & Co.",
        "author_url": "https://m.example/zoë",
        "licence": "CC BY-SA 4.0",
        "licence_url": "https://creativecommons.org/licenses/by-sa/4.0/",
    }
    with open_filing(tmp_path, LABELS) as filing:
        place = add(filing, 1, **facts)
    assert (tmp_path / place).read_bytes() == picture(1)
    assert (tmp_path / "sources.csv").read_text(encoding="utf-8").splitlines()[0] == COLUMNS
    with (tmp_path / "sources.csv").open(newline="", encoding="utf-8") as table:
        (row,) = csv.DictReader(table)
    assert row.pop("retrieved_at").endswith("+00:00")
    expected = facts | {
        "file": place,
        "label": "crossing",
        "provider": "museum",
        "query": "a road",
        "rank": "1",
        "image_url": "https://m.example/1",
        "title": 'He said: "wait", then, crossed',
        "width": "96",
        "height": "72",
        "bytes": str(len(picture(1))),
        "sha256": photo(1).sha256,
    }
    assert row == expected
    (told,) = load_folder(tmp_path).photos
    assert (told.author, told.page, told.source) == ("Zoë, Åsa & Co.", "https://m.example/page", "m.example")
    assert_agreement(tmp_path)


def test_the_same_bytes_are_filed_once_across_both_labels(tmp_path: Path) -> None:
    with open_filing(tmp_path, LABELS) as filing:
        place = add(filing, 1)
        for label in LABELS:
            with pytest.raises(FetchError, match=f"same bytes as {place}") as caught:
                filing.add(SourceRecord.of(candidate(2), label), photo(1))
            assert caught.value.reason == RejectionReason.SAME_BYTES
    assert_agreement(tmp_path)


@pytest.mark.parametrize("cut", range(1, 190, 7))
def test_a_row_that_was_cut_short_is_dropped_and_its_photo_too(tmp_path: Path, cut: int) -> None:
    with open_filing(tmp_path, LABELS) as filing:
        add(filing, 1)
        place = add(filing, 2)
    table = tmp_path / "sources.csv"
    table.write_bytes(table.read_bytes()[: -cut - 1])
    (tmp_path / place).rename(tmp_path / "crossing" / f".{Path(place).name}.part")
    with open_filing(tmp_path, LABELS) as filing:
        assert filing.known.of_label("crossing") == (2 if cut == 1 else 1)
    assert_agreement(tmp_path)


def test_what_was_written_before_a_kill_is_moved_to_its_place(tmp_path: Path) -> None:
    with open_filing(tmp_path, LABELS) as filing:
        place = add(filing, 1)
    (tmp_path / place).rename(tmp_path / "crossing" / f".{Path(place).name}.part")
    with open_filing(tmp_path, LABELS) as filing:
        assert filing.known.of_label("crossing") == 1
    assert (tmp_path / place).exists()
    assert_agreement(tmp_path)


def test_what_has_no_row_yet_is_removed(tmp_path: Path) -> None:
    with open_filing(tmp_path, LABELS):
        pass
    (tmp_path / "empty" / ".museum-0123456789ab.jpg.part").write_bytes(picture(1)[:100])
    (tmp_path / ".sources.csv.x1y2z3ab.roadclear").write_bytes(b"half")
    with open_filing(tmp_path, LABELS):
        pass
    assert_agreement(tmp_path)


def fill(folder: Path) -> None:
    with open_filing(folder, LABELS) as filing:
        for number in range(2):
            if not filing.known.is_settled(SourceRecord.of(candidate(number), "crossing")):
                add(filing, number)


def settle(folder: Path) -> None:
    with open_filing(folder, LABELS):
        pass


def die_before_step(number: int, folder: Path, action: Callable[[Path], None]) -> bool:
    """Do something in a process that ends before its n-th change of a folder. Whether it came so far."""
    taken = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal taken
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(arguments[0]):
            taken += 1
            if taken == number:
                os._exit(9)

    if (child := os.fork()) == 0:
        sys.addaudithook(count)
        action(folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_kill_before_any_step_of_filing_is_made_good(tmp_path: Path) -> None:
    for step in range(1, 200):
        folder = tmp_path / f"photos{step}"
        died = die_before_step(step, folder, fill)
        fill(folder)
        assert_agreement(folder)
        assert len(photos_in(folder)) == 2
        if not died:
            assert step > 15, "every photo takes several steps"
            return
    raise AssertionError("expected the process to end by itself at some step")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_kill_before_any_step_of_settling_loses_no_row(tmp_path: Path) -> None:
    folder, taken_out = tmp_path / "photos", tmp_path / "taken-out.jpg"
    fill(folder)
    place = folder / read_sources(folder)[0].file
    for step in range(1, 200):
        place.rename(taken_out)
        died = [die_before_step(step, folder, settle)]
        settle(folder)
        assert [(r.reason, r.source.rank) for r in read_rejections(folder)] == [(RejectionReason.REMOVED, "0")]
        assert_agreement(folder)
        taken_out.rename(place)
        died.append(die_before_step(step, folder, settle))
        settle(folder)
        assert read_rejections(folder) == []
        assert len(read_sources(folder)) == 2
        assert_agreement(folder)
        if not any(died):
            return
    raise AssertionError("expected the process to end by itself at some step")


def test_people_move_photos_and_the_rows_follow(tmp_path: Path) -> None:
    with open_filing(tmp_path, LABELS) as filing:
        relabelled, sorted_in, gone = (add(filing, number) for number in (1, 2, 3))
    (tmp_path / relabelled).rename(tmp_path / "empty" / Path(relabelled).name)
    (tmp_path / "crossing" / "night").mkdir()
    (tmp_path / sorted_in).rename(tmp_path / "crossing" / "night" / Path(sorted_in).name)
    taken_out = tmp_path.parent / "taken-out.jpg"
    (tmp_path / gone).rename(taken_out)
    with open_filing(tmp_path, LABELS) as filing:
        assert (filing.known.of_label("crossing"), filing.known.of_label("empty")) == (1, 1)
        assert filing.known.is_settled(SourceRecord.of(candidate(3), "crossing"))
        with pytest.raises(FetchError, match="which was removed"):
            filing.add(SourceRecord.of(candidate(4), "crossing"), photo(3))
    assert_agreement(tmp_path)
    (removed,) = read_rejections(tmp_path)
    assert (removed.reason, removed.source.file, removed.source.sha256) == (
        RejectionReason.REMOVED,
        gone,
        photo(3).sha256,
    )
    taken_out.rename(tmp_path / gone)
    with open_filing(tmp_path, LABELS) as filing:
        assert filing.known.of_label("crossing") == 2
    assert read_rejections(tmp_path) == []
    assert_agreement(tmp_path)


def test_photos_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "crossing").mkdir()
    own = tmp_path / "crossing" / "mine.jpg"
    own.write_bytes(picture(5))
    with open_filing(tmp_path, LABELS) as filing:
        add(filing, 1)
    assert own.read_bytes() == picture(5)
    assert [source.provider for source in read_sources(tmp_path)] == ["museum"]


@pytest.mark.parametrize(
    ("reason", "settled"),
    [
        (reason, reason not in (RejectionReason.UNREACHABLE, RejectionReason.LICENCE, RejectionReason.SAME_ADDRESS))
        for reason in RejectionReason
    ],
)
def test_which_rejections_are_final(tmp_path: Path, reason: RejectionReason, settled: bool) -> None:
    source = SourceRecord.of(candidate(1), "empty")
    with open_filing(tmp_path, LABELS) as filing:
        filing.reject(source, reason, "as it is")
        assert filing.known.is_settled(source) == settled
    with open_filing(tmp_path, LABELS) as filing:
        assert filing.known.is_settled(source) == settled
        assert (filing.known.at_address(source) is not None) == settled
    detail = "it is no longer in the folder" if reason == RejectionReason.REMOVED else "as it is"
    assert [(r.reason, r.detail) for r in read_rejections(tmp_path)] == [(reason, detail)]


def test_what_came_in_the_end_is_no_longer_among_the_rejected(tmp_path: Path) -> None:
    source = SourceRecord.of(candidate(1), "crossing")
    with open_filing(tmp_path, LABELS) as filing:
        for _ in range(3):
            filing.reject(source, RejectionReason.UNREACHABLE, "status 500")
    assert len(read_rejections(tmp_path)) == 1
    with open_filing(tmp_path, LABELS) as filing:
        add(filing, 1)
    assert read_rejections(tmp_path) == []


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with open_filing(tmp_path, LABELS), pytest.raises(OutputError, match="at work"), open_filing(tmp_path, LABELS):
        pass


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("sources.csv", b"file,provider\na.jpg,me\n"),
        ("sources.csv", COLUMNS.encode() + b"\ntoo,short\ntoo,short\n"),
        ("rejected.csv", b"\xff\xfe\x00"),
        ("sources.csv", COLUMNS.encode() + b"\n" + b"../../x.jpg" + b"," * 16 + b"2026-01-01T00:00:00+00:00\n"),
    ],
)
def test_tables_that_are_not_ours_are_left_alone(tmp_path: Path, table: str, content: bytes) -> None:
    (tmp_path / table).write_bytes(content)
    with pytest.raises(DatasetError, match=f"expected in .*{table}"), open_filing(tmp_path, LABELS):
        pass
    assert (tmp_path / table).read_bytes() == content


def test_another_label_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(DatasetError, match="no folders but 'crossing' and 'empty', found 'cats'"):
        look_up(tmp_path, LABELS)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make folders"), open_filing(tmp_path / "file" / "photos", LABELS):
        pass
