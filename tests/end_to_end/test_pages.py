"""Every page in a real browser: nothing overflows, nothing is refused by axe-core, keys and clicks do what they say.

Needs Chromium (`chromium` on the path, or CHROMIUM), the package playwright as its driver, and the file axe.min.js of
the npm package axe-core, named by AXE_CORE. What is missing is named when the tests are skipped.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from heads import drawn_model
from scenes import write_scenes

from roadclear import Model
from roadclear.curation.clean import examine
from roadclear.curation.clean_page import write_review
from roadclear.curation.decisions import read_decisions
from roadclear.curation.rules import CleanRules
from roadclear.curation.triage import triage, write_proposals, write_triage
from roadclear.curation.unlabelled import Proposals, propose
from roadclear.data.dataset import load_folder
from roadclear.deploy.watch.events import Event, State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.page import write_page
from roadclear.deploy.watch.timeline import Summary
from roadclear.features.cache import open_cache
from roadclear.report.gallery import INDEX, find_mistakes, write_gallery
from roadclear.report.page import build_report
from roadclear.training.config import TrainSettings
from roadclear.training.crosschecks import crosscheck
from roadclear.training.recipe import train
from roadclear.utils.paths import default_cache_path

pytestmark = pytest.mark.slow

PAGES = ("report", "triage", "label-next", "gallery", "clean", "watch")
WIDTHS = (390, 768, 1440)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos with two wrong labels, a copy and a file that is no photo."""
    root = shutil.copytree(drawn_photos, tmp_path_factory.mktemp("pages") / "photos")
    for photo in sorted((root / "empty").iterdir())[:2]:
        photo.rename(root / "crossing" / f"moved-{photo.name}")
    last = max((root / "empty").iterdir())
    shutil.copy(last, root / "empty" / "zz-copy.jpg")
    (root / "empty" / "zz-broken.jpg").write_bytes(b"no photo")
    return root


@pytest.fixture(scope="module")
def pages(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("html")
    settings = TrainSettings(size=96, views=0, epochs=5, positive="crossing")
    linear = TrainSettings(size=96, head="linear", positive="crossing")
    dataset = load_folder(folder)
    with open_cache(default_cache_path()) as cache:
        training = train(dataset, settings, cache)
        found = triage(dataset, linear, cache, folds=3, repeats=1)
        cleaning = examine(folder, CleanRules(), cache)
    (out / "report.html").write_bytes(build_report(training, folder, crosscheck(training)))
    write_triage(out / "triage", folder, found, overwrite=False)
    write_review(out / "clean.html", folder, cleaning.findings, cleaning.photos)
    model = Model(drawn_model())
    answers = [model.predict(photo.path) for photo in dataset.photos if "broken" not in photo.file]
    wrong = [(answer, "empty" if answer.label == "crossing" else "crossing") for answer in answers[:5]]
    write_gallery(out / "gallery", model, find_mistakes(wrong, "crossing"), len(wrong))
    write_proposals(out / "next", folder, proposals(folder, out / "unlabelled"), overwrite=False)
    (out / "watch.html").write_bytes(watch_page(model, dataset.photos[0].path.read_bytes()))
    return {
        "report": out / "report.html",
        "triage": out / "triage" / "triage.html",
        "label-next": out / "next" / "triage.html",
        "gallery": out / "gallery" / INDEX,
        "clean": out / "clean.html",
        "watch": out / "watch.html",
    }


def proposals(folder: Path, unlabelled: Path) -> Proposals:
    """Proposals for ten photos, which are copies of labelled ones or not."""
    write_scenes(unlabelled, per_label=5, seed=9)
    with open_cache(default_cache_path()) as cache:
        return propose(folder, unlabelled, TrainSettings(size=96, positive="crossing"), cache)


def watch_page(model: Model, thumbnail: bytes) -> bytes:
    """The page of 30 hours with an event an hour."""
    summary = Summary(60.0, datetime(2026, 6, 1, 6, 30, tzinfo=UTC))
    for minute in range(30 * 60):
        on = minute % 60 < 2
        answer = Answer(60.0 * minute, 0.9 if on else 0.3, False, False)
        summary.add(State(answer, 0.9 if on else 0.1), thumbnail)
        if minute % 60 == 2:
            summary.add_event(
                Event(minute // 60 + 1, answer.time - 120, answer.time, answer.time, 0.9, 2, 1.8, 0, True)
            )
    return write_page(summary, model.facts, "rtsp://***@camera.example:554/a-long-name-without-a-blank-in-it", 3)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: install chromium, or name the program by CHROMIUM")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, pages: dict[str, Path]) -> Iterator[OpenPage]:
    """Open a page. What the page logs as an error, and every address it asks for, fails the test."""
    contexts, errors = [], []

    def opened(name: str, width: int = 1440, scheme: str = "light", **options: Any) -> Any:
        options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, **options}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: _refuse_address(request.url, pages[name], errors))
        page.goto(pages[name].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def _refuse_address(address: str, page: Path, errors: list[str]) -> None:
    if address.split("#")[0] != page.as_uri() and not address.startswith(("data:image/", "blob:")):
        errors.append(f"the page asks for {address[:100]}")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(open_page: OpenPage, name: str, width: int) -> None:
    page = open_page(name, width)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_issue(open_page: OpenPage, name: str, scheme: str, width: int) -> None:
    axe = os.environ.get("AXE_CORE")
    if axe is None:
        pytest.skip("needs axe-core: `npm pack axe-core`, and name its axe.min.js by AXE_CORE")
    # Chromium keeps scripts of others out by the page's own policy, so the policy is set aside for this look.
    page = open_page(name, width, scheme, bypass_csp=True)
    page.evaluate(Path(axe).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    issues = {issue["id"]: issue["nodes"][0]["html"] for issue in found["violations"]}
    assert issues == {}


@pytest.mark.parametrize("name", ["report", "gallery", "triage"])
def test_a_click_enlarges_one_photo_at_a_time(open_page: OpenPage, name: str) -> None:
    page = open_page(name)
    pictures = page.locator("details[name=photo] summary img:first-child")
    small = pictures.nth(0).bounding_box()["width"]
    pictures.nth(0).click()
    assert pictures.nth(0).bounding_box()["width"] > 1.4 * small
    pictures.nth(1).click()
    assert page.locator("details[name=photo][open]").count() == 1
    assert pictures.nth(0).bounding_box()["width"] == pytest.approx(small, abs=1)


def test_the_contents_of_the_report_fold_on_a_phone_only(open_page: OpenPage) -> None:
    for width, folded in ((390, True), (768, False), (1440, False)):
        page = open_page("report", width)
        first = page.locator("nav a").first
        assert first.is_visible() is not folded
        assert page.locator("nav summary").is_visible() is folded
    phone = open_page("report", 390)
    phone.locator("nav summary").click()
    assert phone.locator("nav a").first.is_visible()


def test_wide_screens_use_both_halves_of_the_report(open_page: OpenPage) -> None:
    page = open_page("report")
    for section in ("header", "section:has(#results)", "section:has(#photos)", "section:has(#data)"):
        box = page.locator(section).bounding_box()
        children = page.locator(f"{section} .halves > div").all()
        assert any(child.bounding_box()["x"] > box["x"] + box["width"] / 2 for child in children), section


def test_a_photo_stands_beside_its_map(open_page: OpenPage) -> None:
    left, right = (open_page("gallery").locator("li img").nth(number).bounding_box() for number in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    page = open_page("triage")
    photo = page.locator("figure:has(.map)").first
    assert not photo.locator(".map").is_visible()
    photo.locator("summary").click()
    left, right = (photo.locator("img").nth(number).bounding_box() for number in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]


def test_keys_decide(open_page: OpenPage, folder: Path, tmp_path: Path) -> None:
    page = open_page("triage", accept_downloads=True)
    names = [text.split("Decision on ")[1] for text in page.locator("legend").all_text_contents()]
    keys = ["ArrowRight", "1", "ArrowRight", "2", "ArrowRight", "s", "ArrowRight", "s", "s", "ArrowLeft", "ArrowLeft"]
    for key in keys:
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.closest('figure').querySelector('input').name") == "photo-2"
    assert page.locator("#save").inner_text() == "Save 3 decisions"
    page.keyboard.press("Enter")
    assert page.locator("figure").nth(1).locator("details").get_attribute("open") is not None
    page.keyboard.press("ArrowRight")
    assert page.locator("figure").nth(2).locator("details").get_attribute("open") is not None
    page.keyboard.press("Escape")
    assert page.locator("details[open]").count() == 0
    with page.expect_download() as waiting:
        page.locator("#save").click()
    assert waiting.value.suggested_filename == "decisions.csv"
    assert "folder for downloads" in page.locator("#report").inner_text()
    waiting.value.save_as(tmp_path / "decisions.csv")
    asked = {names[0]: "empty", names[1]: "crossing", names[2]: None}
    moves = {file: label for file, label in asked.items() if label is None or not file.startswith(label)}
    assert {decision.file: decision.label for decision in read_decisions(tmp_path / "decisions.csv")} == moves
    assert set(moves) <= {photo.file for photo in load_folder(folder).photos}


def test_all_suggestions_are_accepted_and_no_decision_is_changed(open_page: OpenPage) -> None:
    page = open_page("triage")
    suggested = page.locator("figure:has([data-suggested])")
    total = suggested.count()
    assert total > 1
    suggested.nth(0).locator("[data-key=s]").check()
    assert page.locator("#accept").inner_text() == f"Accept all {total - 1} suggestion{'' if total == 2 else 's'}"
    page.locator("#accept").click()
    assert page.locator("[data-suggested]:checked").count() == total - 1
    assert suggested.nth(0).locator("[data-key=s]").is_checked()
    assert page.locator("#accept").is_disabled()
    page.locator("#clear").click()
    assert page.locator("input:checked").count() == 0


def test_arrows_after_a_click_change_no_decision(open_page: OpenPage) -> None:
    page = open_page("triage")
    page.locator("figure").nth(0).locator("[data-key='1']").click()
    page.keyboard.press("ArrowRight")
    assert page.locator("figure").nth(0).locator("[data-key='1']").is_checked()
    assert page.locator("input:checked").count() == 1


def test_the_page_of_cleaning_names_the_next_command(open_page: OpenPage, folder: Path) -> None:
    text = open_page("clean").locator("main").inner_text()
    assert f"Next: roadclear clean {folder}\n" in text and f"roadclear clean {folder} --restore" in text
    assert "These files are empty, damaged, too large, or no photos." in text
