"""Tar shards of collected photos: each photo once, whole shards only, and nothing asked for twice."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clients import quick_client
from misbehaving_server import answer, html, misbehaving_server, picture
from shard_worker import A_SHARD
from stores import BUCKET, ENVIRONMENT, s3_server, seldom, tar_bytes

from roadclear.collect import shard_store
from roadclear.collect.candidate import Candidate
from roadclear.collect.collector import CollectRequest, collect, plan, searches_of
from roadclear.collect.credits import write_shard_credits
from roadclear.collect.downloader import Photo
from roadclear.collect.records import SourceRecord
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.shard_index import look_up_shards, read_shard_sources
from roadclear.collect.shard_store import ShardFiling, open_shards
from roadclear.data.shards.opening import open_source
from roadclear.data.shards.photo import ShardPhoto
from roadclear.data.sources import load_photos
from roadclear.errors import DatasetError, OptionError, OutputError
from roadclear.utils import storage

LABELS = ("crossing", "empty")
WORKER = Path(__file__).parents[1] / "support" / "shard_worker.py"
FACTS = {
    "page_url": "https://m.example/page",
    "title": "A road",
    "author": "Zoë",
    "licence": "CC BY-SA 4.0",
    "licence_url": "https://creativecommons.org/licenses/by-sa/4.0/",
}


def photo(number: int) -> Photo:
    data = picture(number)
    return Photo(data, hashlib.sha256(data).hexdigest(), ".jpg", 96, 72)


def source(number: int, label: str = "crossing", **facts: Any) -> SourceRecord:
    values = {"provider": "museum", "query": "a road", "rank": number, "image_url": f"https://m.example/{number}"}
    return SourceRecord.of(Candidate(**values | facts), label)


def fill(place: object, first: int, count: int, most: int = 3, **facts: Any) -> None:
    """Collect photos by their numbers, odd ones of the second label."""
    with open_shards(place, LABELS, most) as filing:  # type: ignore[arg-type]
        for number in range(first, first + count):
            if not filing.known.is_settled(found := source(number, LABELS[number % 2], **facts)):
                filing.add(found, photo(number))


def names_in(folder: Path, end: str = "") -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(end))


def read(place: object) -> list[ShardPhoto]:
    found: list[ShardPhoto] = []
    for shard in open_source(place):  # type: ignore[arg-type]
        with shard.open() as opened:
            found += opened.photos
    return found


def assert_once(place: object, numbers: range) -> None:
    """Every photo is there once and whole, under its label."""
    found = {(one.content, one.label): one for one in read(place)}
    assert found.keys() == {(picture(number), LABELS[number % 2]) for number in numbers}
    assert len(read(place)) == len(numbers)


def assert_whole(folder: Path) -> None:
    """Every file has the name of its content, every shard has its table, and nothing else is there."""
    for name in names_in(folder):
        kind, _, rest = name.partition("-")
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16]
        assert name.endswith(".tar.csv") or (rest.startswith(digest) and kind in ("collected", "rejected"))
    assert names_in(folder, ".tar.csv") == [f"{name}.csv" for name in names_in(folder, ".tar")]


class TestShards:
    def test_members_and_notes(self, tmp_path: Path) -> None:
        fill(tmp_path, 1, 1, **FACTS)
        (name,) = names_in(tmp_path, ".tar")
        with tarfile.open(tmp_path / name) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        key = f"museum-{photo(1).sha256[:12]}"
        assert list(members) == [f"{key}.jpg", f"{key}.cls", f"{key}.json"]
        assert (members[f"{key}.jpg"], members[f"{key}.cls"]) == (picture(1), b"empty")
        notes = json.loads(members[f"{key}.json"])
        assert notes.pop("retrieved_at").endswith("+00:00")
        assert notes == FACTS | {
            "label": "empty",
            "provider": "museum",
            "query": "a road",
            "rank": "1",
            "image_url": "https://m.example/1",
            "width": "96",
            "height": "72",
            "bytes": str(len(picture(1))),
            "sha256": photo(1).sha256,
            "page": "https://m.example/page",
            "source": "m.example",
        }

    def test_what_is_collected_can_be_trained_on(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 7, **FACTS)
        assert len(names_in(tmp_path, ".tar")) == 3
        assert_whole(tmp_path)
        found = load_photos(tmp_path)
        assert (found.labels, found.skipped) == (LABELS, ())
        assert Counter(one.label for one in found.photos) == {"crossing": 4, "empty": 3}
        assert {(one.author, one.page, one.source, one.licence) for one in found.photos} == {
            ("Zoë", FACTS["page_url"], "m.example", "CC BY-SA 4.0")
        }
        assert_once(tmp_path, range(7))

    def test_long_texts_leave_the_notes_readable(self, tmp_path: Path) -> None:
        long = dict.fromkeys(("title", "author", "query", "author_url", "licence_url"), "一" * 10000)
        fill(tmp_path, 0, 1, **long, page_url="http://[")
        (one,) = read(tmp_path)
        assert one.author == "\u4e00" * 2_000 and one.source == "museum"

    def test_a_shard_is_finished_at_a_size_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shard_store, "MAX_SHARD_BYTES", len(picture(0)) * 3 // 2)
        fill(tmp_path, 0, 5, most=100)
        assert len(names_in(tmp_path, ".tar")) == 3

    def test_credits(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 4, **FACTS)
        path = Path(write_shard_credits(str(tmp_path)))
        assert path.read_text(encoding="utf-8").count("by Zoë") == 4
        path.write_text("mine", encoding="utf-8")
        with pytest.raises(OutputError, match="add --overwrite"):
            write_shard_credits(str(tmp_path))
        assert len(read(tmp_path)) == 4


class TestAppending:
    def test_a_later_run_adds_shards_and_changes_none(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 4)
        before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
        fill(tmp_path, 0, 9)
        assert before.items() <= {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}.items()
        assert_once(tmp_path, range(9))
        assert_whole(tmp_path)
        again = names_in(tmp_path)
        fill(tmp_path, 0, 9)
        assert names_in(tmp_path) == again

    def test_the_same_bytes_are_kept_once_across_labels_and_runs(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 4)
        with open_shards(tmp_path, LABELS, 3) as filing:
            filing.add(source(4), photo(4))
            for known in (0, 3, 4):
                with pytest.raises(FetchError, match=f"same bytes as museum-{photo(known).sha256[:12]}") as caught:
                    filing.add(source(9, "empty"), photo(known))
                assert caught.value.reason == RejectionReason.SAME_BYTES
        assert_once(tmp_path, range(5))

    def test_a_table_that_is_missing_is_made_from_the_shard(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 7, **FACTS)
        tables = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path, ".csv")}
        for name in tables:
            (tmp_path / name).unlink()
        assert len(read_shard_sources(tmp_path)) == 7 and names_in(tmp_path, ".csv") == []
        fill(tmp_path, 0, 7)
        assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path, ".csv")} == tables

    def test_shards_of_another_program_are_known_by_their_bytes(self, tmp_path: Path) -> None:
        members = {"empty/1.jpg": picture(1), "2.jpg": picture(2), "2.cls": b"crossing\n", "2.json": b"[]"}
        (tmp_path / "0000.tar.gz").write_bytes(tar_bytes(members, "w:gz"))
        cut = tar_bytes({"3.jpg": picture(3), "3.cls": b"empty", "4.jpg": picture(4)})
        (tmp_path / "cut.tar").write_bytes(cut[: cut.index(picture(4)) + 50])
        with open_shards(tmp_path, LABELS, 3) as filing:
            assert [filing.known.of_label(label) for label in LABELS] == [1, 2]
            with pytest.raises(FetchError, match=r"same bytes as empty/1\.jpg"):
                filing.add(source(1), photo(1))
        assert names_in(tmp_path) == ["0000.tar.gz", "0000.tar.gz.csv", "cut.tar"]

    def test_a_shard_that_was_removed_stays_out(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 3)
        (tmp_path / names_in(tmp_path, ".tar")[0]).unlink()
        with open_shards(tmp_path, LABELS, 3) as filing:
            assert filing.known.of_label("crossing") == 0
            assert all(filing.known.is_settled(source(number, LABELS[number % 2])) for number in range(3))
            with pytest.raises(FetchError, match="which was removed"):
                filing.add(source(9), photo(0))

    def test_rejections_are_remembered_unless_they_pass(self, tmp_path: Path) -> None:
        for _ in range(2):  # what is known is not written again
            with open_shards(tmp_path, LABELS, 3) as filing:
                filing.reject(source(1), RejectionReason.TOO_SMALL, "20 x 20 pixels")
                filing.reject(source(2), RejectionReason.UNREACHABLE, "status 503")
        assert len(names_in(tmp_path, ".csv")) == len(names_in(tmp_path)) == 1
        known = look_up_shards(tmp_path, LABELS)
        assert known.is_settled(source(1)) and not known.is_settled(source(2))

    def test_an_error_loses_no_photo(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), open_shards(tmp_path, LABELS, 100) as filing:
            filing.add(source(0), photo(0))
            raise KeyboardInterrupt
        assert_once(tmp_path, range(1))

    @pytest.mark.parametrize("members", range(4))
    def test_an_interruption_in_the_middle_of_a_photo_leaves_a_whole_shard(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int
    ) -> None:
        add, left = tarfile.TarFile.addfile, [3 + members]

        def interrupted(archive: tarfile.TarFile, header: tarfile.TarInfo, content: Any) -> None:
            left[0] -= 1
            if left[0] == -1:
                archive.fileobj.write(b"half a header")  # type: ignore[union-attr]
                raise KeyboardInterrupt
            add(archive, header, content)

        monkeypatch.setattr(tarfile.TarFile, "addfile", interrupted)
        with pytest.raises(KeyboardInterrupt), open_shards(tmp_path, LABELS, 100) as filing:
            for number in range(3):
                filing.add(source(number, LABELS[number % 2]), photo(number))
        assert_once(tmp_path, range(1 + members // 3))
        assert_whole(tmp_path)


class TestTogether:
    """Several collections into one place at the same time."""

    def test_no_photo_is_filed_twice_and_none_is_lost(self, tmp_path: Path) -> None:
        with open_shards(tmp_path, LABELS, 4) as one, open_shards(tmp_path, LABELS, 100) as other:
            for number in range(6):
                one.add(source(number, LABELS[number % 2]), photo(number))
                other.add(source(number + 3, LABELS[(number + 3) % 2], query="else", licence="BY"), photo(number + 3))
        assert_once(tmp_path, range(9))
        assert_whole(tmp_path)
        assert [one.known.of_label(label) for label in LABELS] == [5, 4]
        known = look_up_shards(tmp_path, LABELS)
        assert known.collected == {("crossing", "museum"): 5, ("empty", "museum"): 4}
        assert known.licences == one.known.licences == {"unknown": 4, "BY": 5}
        assert all(known.is_settled(source(number, LABELS[number % 2])) for number in range(6))
        assert all(known.is_settled(source(number + 3, LABELS[(number + 3) % 2], query="else")) for number in range(6))

    def test_a_place_that_becomes_something_else_loses_no_photo(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="nothing but tar shards"), open_shards(tmp_path, LABELS, 9) as filing:
            filing.add(source(0), photo(0))
            (tmp_path / "1.jpg").touch()
        (tmp_path / "1.jpg").unlink()
        assert_once(tmp_path, range(1))

    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="kills processes")
    def test_two_processes_of_which_one_is_killed(self, tmp_path: Path) -> None:
        photos, folder = 80, tmp_path / "shards"
        with misbehaving_server() as server:
            server.fallback = lambda path, before: answer(picture(int(path.strip("/")), 64, 64))
            command = list(map(str, [sys.executable, WORKER, folder, server.port, photos]))
            processes = [subprocess.Popen(command) for _ in range(2)]
            while not list(folder.glob("*.tar")):
                assert all(process.poll() is None for process in processes)
                time.sleep(0.005)
            processes[0].kill()
            assert [process.wait(timeout=60) for process in processes] == [-signal.SIGKILL, 0]
        found = read(folder)
        assert len(found) == len({one.content for one in found}) == photos
        assert_whole(folder)


class TestRefusals:
    @pytest.mark.parametrize("name", ["crossing/1.jpg", "1.jpg", "notes/a.txt"])
    def test_a_place_with_other_things(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        with pytest.raises(DatasetError, match="nothing but tar shards"):
            fill(tmp_path, 0, 1)

    def test_other_labels(self, tmp_path: Path) -> None:
        fill(tmp_path, 0, 2)
        with pytest.raises(DatasetError, match="found 'crossing'"), open_shards(tmp_path, ("busy", "empty"), 3):
            pass

    def test_a_foreign_table(self, tmp_path: Path) -> None:
        (tmp_path / "0.tar").write_bytes(tar_bytes({}))
        (tmp_path / "0.tar.csv").write_bytes(b"file,label\n")
        with pytest.raises(DatasetError, match=r"0\.tar\.csv"):
            fill(tmp_path, 0, 1)

    def test_web_servers_and_sizes(self) -> None:
        with pytest.raises(OptionError, match="web server"):
            look_up_shards("https://photos.example/x", LABELS)
        with pytest.raises(OptionError, match="shard-photos"):
            CollectRequest(LABELS, 1, (), shard_photos=0)

    def test_a_full_disk_leaves_whole_shards(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path, 0, 3)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OutputError, match="set TMPDIR"), open_shards(tmp_path, LABELS, 3) as filing:
            filing.add(source(3), photo(3))
            monkeypatch.setattr(tarfile.TarFile, "addfile", full)
            filing.add(source(4), photo(4))
        monkeypatch.undo()
        assert_once(tmp_path, range(3))
        fill(tmp_path, 0, 5)
        assert_once(tmp_path, range(5))


class Listing:
    """Provider of photos by their numbers, for each query those of one label."""

    name = "museum"

    def __init__(self, address: str, count: int) -> None:
        self._address, self._count = address, count

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        first = int(query)
        for rank, number in enumerate(range(first, self._count, 4), start=1):
            yield Candidate(self.name, query, rank, f"{self._address}/{number}", licence="CC0 1.0")


def request(address: str, per_label: int, count: int = 14) -> CollectRequest:
    queries = {"crossing": ["0", "2"], "empty": ["1", "3"]}
    return CollectRequest(LABELS, per_label, searches_of(queries, [Listing(address, count)]), shard_photos=5)


@pytest.mark.slow
def test_an_object_store_that_refuses_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(storage, "_LONGEST_WAIT_S", 0.02)
    monkeypatch.setattr(storage, "_ATTEMPTS_BELOW", 1)
    place = f"s3://{BUCKET}/roads"
    refusals = seldom("503 Slow Down", "404 Not Found", every=5)
    with s3_server(refusals) as store, misbehaving_server() as server, quick_client() as client:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store)
        storage._file_system.cache_clear()
        server.fallback = lambda path, before: html() if path == "/7" else answer(picture(int(path.strip("/"))))
        first = collect(place, request(server.url(""), 3), client)
        assert first.photos == {"crossing": 3, "empty": 3}
        listed, _ = plan(place, request(server.url(""), 5), client)
        assert len(listed) == 4
        assert collect(place, request(server.url(""), 100), client).photos == {"crossing": 7, "empty": 6}
        assert len(server.targets()) == len(set(server.targets())) == 14, "nothing is fetched twice"
        with open_shards(place, LABELS, 9) as one, open_shards(place, LABELS, 9) as other:
            one.add(source(99), photo(99))
            other.add(source(99), photo(99))
        assert write_shard_credits(place) == f"{place}/CREDITS.md"
        found = read(place)
        assert Counter(one.content for one in found) == Counter(picture(n) for n in (*range(14), 99) if n != 7)
        assert {one.label for one in found} == set(LABELS)
    storage._file_system.cache_clear()


def die_before_step(number: int, folder: Path) -> bool:
    """Collect in a process that ends before its n-th change of a folder. Whether it came so far."""
    taken = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal taken
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(arguments[0]):
            taken += 1
            if taken == number:
                os._exit(9)

    if (child := os.fork()) == 0:
        sys.addaudithook(count)
        fill(folder, 0, 5)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_kill_before_any_step_is_made_good(tmp_path: Path) -> None:
    for step in range(1, 100):
        folder = tmp_path / f"shards{step}"
        died = die_before_step(step, folder)
        fill(folder, 0, 5)
        assert_once(folder, range(5))
        assert_whole(folder)
        if not died:
            assert step > 8, "a shard takes several steps"
            return
    raise AssertionError("expected the process to end by itself at some step")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_a_kill_in_the_middle_loses_the_open_shard_at_most(tmp_path: Path) -> None:
    photos, folder = 160, tmp_path / "shards"
    with misbehaving_server() as server:
        server.fallback = lambda path, before: answer(picture(int(path.strip("/")), 64, 64))
        command = list(map(str, [sys.executable, WORKER, folder, server.port, photos]))
        kept: list[set[str]] = []
        for kill in (1, 2):
            process = subprocess.Popen(command)
            while len(list(folder.glob("*.tar"))) < 2 * kill:
                assert process.poll() is None, "the process ended before it could be killed"
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            asked = len(server.targets())
            kept.append({one.image_url for one in read_shard_sources(folder)})
            assert len(kept[-1]) >= 2 * kill * A_SHARD
        subprocess.run(command, check=True, timeout=120)
        assert not kept[-1] & {server.url(target) for target in server.targets()[asked:]}
        assert len(server.targets()) <= photos + 2 * (A_SHARD + 8), "what was filed is not fetched again"
    found = read(folder)
    assert len(found) == len({one.content for one in found}) == photos
    assert_whole(folder)
    assert set(Counter(Path(one.id).parts[0] for one in found).values()) <= {A_SHARD, *range(A_SHARD)}


def test_a_filing_that_took_nothing_writes_nothing(tmp_path: Path) -> None:
    ShardFiling(tmp_path, LABELS, 3).finish()
    assert names_in(tmp_path) == []
