"""The page shows every finding, shows copies side by side, and carries everything in itself."""

import base64
import os
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from folders import encoded, messy_folder, photo, picture, write_folder
from PIL import Image

from roadclear.curation import clean_page as review
from roadclear.curation.clean import Cleaning, examine
from roadclear.curation.clean_page import write_review
from roadclear.curation.rules import CleanReason, CleanRules
from roadclear.features.cache import open_cache

RULES = CleanRules(look_alikes=False)


class Page(HTMLParser):
    """Tags and their attributes, and the text of every figure, by its section and case."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cases: dict[str, list[list[str]]] = {}
        self._section = ""
        self._in_figure = False
        self.feed(self.source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append((tag, values))
        if tag == "section":
            self._section = str(values["id"])
            self.cases[self._section] = []
        elif values.get("class") == "case":
            self.cases[self._section].append([])
        elif tag == "figure":
            self.cases[self._section][-1].append("")
            self._in_figure = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._in_figure = False

    def handle_data(self, data: str) -> None:
        if self._in_figure and data.strip():
            self.cases[self._section][-1][-1] += data.strip() + "|"

    def pictures(self) -> list[Image.Image]:
        sources = [str(values["src"]) for tag, values in self.tags if tag == "img"]
        return [
            Image.open(BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,")))) for source in sources
        ]


def page_of(root: Path, rules: CleanRules = RULES) -> tuple[Page, Cleaning]:
    with open_cache(None) as cache:
        cleaning = examine(root, rules, cache)
    path = root.parent / "review.html"
    write_review(path, root, cleaning.findings, cleaning.photos, rules=rules)
    return Page(path), cleaning


@pytest.mark.skipif(os.name != "posix", reason="makes pipes")
def test_every_finding_is_in_the_section_of_its_reason(tmp_path: Path) -> None:
    page, cleaning = page_of(messy_folder(tmp_path / "photos"))
    assert {reason: sum(map(len, cases)) for reason, cases in page.cases.items()} == {
        "unreadable": 7, "too-small": 1, "blank": 1, "duplicate": 2, "conflicting-label": 2
    }  # fmt: skip
    assert f"{len(cleaning.findings)} of {cleaning.photos} files would be set aside" in page.source
    assert any("empty.jpg|the file is empty" in figure for (figure,) in page.cases["unreadable"])


def test_copies_are_side_by_side_after_the_one_that_stays(tmp_path: Path) -> None:
    root = write_folder(
        tmp_path / "photos",
        {
            "crossing/a.png": photo(1),
            "crossing/b.bmp": photo(1, "BMP"),
            "crossing/c.ppm": photo(1, "PPM"),
            "crossing/x.png": photo(2),
            "empty/x.png": photo(2),
        },
    )
    page, _ = page_of(root)
    ((first, second, third),) = page.cases["duplicate"]
    assert first == "crossing|crossing/b.bmp|stays|"
    assert second == "crossing|crossing/a.png|same pixels as crossing/b.bmp|"
    assert third == "crossing|crossing/c.ppm|same pixels as crossing/b.bmp|"
    ((one, other),) = page.cases["conflicting-label"]
    assert one == "crossing|crossing/x.png|the same picture as empty/x.png, which is under empty|"
    assert other == "empty|empty/x.png|the same picture as crossing/x.png, which is under crossing|"
    assert len(page.pictures()) == 5


@pytest.mark.parametrize(
    ("width", "height", "shown"), [(400, 200, (160, 80)), (60, 100, (60, 100)), (3, 900, (1, 160))]
)
def test_pictures_are_small_and_whole(tmp_path: Path, width: int, height: int, shown: tuple[int, int]) -> None:
    wide = picture(1, width, height)
    root = write_folder(tmp_path / "photos", {"empty/a.png": encoded(wide)})
    page, _ = page_of(root, CleanRules(min_side=9999))
    (small,) = page.pictures()
    assert small.size == shown
    if min(shown) > 20:
        expected = Image.fromarray(wide).resize(shown, Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(small, dtype=int) - np.asarray(expected, dtype=int)).mean() < 8


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b'<img src=x onerror="alert(1)">.jpg', '<img src=x onerror="alert(1)">.jpg'),
        (b"\"'&amp;.jpg", "\"'&amp;.jpg"),
        (b"two\nlines.jpg", "two\\nlines.jpg"),
        (b"\xff\xfe.jpg", "\\udcff\\udcfe.jpg"),
        ("右\u202egpj.jpg".encode(), "右\\u202egpj.jpg"),
        (b"{{ 7 * 7 }}.jpg", "{{ 7 * 7 }}.jpg"),
    ],
)
def test_names_are_text_whatever_is_in_them(tmp_path: Path, name: bytes, shown: str) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{os.fsdecode(name)}": photo(1, width=20)})
    page, _ = page_of(root)
    (((figure,)),) = page.cases["too-small"]
    assert figure.split("|")[1] == f"empty/{shown}"
    assert [values["alt"] for tag, values in page.tags if tag == "img"] == [f"empty/{shown}"]


def test_the_page_loads_and_runs_nothing(tmp_path: Path) -> None:
    page, _ = page_of(write_folder(tmp_path / "photos", {"empty/a.png": photo(1, width=20)}))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "form"})
    for _, values in page.tags:
        assert not any(name.startswith("on") for name in values)
        for address in (values.get("src"), values.get("href")):
            assert address is None or address.startswith(("data:image/jpeg;base64,", "#"))
    assert "default-src 'none'" in page.source
    assert "prefers-color-scheme: dark" in page.source


def test_a_long_section_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "SHOWN", 2)
    page, _ = page_of(write_folder(tmp_path / "photos", {f"empty/{n}": b"" for n in range(5)}))
    assert len(page.cases["unreadable"]) == 2
    assert "and 3 more that are not shown" in page.source


def test_nothing_to_show(tmp_path: Path) -> None:
    page, _ = page_of(write_folder(tmp_path / "photos", {"empty/a.png": photo(1)}))
    assert page.cases == {}
    assert "The only file can stay. There is nothing to set aside." in page.source
    assert "roadclear triage" in page.source


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        (CleanRules(), ""),
        (CleanRules(look_alikes=False), " --no-look-alikes"),
        (CleanRules(("JPEG", "PNG"), 80), " --formats jpeg,png --min-side 80"),
    ],
)
def test_the_page_names_the_command_that_sets_aside_what_it_shows(
    tmp_path: Path, rules: CleanRules, options: str
) -> None:
    root = write_folder(tmp_path / "my photos", {"empty/a.png": b""})
    page, _ = page_of(root, rules)
    assert f"<code>roadclear clean &#39;{root}&#39;{options}</code>" in page.source
    assert f"<code>roadclear clean &#39;{root}&#39; --restore</code>" in page.source


def test_every_reason_has_a_heading_and_sentences() -> None:
    assert list(review._HEADINGS) == list(CleanReason)
    for heading, meaning in review._HEADINGS.values():
        assert heading[0].isupper() and meaning.endswith(".")


def test_a_section_says_what_its_reason_means(tmp_path: Path) -> None:
    page, _ = page_of(write_folder(tmp_path / "photos", {"empty/a.png": photo(1, width=20)}), CleanRules(min_side=77))
    assert "Photos that are too small" in page.source
    assert "The shorter side has fewer than 77 pixels." in page.source
