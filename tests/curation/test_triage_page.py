"""The page shows every case, its rows come back as decisions, and nothing runs but its own script."""

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cases import LABELS, entry, hostile_photos, one_by_one
from folders import photo, write_folder

from roadclear.curation import triage_page as page
from roadclear.curation.cases import Case, TriageReason
from roadclear.curation.decisions import Decision, read_decisions
from roadclear.utils.text import printable


class Page(HTMLParser):
    """Tags with their attributes, and figures by section and case."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.source = source.decode()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cases: dict[str, list[int]] = {}
        self._section = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append((tag, values))
        if tag == "section":
            self._section = str(values["id"])
            self.cases[self._section] = []
        elif values.get("class") == "case":
            self.cases[self._section].append(0)
        elif tag == "figure":
            self.cases[self._section][-1] += 1

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [values for name, values in self.tags if name == tag]


def rendered(cases: list[Case]) -> Page:
    return Page(page.render_page("photos", cases, LABELS, photos=100))


def test_cases_are_in_the_section_of_their_reason(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "empty/b.png": photo(2)})
    a, b = root / "crossing/a.png", root / "empty/b.png"
    shown = rendered(
        [
            Case(TriageReason.WRONG_LABEL, (entry(1, a),)),
            Case(TriageReason.LOOK_ALIKES_DISAGREE, (entry(2, a), entry(3, b))),
            Case(TriageReason.UNSURE, (entry(4, b),)),
        ]
    )
    assert shown.cases == {"wrong-label": [1], "look-alikes-disagree": [2], "unsure": [1]}
    assert len(shown.all("img")) == 4
    assert "4 of 100 photos need a review" in shown.source
    assert "93% crossing. Suggested: <strong>empty</strong>" in shown.source


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
def test_names_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    paths = hostile_photos(tmp_path)
    shown = rendered(one_by_one(paths))
    assert [values["alt"] for values in shown.all("img")] == [f"empty/{printable(path.name)}" for path in paths]
    assert len(shown.all("script")) == 1
    assert "49.png" not in shown.source
    assert "\u202e" not in shown.source


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
@pytest.mark.parametrize(("button", "label"), [(1, "crossing"), (2, None)])
def test_what_the_script_saves_is_read_back_as_decisions(tmp_path: Path, button: int, label: str | None) -> None:
    """The script joins the header and the values of the chosen buttons, and has no other part in it."""
    paths = hostile_photos(tmp_path)
    shown = rendered(one_by_one(paths))
    buttons = [str(values["value"]) for values in shown.all("input")]
    chosen = [str(shown.all("button")[0]["data-header"]), *buttons[button::3]]
    (tmp_path / "decisions.csv").write_bytes(b"".join(map(base64.b64decode, chosen)))
    assert read_decisions(tmp_path / "decisions.csv") == [
        Decision(f"empty/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest(), label) for path in paths
    ]
    kept = [str(shown.all("button")[0]["data-header"]), *buttons[0::3]]
    (tmp_path / "decisions.csv").write_bytes(b"".join(map(base64.b64decode, kept)))
    assert read_decisions(tmp_path / "decisions.csv") == []


def test_only_the_pages_own_script_may_run(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    shown = rendered(one_by_one([root / "empty/a.png"]))
    (script,) = re.findall(r"<script>(.*?)</script>", shown.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (values["content"] for values in shown.all("meta") if values.get("http-equiv"))
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert {tag for tag, _ in shown.tags}.isdisjoint({"link", "iframe", "object", "form"})
    for _, values in shown.tags:
        assert not any(name.startswith("on") for name in values)
        for address in (values.get("src"), values.get("href")):
            assert address is None or address.startswith(("data:image/jpeg;base64,", "#"))


def test_without_script_the_page_says_what_else_can_be_done(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    shown = rendered(one_by_one([root / "empty/a.png"]))
    (button,) = shown.all("button")
    assert "hidden" in button
    assert "into the column <code>decision</code> of triage.csv" in shown.source
    assert "prefers-color-scheme: dark" in shown.source


def test_every_photo_has_its_own_buttons_and_none_is_chosen(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{number}.png": photo(number) for number in range(3)})
    buttons = rendered(one_by_one(sorted((root / "empty").iterdir()))).all("input")
    assert [values["name"] for values in buttons] == [f"photo-{rank}" for rank in (1, 2, 3) for _ in range(3)]
    assert not any("checked" in values for values in buttons)


def test_a_photo_that_is_gone_has_no_picture(tmp_path: Path) -> None:
    shown = rendered(one_by_one([tmp_path / "empty" / "gone.png"]))
    assert shown.all("img") == []
    assert "no picture" in shown.source


def test_a_long_section_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SHOWN", 2)
    shown = rendered(one_by_one([tmp_path / "empty" / f"{number}.png" for number in range(5)]))
    assert shown.cases == {"wrong-label": [1, 1]}
    assert "and 3 more that are in triage.csv" in shown.source


def test_nothing_to_look_at() -> None:
    assert "There are no label issues" in rendered([]).source
