"""`roadclear collect` and `roadclear run`, as processes of their own, against the providers of the tests."""

import csv
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from misbehaving_server import Answer, MisbehavingServer, answer, html, misbehaving_server, status
from process import START, Ended, roadclear
from provider_server import HTML, OPENVERSE, ProviderServer, provider_server
from scenes import draw_scene

from roadclear.collect.records import read_sources
from roadclear.collect.shard_index import read_shard_sources

pytestmark = pytest.mark.slow

QUICK_NETWORK = ("--allow-private", "--max-rate", "1000")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(60) as running:
        yield running


def collect(photos: Path, server: ProviderServer, *options: object, **variables: str | None) -> Ended:
    return roadclear("collect", photos, *map(str, options), *QUICK_NETWORK, env={**server.environment, **variables})


def sources(photos: Path) -> list[dict[str, str]]:
    with (photos / "sources.csv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_two_phrases_two_folders(server: ProviderServer, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    ended = collect(photos, server, "--per-label", 9, "--positive", "a", "--positive", "b", "--negative", "c")
    assert (ended.code, ended.err) == (0, "")
    assert "9 crossing, 9 empty. Requested: 9 per label." in ended.out.decode()
    rows = sources(photos)
    assert Counter(row["label"] for row in rows) == {"crossing": 9, "empty": 9}
    assert {row["provider"] for row in rows} == {"openverse", "wikimedia"}
    assert {(row["label"], row["query"]) for row in rows} == {("crossing", "a"), ("crossing", "b"), ("empty", "c")}
    assert {row["file"] for row in rows} == {
        path.relative_to(photos).as_posix() for path in photos.glob("*/*") if path.is_file()
    }
    assert all(row["licence"] and row["image_url"] and row["retrieved_at"] for row in rows)
    assert sum(bool(row["author"]) for row in rows) > len(rows) / 2


def test_again_and_more(server: ProviderServer, tmp_path: Path) -> None:
    collect(tmp_path, server, "--per-label", 3, "--labels", "busy", "quiet")
    ended = collect(tmp_path, server, "--per-label", 5, "--labels", "busy", "quiet", "--json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["photos"] == {"busy": 5, "quiet": 5}
    assert sum(search["collected"] for search in told["searches"]) == 4
    assert sum(told["licences"].values()) == 10
    fetched = Counter(request.path for request in server.asked if request.path.startswith("/photos/"))
    assert set(fetched.values()) == {1}


def test_only_some_licences(server: ProviderServer, tmp_path: Path) -> None:
    assert collect(tmp_path, server, "--per-label", 4, "--licenses", "cc0,by-sa").code == 0
    assert {row["licence"].split(" ")[-2] for row in sources(tmp_path)} <= {"CC0", "BY-SA"}


def test_a_dry_run_lists_and_writes_nothing(server: ProviderServer, tmp_path: Path) -> None:
    ended = collect(tmp_path / "photos", server, "--per-label", 2, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(b"http://") == 4
    assert "4 photos would be fetched first. No file was written." in ended.out.decode()
    assert not (tmp_path / "photos").exists()
    assert not [request for request in server.asked if request.path.startswith("/photos/")]
    listed = json.loads(collect(tmp_path / "photos", server, "--per-label", 2, "--dry-run", "--json").out)
    assert [photo["label"] for photo in listed["photos"]].count("empty") == 2


def test_a_failing_provider_is_told(server: ProviderServer, tmp_path: Path) -> None:
    server.fail(OPENVERSE, HTML)
    ended = collect(tmp_path, server, "--per-label", 3)
    assert ended.code == 3
    assert ended.error().startswith("roadclear: openverse: expected a JSON object")
    assert {row["provider"] for row in sources(tmp_path)} == {"wikimedia"}
    ended = collect(tmp_path / "other", server, "--per-label", 3, "--provider", "openverse")
    assert ended.code == 1, "nothing at all"


def test_credits(server: ProviderServer, tmp_path: Path) -> None:
    collect(tmp_path, server, "--per-label", 2)
    asked = len(server.asked)
    ended = collect(tmp_path, server, "--credits")
    assert (ended.code, ended.err) == (0, "")
    written = (tmp_path / "CREDITS.md").read_text(encoding="utf-8")
    assert all(row["file"] in written for row in sources(tmp_path))
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (("--provider", "altavista"), {}, "altavista"),
        (("--licenses", "gpl"), {}, "gpl"),
        (("--per-label", "0"), {}, "per-label"),
        (("--labels", "a/b", "c"), {}, "label"),
        (("--max-rate", "0"), {}, "max-rate"),
        (("--proxy", "nowhere"), {}, "proxy"),
        (("--urls", "missing.txt"), {}, "missing.txt"),
        ((), {"ROADCLEAR_CONTACT": None}, "contact"),
    ],
)
def test_wrong_usage(
    server: ProviderServer, tmp_path: Path, options: tuple[str, ...], variables: dict[str, str | None], message: str
) -> None:
    photos = tmp_path / "photos"
    environment = {**server.environment, **variables}
    ended = roadclear("collect", photos, "--allow-private", *options, env=environment)
    assert ended.code == 2
    assert message in ended.error()
    assert not photos.exists()


def test_private_addresses_are_refused_unless_allowed(server: ProviderServer, tmp_path: Path) -> None:
    ended = roadclear("collect", tmp_path, "--provider", "openverse", env=server.environment)
    assert ended.code == 1
    assert "is not a public address" in ended.error()
    assert server.asked == []


def test_other_folders_than_the_labels(server: ProviderServer, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    ended = collect(tmp_path, server)
    assert ended.code == 1
    assert "'cats'" in ended.error()


STREETS = {"crossing": "people [crossing] the road", "empty": "empty road"}


@pytest.fixture
def street_server() -> Iterator[MisbehavingServer]:
    """Serves drawn scenes, /crossing/<number> and /empty/<number>, of which every tenth is a page.

    Openverse finds 30 of them for the phrases in STREETS.
    """

    def scene(label: str, number: int) -> Answer:
        buffer = BytesIO()
        draw_scene(number, label == "crossing").save(buffer, "JPEG")
        return html() if number % 10 == 9 else answer(buffer.getvalue())

    def results(query: str) -> Answer:
        labels = [label for label, phrase in STREETS.items() if phrase == query]
        found = [
            {"url": running.url(f"/{label}/{number}"), "license": "cc0"} for label in labels for number in range(30)
        ]
        page = {"results": found, "page_count": 1}
        return answer(json.dumps(page).encode(), content_type="application/json")

    def served(target: str, before: int) -> Answer:
        address = urlsplit(target)
        if address.path == OPENVERSE:
            return results(parse_qs(address.query)["q"][0])
        _, label, number = address.path.split("/")
        return scene(label, int(number))

    with misbehaving_server() as running:
        running.fallback = served
        yield running


def test_addresses_from_lists(street_server: MisbehavingServer, tmp_path: Path) -> None:
    lists = [tmp_path / f"{label}.txt" for label in ("crossing", "empty")]
    for path in lists:
        path.write_text("".join(f"{street_server.url(f'/{path.stem}/{n}')}\n" for n in range(20)), encoding="utf-8")
    named = [word for path in lists for word in ("--urls", path)]
    ended = roadclear("collect", tmp_path / "photos", *named, *QUICK_NETWORK, "--json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["photos"] == {"crossing": 18, "empty": 18}
    assert [search["rejected"] for search in told["searches"]] == [{"not-a-photo": 2}] * 2


@pytest.mark.skipif(os.name != "posix", reason="interrupts a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_does_not_wait_for_slow_hosts(
    street_server: MisbehavingServer, tmp_path: Path, number: int
) -> None:
    """The photos so far are kept, also those of an open shard."""
    slow = street_server.put("/slow", status(429, Retry_After="110"))
    for label in ("crossing", "empty"):
        (tmp_path / f"{label}.txt").write_text(f"{street_server.url(f'/{label}/1')}\n{slow}\n", encoding="utf-8")
    named = [word for label in ("crossing", "empty") for word in ("--urls", tmp_path / f"{label}.txt")]
    place = ["--to", tmp_path / "shards"] if number == signal.SIGTERM else [tmp_path / "photos"]
    command = [*START, "collect", *place, *named, *QUICK_NETWORK]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    while not {"/slow", "/crossing/1", "/empty/1"} <= set(street_server.targets()):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)  # until the two photos are filed
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (1, "roadclear: stopped; run the same command again to continue\n")
    if number == signal.SIGTERM:
        assert len(read_shard_sources(tmp_path / "shards")) == 2


def test_one_command_takes_lists_of_addresses_too(street_server: MisbehavingServer, tmp_path: Path) -> None:
    """Two photos of each label are too few to train on, which is found after they are collected."""
    lists = [tmp_path / f"{label}.txt" for label in ("crossing", "empty")]
    for path in lists:
        path.write_text("".join(f"{street_server.url(f'/{path.stem}/{n}')}\n" for n in range(2)), encoding="utf-8")
    named = [word for path in lists for word in ("--urls", path)]
    command = ("run", *STREETS.values(), "--out", tmp_path / "out", "--provider", "urls", *QUICK_NETWORK)
    refused = roadclear(*command)
    assert (refused.code, "give --urls FILE" in refused.error()) == (2, True)
    assert roadclear(*command, *named).code == 1
    assert {source.provider for source in read_sources(tmp_path / "out" / "photos")} == {"urls"}
    assert len(read_sources(tmp_path / "out" / "photos")) == 4


def test_the_whole_mission_in_one_command(street_server: MisbehavingServer, tmp_path: Path) -> None:
    out = tmp_path / "crossing-or-empty"
    environment = {"ROADCLEAR_OPENVERSE_URL": street_server.url("")}
    command = ("run", *STREETS.values(), "--out", out, "--per-label", "24", "--provider", "openverse", *QUICK_NETWORK)

    def run(*options: str) -> Ended:
        ended = roadclear(*command, *options, env=environment)
        assert (ended.code, ended.err) == (0, "")
        return ended

    first = run()
    assert stages(first) == ["collect", "clean", "split", "train"]
    assert first.out.decode().count("Test accuracy") == 2
    assert "The model file on the test photos" in first.out.decode()
    assert sorted(path.name for path in out.iterdir()) == ["photos", "run", "split.csv"]
    model = (out / "run" / "model.onnx").read_bytes()

    asked = len(street_server.requests)
    again = run()
    assert stages(again) == []
    assert again.out.splitlines()[-1] == first.out.splitlines()[-1]

    (out / "run").rename(out / "older")
    assert stages(run()) == ["train"]
    assert (out / "run" / "model.onnx").read_bytes() == model
    assert len(street_server.requests) == asked

    (out / "split.csv").unlink()
    refused = roadclear(*command, env=environment)
    assert (refused.code, stages(refused)) == (1, [])
    assert "its split is gone: move the run away, or add --overwrite" in refused.error()
    assert (out / "run" / "model.onnx").read_bytes() == model
    assert stages(run("--overwrite")) == ["collect", "clean", "split", "train"]


def stages(ended: Ended) -> list[str]:
    return [line.split()[2] for line in ended.out.decode().splitlines() if line.startswith("$ roadclear ")]


def test_a_run_that_finds_nothing_stops(server: ProviderServer, tmp_path: Path) -> None:
    ended = roadclear("run", "nothing", "nothing", "--out", tmp_path / "out", *QUICK_NETWORK, env=server.environment)
    assert ended.code == 1
    assert "at least 10 readable photos" in ended.error()
    assert not (tmp_path / "out" / "run").exists()


def test_tar_shards(street_server: MisbehavingServer, tmp_path: Path) -> None:
    """Collected in two runs, then read by the commands that read shards."""
    place = tmp_path / "shards"
    lists = [tmp_path / f"{label}.txt" for label in ("crossing", "empty")]
    for path in lists:
        path.write_text("".join(f"{street_server.url(f'/{path.stem}/{n}')}\n" for n in range(12)), encoding="utf-8")
    named = [word for path in lists for word in ("--urls", path)]
    command = ("collect", "--to", place, *named, *QUICK_NETWORK, "--shard-photos", "5")
    assert roadclear(*command, "--per-label", "4").code == 0
    first = {path.name for path in place.iterdir()}
    ended = roadclear(*command, "--json")
    assert (ended.code, json.loads(ended.out)["photos"]) == (0, {"crossing": 11, "empty": 11})
    assert first < {path.name for path in place.iterdir()}
    photos = [target for target in street_server.targets() if target.count("/") == 2]
    assert len(photos) == len(set(photos)) == 24
    split = roadclear("split", place, "--out", tmp_path / "split.csv")
    assert split.code == 0, split.err
    assert (tmp_path / "split.csv").read_text(encoding="utf-8").count("\n") == 23
    assert roadclear("collect", "--to", place, "--credits").code == 0
    assert "Licence unknown" in (place / "CREDITS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name one of them"),
        (("photos", "--to", "shards"), "name one of them"),
        (("photos", "--shard-photos", "5"), "expected --to DIR"),
        (("s3://bucket/photos",), "--to s3://bucket/photos"),
    ],
)
def test_one_place(words: tuple[str, ...], message: str) -> None:
    ended = roadclear("collect", *words)
    assert (ended.code, message in ended.error()) == (2, True), ended.err
