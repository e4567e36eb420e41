"""The report: true to the metrics, inert, readable by everyone, and silent about what it does not know."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from roadclear.data.dataset import load_folder
from roadclear.data.groups import one_sided_sources
from roadclear.features.cache import open_cache
from roadclear.report.page import build_report
from roadclear.report.words import count, frequency, interval, percent, seconds
from roadclear.training import limits
from roadclear.training.config import TrainSettings
from roadclear.training.crosschecks import crosscheck
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.training.run_files import metrics as run_metrics
from roadclear.utils.paths import default_cache_path

pytestmark = pytest.mark.slow

FAST = TrainSettings(size=96, views=0, epochs=5)
MOST_BYTES = 2_500_000


@dataclass
class Page(HTMLParser):
    """A page as its elements and the text that is seen."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] == "style":
            self.style += data
        else:
            self.seen.append(data)

    def all(self, *tags: str) -> Iterator[dict[str, str]]:
        return (attributes for tag, attributes in self.elements if tag in tags)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.seen).split())

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def value(self, identity: str) -> float:
        (found,) = (element for element in self.all("data") if element.get("id") == identity)
        return float(found["value"])


def read(report: bytes) -> Page:
    page = Page()
    page.feed(report.decode())
    page.close()
    return page


def train_folder(folder: Path, options: TrainSettings = FAST, positive: str = "crossing") -> TrainingResult:
    dataset = load_folder(folder)
    with open_cache(default_cache_path()) as cache:
        return train(dataset, replace(options, positive=positive), cache)


def report_of(training: TrainingResult, folder: Path) -> bytes:
    return build_report(training, folder, crosscheck(training))


HOSTILE_POSITIVE, HOSTILE_NEGATIVE = "<script>alert(1)<", "no \"people' & {{ 7*7 }} </style>"
HOSTILE_NAME = b"%d <img src=x onerror=alert(1)> \"' & {{ 7*7 }} \xff\xfe\n\xe2\x80\xae.jpg"
HOSTILE_CELL = "</table><script src=http://evil.example/x.js></script>"


@pytest.fixture(scope="module")
def drawn_training(drawn_photos: Path) -> TrainingResult:
    return train_folder(drawn_photos)


@pytest.fixture(scope="module")
def drawn(drawn_training: TrainingResult, drawn_photos: Path) -> Page:
    return read(report_of(drawn_training, drawn_photos))


@pytest.fixture(scope="module")
def hostile_folder(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos whose names, labels and tables try to break out of the page."""
    root = tmp_path_factory.mktemp("hostile") / "photos <script>"
    rows = ["file,provider,page_url,author,licence"]
    for label, hostile in (("crossing", HOSTILE_POSITIVE), ("empty", HOSTILE_NEGATIVE)):
        (root / hostile).mkdir(parents=True)
        for number, photo in enumerate(sorted((drawn_photos / label).iterdir())):
            name = (HOSTILE_NAME % number).decode("utf-8", "surrogateescape")
            shutil.copy(photo, root / hostile / name)
            file = f"{hostile}/{name}".replace('"', '""')
            rows.append(f'"{file}",{HOSTILE_CELL},,{HOSTILE_CELL},{HOSTILE_CELL}{number % 2}')
    (root / HOSTILE_NEGATIVE / HOSTILE_NAME.decode("utf-8", "surrogateescape")).write_bytes(b"no photo")
    (root / "sources.csv").write_bytes("\n".join(rows).encode("utf-8", "surrogateescape"))
    return root


@pytest.fixture(scope="module")
def hostile(hostile_folder: Path) -> Page:
    return read(report_of(train_folder(hostile_folder, positive=HOSTILE_POSITIVE), hostile_folder))


@pytest.fixture(params=["drawn", "hostile"])
def page(request: pytest.FixtureRequest) -> Page:
    found: Page = request.getfixturevalue(request.param)
    return found


class TestInert:
    def test_loads_nothing(self, page: Page) -> None:
        for tag, attributes in page.elements:
            for name in ("src", "srcset", "poster", "data", "action", "formaction", "background"):
                if tag != "data" and name in attributes:
                    assert attributes[name].startswith("data:image/jpeg;base64,"), (tag, name)
            for name in ("href", "xlink:href"):
                assert attributes.get(name, "#").startswith("#"), (tag, name)
            assert "url(" not in attributes.get("style", "").replace("url(#", "")
        assert "url(" not in page.style and "@import" not in page.style and "expression" not in page.style

    def test_runs_nothing(self, page: Page) -> None:
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject"}
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]

    def test_forbids_the_browser_to_do_either(self, page: Page) -> None:
        (policy,) = (m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")

    def test_hostile_names_are_shown_as_text(self, hostile: Page, drawn: Page) -> None:
        assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in drawn.elements}
        for expected in (HOSTILE_POSITIVE, HOSTILE_NEGATIVE, HOSTILE_CELL, "onerror=alert(1)", r"\udcff\udcfe\n\u202e"):
            assert expected in hostile.text
        assert "& {{ 7*7 }}" in hostile.text


class TestForEveryone:
    def test_headings_are_in_order(self, page: Page) -> None:
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels))

    def test_landmarks_language_and_title_are_there(self, page: Page) -> None:
        counts = Counter(tag for tag, _ in page.elements)
        assert counts["main"] == counts["header"] == counts["nav"] == counts["footer"] == 1
        assert next(page.all("html")).get("lang") == "en" and counts["title"] >= 1
        assert all(nav.get("aria-label") for nav in page.all("nav"))

    def test_links_lead_somewhere_and_ids_are_unique(self, page: Page) -> None:
        assert len(page.ids) == len(set(page.ids))
        targets = {a["href"].removeprefix("#") for a in page.all("a")}
        assert targets and targets <= set(page.ids)

    def test_first_link_skips_the_contents(self, page: Page) -> None:
        first = next(page.all("a"))
        assert first["class"] == "skip" and first["href"].removeprefix("#") in page.ids

    def test_pictures_have_words(self, page: Page) -> None:
        assert all(image.get("alt", "").strip() for image in page.all("img"))
        for svg in page.all("svg"):
            assert svg["role"] == "img" and {svg["aria-labelledby"], svg["aria-describedby"]} <= set(page.ids)

    def test_tables_have_captions_and_headers_have_a_scope(self, page: Page) -> None:
        assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
        counts = Counter(tag for tag, _ in page.elements)
        assert counts["table"] == counts["caption"] > 3

    def test_suits_phones_dark_screens_and_paper(self, page: Page) -> None:
        assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
        assert "prefers-color-scheme: dark" in page.style and "@media print" in page.style


class TestTrue:
    def test_headline_is_the_test_accuracy(self, drawn: Page, drawn_training: TrainingResult) -> None:
        accuracy = drawn_training.evaluations["test"].metrics["accuracy"]
        assert drawn.value("accuracy") == accuracy.value
        assert (drawn.value("accuracy-low"), drawn.value("accuracy-high")) == accuracy.ci95
        assert drawn.value("test-photos") == accuracy.n
        assert (
            percent(accuracy.value) in drawn.text
            and f"{count(accuracy.n, 'test photo')} held back from training" in drawn.text
        )

    def test_tells_every_metric_with_its_interval_and_that_of_the_reference(
        self, drawn: Page, drawn_training: TrainingResult
    ) -> None:
        for evaluations in (drawn_training.evaluations, drawn_training.linear):
            for name, estimate in evaluations["test"].metrics.items():
                shares = name in ("accuracy", "balanced_accuracy", "precision", "recall", "specificity")
                printable = percent(estimate.value) if shares else f"{estimate.value:.3f}"
                assert f"{printable} {interval(estimate, shares)}" in drawn.text, name

    def test_tells_the_confusion_in_words(self, drawn: Page, drawn_training: TrainingResult) -> None:
        c = drawn_training.evaluations["test"].confusion
        assert re.search(rf"Of {c.tp + c.fn} crossing photos, {c.tp} (was|were) found and {c.fn} missed\.", drawn.text)
        assert re.search(rf"{c.tn} (was|were) called empty and {c.fp} (was a|were) false alarms?\.", drawn.text)

    def test_tells_the_counts_of_the_run(self, drawn: Page, drawn_training: TrainingResult) -> None:
        for part, counts in run_metrics(drawn_training)["splits"].items():
            assert f"{part} {counts['crossing']} {counts['empty']} {counts['n']}" in drawn.text

    def test_tells_what_it_is_not_for(self, page: Page) -> None:
        assert page.text.count("Not for vehicle control") == 2

    def test_tells_origin_and_licence_of_the_weights(self, drawn: Page, drawn_training: TrainingResult) -> None:
        assert drawn_training.facts.weights_origin in drawn.text
        assert drawn_training.facts.weights_sha256 in drawn.text

    def test_shows_the_mistakes_before_the_close_calls(self, hostile: Page, drawn: Page) -> None:
        for page in (hostile, drawn):
            verdicts = re.findall(r"✗ Wrong|✓ Right, but only just", page.text)
            assert verdicts and verdicts == sorted(verdicts, key=lambda verdict: verdict.startswith("✓"))

    def test_tells_what_was_skipped_and_why(self, hostile: Page) -> None:
        assert "1 photo could not be used" in hostile.text and "not a photo" in hostile.text

    def test_tells_what_cleaning_set_aside(
        self, drawn_training: TrainingResult, drawn_photos: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(drawn_photos, tmp_path / "photos")
        (folder / ".quarantine").mkdir()
        rows = ["moved_at,reason,detail,label,from,to,sha256,kept"]
        for number, reason in enumerate(["blank", "duplicate", "duplicate", "relabelled"]):
            rows.append(f"2026-01-01T00:00:00Z,{reason},,empty,empty/{number}.jpg,.quarantine/{number}.jpg,,")
            (folder / ".quarantine" / f"{number}.jpg").touch()
        rows.append("2026-01-01T00:00:00Z,blank,,empty,empty/back.jpg,.quarantine/back.jpg,,")
        (folder / "cleaning.csv").write_text("\n".join(rows))
        text = read(report_of(drawn_training, folder)).text
        assert "3 photos, 2 duplicate, 1 blank" in text
        assert "1 photo was moved to the other label" in text

    def test_tells_what_was_done_on_some_of_many_photos(
        self, drawn_training: TrainingResult, drawn_photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = ("Look-alikes were searched within cells", "Linear heads were trained on 10 of the training photos")
        monkeypatch.setattr(limits, "MOST_LINEAR", 10)
        monkeypatch.setattr(limits, "MOST_COMPARED", 10)
        text = read(report_of(drawn_training, drawn_photos)).text
        assert all(sentence in text for sentence in told)

    def test_shows_labels_that_were_swapped(self, drawn_training: TrainingResult, drawn_photos: Path) -> None:
        data = drawn_training.data
        photos, swapped = list(data.photos), [0, len(data.photos) - 1]
        for i in swapped:
            other = "empty" if photos[i].label == "crossing" else "crossing"
            photos[i] = replace(photos[i], label=other)
        training = replace(drawn_training, data=replace(data, photos=tuple(photos)))
        doubts = read(report_of(training, drawn_photos)).text.split("Northcutt", 1)[1].split("Would more photos", 1)[0]
        assert all(photos[i].file in doubts for i in swapped)

    def test_real_photos_make_a_page_of_bearable_size(self, roads: Path) -> None:
        training = train_folder(roads)
        report = report_of(training, roads)
        page = read(report)
        assert len(report) < MOST_BYTES
        assert page.value("accuracy") == training.evaluations["test"].metrics["accuracy"].value
        for source, accuracy in training.per_source.items():
            assert source in page.text and f"{percent(accuracy.value)} {interval(accuracy)}" in page.text
        one_sided = one_sided_sources(training.data.photos)
        for label, number in Counter(one_sided.values()).items():
            first = next(source for source, only in one_sided.items() if only == label)
            assert f"All photos from {number} sources ({first} and others) are {label}." in page.text
        for source, label in one_sided.items():
            assert re.search(rf"{re.escape(source)} [^W]*Warning: all photos of this source are {label}", page.text)


class TestSources:
    @pytest.mark.parametrize(("sources", "folded"), [(3, 0), (8, 0), (9, 1), (20, 12)])
    def test_a_long_table_shows_eight_rows_and_folds_the_rest(
        self, drawn_training: TrainingResult, drawn_photos: Path, sources: int, folded: int
    ) -> None:
        data = drawn_training.data
        named = tuple(
            replace(photo, source=f"source-{number % sources:02}") for number, photo in enumerate(data.photos)
        )
        html = report_of(replace(drawn_training, data=replace(data, photos=named)), drawn_photos).decode()
        section = html.split('<h2 id="sources">', 1)[1].split("</section>", 1)[0]
        assert section.count("source-") == sources
        shown, _, rest = section.partition("<details>")
        assert (shown.count("source-"), rest.count("source-")) == (sources - folded, folded)
        assert bool(folded) == ("<summary>" in rest)
        assert ("1 more source<" in rest) == (folded == 1)


class TestSilent:
    """A part whose data is not there is not there."""

    def test_about_sources_and_licences_that_are_not_told(self, drawn: Page, hostile: Page) -> None:
        assert "sources" not in drawn.ids and "sources" in hostile.ids
        assert "Licence" not in drawn.text and "Licence" in hostile.text

    def test_about_cleaning_that_did_not_happen(self, drawn: Page) -> None:
        assert "Set aside" not in drawn.text and "Every photo could be used" in drawn.text

    def test_about_epochs_of_the_linear_head(self, drawn_photos: Path, drawn: Page) -> None:
        linear = read(report_of(train_folder(drawn_photos, replace(FAST, head="linear")), drawn_photos))
        assert "Linear reference" in drawn.text and "Linear reference" not in linear.text
        assert any(i.startswith("training-") for i in drawn.ids)
        assert not any(i.startswith("training-") for i in linear.ids)

    def test_about_doubts_where_all_photos_belong_together(
        self, drawn_training: TrainingResult, drawn_photos: Path
    ) -> None:
        together = np.zeros_like(drawn_training.data.groups)
        training = replace(drawn_training, data=replace(drawn_training.data, groups=together))
        page = read(report_of(training, drawn_photos))
        assert not {"labels", "more"} & set(page.ids) and "#labels" not in {a["href"] for a in page.all("a")}

    def test_about_photos_that_have_gone(
        self, drawn_training: TrainingResult, drawn_photos: Path, tmp_path: Path
    ) -> None:
        gone = tuple(replace(photo, path=tmp_path / photo.file) for photo in drawn_training.data.photos)
        training = replace(drawn_training, data=replace(drawn_training.data, photos=gone))
        page = read(report_of(training, drawn_photos))
        assert "can no longer be read" in page.text and not list(page.all("img"))


class TestWords:
    @pytest.mark.parametrize(
        ("share", "expected"),
        [
            (0.0, "never"),
            (1.0, "every time"),
            (0.5, "about every second time"),
            (0.949, "about 19 times in 20"),
            (0.9915, "about 99 times in 100"),
            (0.75, "about 3 times in 4"),
            (0.051, "about once in 20"),
            (0.99999, "nearly every time"),
            (0.00001, "hardly ever"),
        ],
    )
    def test_frequency(self, share: float, expected: str) -> None:
        assert frequency(share) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.3, "12 s"), (200, "3 min 20 s"), (59.7, "1 min 0 s")],
    )
    def test_seconds(self, value: float, expected: str) -> None:
        assert seconds(value) == expected

    @pytest.mark.parametrize(("number", "expected"), [(0, "0 photos"), (1, "1 photo"), (1204, "1,204 photos")])
    def test_count(self, number: int, expected: str) -> None:
        assert count(number, "photo") == expected

    def test_what_is_undefined_is_said_so(self) -> None:
        assert percent(float("nan")) == "not defined"
