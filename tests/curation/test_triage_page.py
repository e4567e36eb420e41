"""The page shows every case, its rows come back as decisions, and nothing runs but its own script."""

import base64
import hashlib
import os
import re
import zipfile
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from cases import LABELS, entry, hostile_photos, one_by_one
from folders import photo, write_folder
from numpy.typing import NDArray
from PIL import Image

from roadclear.curation import triage_page as page
from roadclear.curation.cases import Case, Entry, TriageReason
from roadclear.curation.decisions import Decision, read_decisions
from roadclear.data.dataset import LabelledPhoto
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


def rendered(cases: list[Case], maps: dict[str, NDArray[np.float32]] | None = None) -> Page:
    return Page(page.render_page(page.Subject(100, LABELS, Path("photos")), cases, maps or {}))


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
@pytest.mark.parametrize(("key", "label"), [("2", "crossing"), ("s", None)])
def test_what_the_script_saves_is_read_back_as_decisions(tmp_path: Path, key: str, label: str | None) -> None:
    """The script joins the header and the values of the chosen buttons, and has no other part in it."""
    paths = hostile_photos(tmp_path)
    shown = rendered(one_by_one(paths))
    header = str(shown.all("button")[0]["data-header"])
    chosen = [header, *(str(values["value"]) for values in shown.all("input") if values["data-key"] == key)]
    (tmp_path / "decisions.csv").write_bytes(b"".join(map(base64.b64decode, chosen)))
    assert read_decisions(tmp_path / "decisions.csv") == [
        Decision(f"empty/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest(), label) for path in paths
    ]
    kept = [header, *(str(values["value"]) for values in shown.all("input") if values["data-key"] == "1")]
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
    (bar,) = (values for values in shown.all("div") if values.get("id") == "bar")
    assert "hidden" in bar
    assert "into the column <code>decision</code> of triage.csv" in shown.source
    assert "prefers-color-scheme: dark" in shown.source


def test_the_way_on_is_that_of_the_source(tmp_path: Path) -> None:
    """Only the files of a folder are moved."""
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    cases = one_by_one([root / "empty/a.png"])
    (tmp_path / "labels.csv").write_text("file,label\n")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("empty/a.png", b"x")
    table, archived = (
        page.render_page(page.Subject(1, LABELS, tmp_path / name), cases, {}).decode()
        for name in ("labels.csv", "photos.zip")
    )
    assert "Change the column <code>label</code> of" in table
    assert "--apply" not in table
    assert "Unpack the archive." in archived
    assert "<code>roadclear triage FOLDER --apply ~/Downloads/decisions.csv</code>" in archived
    assert "photos.zip --apply" not in archived


def test_every_photo_has_its_own_buttons_and_none_is_chosen(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{number}.png": photo(number) for number in range(3)})
    buttons = rendered(one_by_one(sorted((root / "empty").iterdir()))).all("input")
    assert [values["name"] for values in buttons] == [f"photo-{rank}" for rank in (1, 2, 3) for _ in range(3)]
    assert not any("checked" in values for values in buttons)


def test_a_key_means_one_label_on_every_photo(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "empty/b.png": photo(2)})
    shown = rendered(one_by_one([root / "crossing/a.png", root / "empty/b.png"]))
    rows = [base64.b64decode(str(values["value"])).decode().strip().split(",") for values in shown.all("input")]
    assert [row[2] for row in rows] == ["move to empty", "keep", "set aside", "keep", "move to crossing", "set aside"]
    assert [values["data-key"] for values in shown.all("input")] == ["1", "2", "s"] * 2
    suggested = [row[2] for row, values in zip(rows, shown.all("input"), strict=True) if "data-suggested" in values]
    assert suggested == ["move to empty", "move to crossing"]


def test_a_photo_stands_beside_its_map(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {f"empty/{name}.png": photo(1) for name in "ab"})
    heatmap = np.array([[0.25, -0.125], [0.0, 0.0]], np.float32)
    shown = rendered(one_by_one([root / "empty/a.png", root / "empty/b.png"]), {"empty/a.png": heatmap})
    assert [values.get("class") for values in shown.all("img")] == [None, "map", None]
    assert "Full colour is at ±0.25 log-odds" in shown.source


def test_only_the_first_photos_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LARGE", 1)
    root = write_folder(tmp_path / "photos", {f"empty/{n}.png": photo(n, width=800, height=600) for n in range(2)})
    sources = [str(values["src"]) for values in rendered(one_by_one(sorted((root / "empty").iterdir()))).all("img")]
    pictures = [Image.open(BytesIO(base64.b64decode(source.split(",")[1]))) for source in sources]
    assert [picture.size for picture in pictures] == [(640, 480), (224, 168)]


def test_the_page_says_where_decisions_land_and_what_is_next(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"empty/a.png": photo(1)})
    source = rendered(one_by_one([root / "empty/a.png"])).source
    assert "into its folder for downloads" in source
    assert "roadclear triage photos --apply ~/Downloads/decisions.csv" in source
    assert "roadclear triage photos --undo" in source


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


def unlabelled(folder: Path, reason: TriageReason, suggested: str, rank: int = 1) -> Case:
    path = folder / f"{rank}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(photo(rank))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    found = LabelledPhoto(path, path.name, "")
    return Case(reason, (Entry(rank, reason, found, sha256, suggested, 0.7, "least certain of 9 similar photos"),))


def test_unlabelled_photos_are_guessed_and_the_commands_name_both_folders(tmp_path: Path) -> None:
    folder = tmp_path / "new photos"
    cases = [unlabelled(folder, TriageReason.LABEL_NEXT, "crossing")]
    shown = Page(page.render_page(page.Subject(30, LABELS, Path("photos"), folder), cases, {}))
    assert shown.cases == {"label-next": [1]}
    assert f"<h1>Triage of {folder}</h1>" in shown.source
    assert "1 of 30 unlabelled photos are listed" in shown.source
    assert "Predicted <strong>crossing</strong>, 70% crossing, least certain of 9 similar photos" in shown.source
    assert f"roadclear triage photos --unlabelled &#39;{folder}&#39; --apply ~/Downloads/decisions.csv" in shown.source
    assert f"roadclear triage photos --unlabelled &#39;{folder}&#39; --undo" in shown.source
    assert not any("data-suggested" in values for values in shown.all("input"))
    rows = [base64.b64decode(str(values["value"])).decode().strip().split(",")[2] for values in shown.all("input")]
    assert rows == ["move to empty", "move to crossing", "set aside"]


def test_proposals_of_a_model_have_a_section_for_each_label(tmp_path: Path) -> None:
    cases = [
        unlabelled(tmp_path, TriageReason.UNSURE, "empty", 1),
        unlabelled(tmp_path, TriageReason.PROPOSAL, "empty", 2),
        unlabelled(tmp_path, TriageReason.PROPOSAL, "crossing", 3),
    ]
    shown = Page(page.render_page(page.Subject(3, LABELS, None, tmp_path, "stock"), cases, {}))
    assert shown.cases == {"unsure": [1], "proposal-1": [1], "proposal-2": [1]}
    assert shown.source.index("Proposed: crossing") < shown.source.index("Proposed: empty")
    assert f"roadclear triage PHOTOS --unlabelled {tmp_path} --apply" in shown.source
    assert "from the model stock" in shown.source
    assert sum("data-suggested" in values for values in shown.all("input")) == 2
