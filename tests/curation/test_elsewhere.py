"""Cleaning and triage of photos that are no files here: tables and pages come out, and nothing is moved or changed."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from stores import BUCKET, ENVIRONMENT, parquet_bytes, put, s3_server, tar_bytes

from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import clean, examine, findings_table, restore
from roadclear.curation.clean_page import write_review
from roadclear.curation.rules import CleanRules
from roadclear.curation.triage import triage, write_proposals, write_triage
from roadclear.curation.unlabelled import propose
from roadclear.data.settings import SourceSettings
from roadclear.data.sources import load_photos
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.training.config import TrainSettings
from roadclear.utils.paths import default_cache_path

pytestmark = pytest.mark.slow

RULES = CleanRules(look_alikes=False)
SETTINGS = TrainSettings(size=96, head="linear", positive="crossing")
SOURCES = {
    "roads/": {},
    "tars/": {"label_column": "people"},
    "x.parquet": {"label_column": "people", "image_column": "pixels"},
    "roads/labels.csv": {"label_column": "people", "image_column": "name"},
}


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> dict[str, bytes]:
    """Ten photos of each label, a copy and a text."""
    found = {
        f"{label}/{path.name}": path.read_bytes()
        for label in ("crossing", "empty")
        for path in sorted((drawn_photos / label).iterdir())[:10]
    }
    return found | {"empty/copy.jpg": found[max(found)], "empty/text.jpg": b"no photo"}


@pytest.fixture(scope="module")
def server(photos: dict[str, bytes]) -> Iterator[str]:
    """A bucket with the photos as files, in two tar shards, in a Parquet file and in a table."""
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        tars: list[dict[str, bytes]] = [{}, {}]
        rows = io.StringIO()
        csv.writer(rows).writerows([("name", "people"), *((name, name.split("/")[0]) for name in photos)])
        for number, (name, content) in enumerate(photos.items()):
            put(address, f"roads/{name}", content)
            if number % 3 == 0:
                put(address, f"new/{number}.jpg", content)
            notes = {"label": "not this", "people": name.split("/")[0]}
            tars[number % 2] |= {f"{number:02d}.jpg": content, f"{number:02d}.json": json.dumps(notes).encode()}
        put(address, "roads/labels.csv", rows.getvalue().encode())
        for number, members in enumerate(tars):
            put(address, f"tars/{number}.tar", tar_bytes(members))
        people = [name.split("/")[0] for name in photos]
        columns = {"pixels": list(photos.values()), "people": people, "label": ["not this"] * len(photos)}
        put(address, "x.parquet", parquet_bytes(columns))
        yield address


@pytest.fixture
def cache() -> Iterator[FeatureCache]:
    with open_cache(default_cache_path()) as opened:
        yield opened


@pytest.fixture
def unchanged(server: str) -> Iterator[None]:
    """Nothing in the bucket is another after the test."""
    before = objects(server)
    yield
    assert objects(server) == before


def objects(server: str) -> list[tuple[str, str]]:
    found = re.findall("<Key>(.*?)</Key>.*?<ETag>(.*?)</ETag>", httpx.get(f"{server}/{BUCKET}").text, re.DOTALL)
    assert len(found) > 20
    return found


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.usefixtures("unchanged")
def test_a_table_and_a_page_of_cleaning(source: str, cache: FeatureCache, tmp_path: Path) -> None:
    place = Path(f"s3://{BUCKET}/{source}")  # as the command line makes it, with one slash
    found = examine(place, RULES, cache, columns=SourceSettings(**SOURCES[source]))
    assert (found.photos, found.skipped) == (22, ())
    rows = list(csv.DictReader(io.StringIO(findings_table(found.findings).decode())))
    assert sorted((row["label"], row["reason"]) for row in rows) == [("empty", "duplicate"), ("empty", "unreadable")]
    assert {len(row["sha256"]) for row in rows} == {0, 64}
    write_review(tmp_path / "page.html", place, found.findings, found.photos)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"leave these photos out of s3://{BUCKET}/{source.rstrip('/')}" in page and ".quarantine" not in page


@pytest.mark.parametrize("source", ["tars/", "roads/labels.csv"])
@pytest.mark.usefixtures("unchanged")
def test_a_table_and_a_page_of_triage(source: str, cache: FeatureCache, tmp_path: Path) -> None:
    place = Path(f"s3://{BUCKET}/{source}")
    found = triage(load_photos(place, columns=SourceSettings(**SOURCES[source])), SETTINGS, cache, 2, 1)
    assert (found.photos, len(found.skipped)) == (21, 1)
    write_triage(tmp_path / "out", place, found, overwrite=False)
    rows = list(csv.DictReader((tmp_path / "out/triage.csv").open(encoding="utf-8")))
    assert rows and {row["label"] for row in rows} <= {"crossing", "empty"}
    page = (tmp_path / "out/triage.html").read_text(encoding="utf-8")
    assert f"Change the labels at s3://{BUCKET}/" in page and "--apply" not in page


@pytest.mark.usefixtures("unchanged")
def test_unlabelled_photos_of_a_bucket_are_listed(cache: FeatureCache, tmp_path: Path, drawn_photos: Path) -> None:
    found = propose(drawn_photos, Path(f"s3://{BUCKET}/new/"), SETTINGS, cache, at_most=4)
    assert (found.photos, len(found.cases), found.labels) == (7, 4, ("empty", "crossing"))
    write_proposals(tmp_path / "out", drawn_photos, found, overwrite=False)
    assert "--apply" not in (tmp_path / "out/triage.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_moved_where_there_are_no_files(cache: FeatureCache, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/0.tar").write_bytes(tar_bytes({"a/1.jpg": b"1", "b/2.jpg": b"2"}))
    (tmp_path / "decisions.csv").write_text("file,sha256,decision\n")
    for place in (Path(f"s3://{BUCKET}/roads/"), tmp_path / "shards"):
        for change in (
            lambda place=place: clean(place, RULES, cache),
            lambda place=place: restore(place),
            lambda place=place: apply_decisions(place, tmp_path / "decisions.csv"),
            lambda place=place: undo(place),
        ):
            with pytest.raises(DatasetError, match="never moved"):
                change()
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["0.tar"]
