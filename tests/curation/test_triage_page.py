"""The page shows every case, its rows come back as decisions, and nothing runs but its own script."""

import base64
import csv
import hashlib
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from folders import photo, write_folder

from roadclear.curation import triage_page as page
from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.decisions import Decision, read_decisions
from roadclear.curation.triage_table import triage_table
from roadclear.data.dataset import LabelledPhoto

LABELS = ("empty", "crossing")
HOSTILE = [
    b'<img src=x onerror="alert(1)">.png',
    b"</script><script>alert(1)</script>.png",
    b"\"'&amp;,.png",
    b"two\nlines.png",
    b"\xff\xfe.png",
    "右\u202egpj.png".encode(),
    b"{{ 7 * 7 }}.png",
    b"=1+1.png",
]


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


def entry(rank: int, path: Path, reason: TriageReason = TriageReason.WRONG_LABEL) -> Entry:
    label = path.parent.name
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
    found = LabelledPhoto(path, f"{label}/{path.name}", label)
    other = next(one for one in LABELS if one != label)
    return Entry(rank, reason, found, sha256, other, 0.93, f"looks like {path.name}")


def one_by_one(paths: list[Path]) -> list[Case]:
    return [Case(TriageReason.WRONG_LABEL, (entry(rank, path),)) for rank, path in enumerate(paths, start=1)]


def rendered(cases: list[Case]) -> Page:
    return Page(page.render_page("photos", cases, LABELS, photos=100))


def hostile_photos(tmp_path: Path) -> list[Path]:
    names = [os.fsdecode(name).replace("/", "\u2215") for name in HOSTILE]
    root = write_folder(tmp_path / "photos", {f"empty/{name}": photo(seed) for seed, name in enumerate(names)})
    return [root / "empty" / name for name in names]


def test_cases_are_in_the_section_of_their_reason(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "empty/b.png": photo(2)})
    a, b = root / "crossing/a.png", root / "empty/b.png"
    printable = rendered(
        [
            Case(TriageReason.WRONG_LABEL, (entry(1, a),)),
            Case(TriageReason.LOOK_ALIKES_DISAGREE, (entry(2, a), entry(3, b))),
            Case(TriageReason.UNSURE, (entry(4, b),)),
        ]
    )
    assert printable.cases == {"wrong-label": [1], "look-alikes-disagree": [2], "unsure": [1]}
    assert len(printable.all("img")) == 4
    assert "4 of 100 photos to look at" in printable.source
    assert "the model says 93% crossing: <strong>empty?</strong>" in printable.source


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
def test_names_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    paths = hostile_photos(tmp_path)
    printable = rendered(one_by_one(paths))
    assert [values["alt"] for values in printable.all("img")] == [f"empty/{printable(path.name)}" for path in paths]
    assert len(printable.all("script")) == 1
    assert "49.png" not in printable.source
    assert "\u202e" not in printable.source


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
@pytest.mark.parametrize(("button", "label"), [(1, "crossing"), (2, None)])
def test_what_the_script_saves_is_read_back_as_decisions(tmp_path: Path, button: int, label: str | None) -> None:
    """The script joins the header and the values of the chosen buttons, and has no other part in it."""
    paths = hostile_photos(tmp_path)
    printable = rendered(one_by_one(paths))
    buttons = [str(values["value"]) for values in printable.all("input")]
    chosen = [str(printable.all("button")[0]["data-header"]), *buttons[button::3]]
    (tmp_path / "decisions.csv").write_bytes(b"".join(map(base64.b64decode, chosen)))
    assert read_decisions(tmp_path / "decisions.csv") == [
        Decision(f"empty/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest(), label) for path in paths
    ]
    kept = [str(printable.all("button")[0]["data-header"]), *buttons[0::3]]
    (tmp_path / "decisions.csv").write_bytes(b"".join(map(base64.b64decode, kept)))
    assert read_decisions(tmp_path / "decisions.csv") == []


def test_only_the_pages_own_script_may_run(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    printable = rendered(one_by_one([root / "empty/a.png"]))
    (script,) = re.findall(r"<script>(.*?)</script>", printable.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (values["content"] for values in printable.all("meta") if values.get("http-equiv"))
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert {tag for tag, _ in printable.tags}.isdisjoint({"link", "iframe", "object", "form"})
    for _, values in printable.tags:
        assert not any(name.startswith("on") for name in values)
        for address in (values.get("src"), values.get("href")):
            assert address is None or address.startswith(("data:image/jpeg;base64,", "#"))


def test_without_script_the_page_says_what_else_can_be_done(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    printable = rendered(one_by_one([root / "empty/a.png"]))
    (button,) = printable.all("button")
    assert "hidden" in button
    assert "into the column decision of triage.csv" in printable.source
    assert "prefers-color-scheme: dark" in printable.source


def test_every_photo_has_its_own_buttons_and_none_is_chosen(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{number}.png": photo(number) for number in range(3)})
    buttons = rendered(one_by_one(sorted((root / "empty").iterdir()))).all("input")
    assert [values["name"] for values in buttons] == [f"photo-{rank}" for rank in (1, 2, 3) for _ in range(3)]
    assert not any("checked" in values for values in buttons)


def test_a_photo_that_is_gone_has_no_picture(tmp_path: Path) -> None:
    printable = rendered(one_by_one([tmp_path / "empty" / "gone.png"]))
    assert printable.all("img") == []
    assert "no picture" in printable.source


def test_a_long_section_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SHOWN", 2)
    printable = rendered(one_by_one([tmp_path / "empty" / f"{number}.png" for number in range(5)]))
    assert printable.cases == {"wrong-label": [1, 1]}
    assert "and 3 more, which are in triage.csv" in printable.source


def test_nothing_to_look_at() -> None:
    assert "No label is doubtful" in rendered([]).source


@pytest.mark.skipif(os.name != "posix", reason="names made of any bytes")
def test_the_table_keeps_every_name_and_is_a_table_of_decisions(tmp_path: Path) -> None:
    paths = hostile_photos(tmp_path)
    table = triage_table(one_by_one(paths))
    rows = list(csv.DictReader(io.StringIO(table.decode(errors="surrogateescape"), newline="")))
    assert list(rows[0]) == ["rank", "reason", "file", "label", "suggested", "probability", "decision", "sha256"]
    assert [row["file"] for row in rows] == [f"empty/{path.name}" for path in paths]
    assert {(row["reason"], row["label"], row["suggested"], row["probability"], row["decision"]) for row in rows} == {
        ("wrong-label", "empty", "crossing", "0.9300", "")
    }
    (tmp_path / "triage.csv").write_bytes(table)
    assert read_decisions(tmp_path / "triage.csv") == []
