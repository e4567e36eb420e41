"""The page in Chromium, driven by roles and names: from two empty labels to an exported page that answers.

Needs Chromium (`chromium` on the path, or CHROMIUM). The exported page needs Node.js, and npm or ONNXRUNTIME_WEB.
SCREENSHOTS names a folder for the pictures of the documentation, docs/images. They show drawn scenes.
"""

import os
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scenes import draw_scene, write_scenes
from studios import SMALL, RunningStudio, running_studio, wait_for

from roadclear.curation.journal import read_journal
from roadclear.errors import EngineError
from roadclear.model.predictor import load
from roadscenes import write_scenes as draw_street_scenes

pytest.importorskip("fastapi", reason="needs the extra serve: pip install 'roadclear[serve]'")
pytestmark = pytest.mark.slow

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
MARKUP = '<img src=x onerror="document.title=1">.jpg'
PER_LABEL, MORE = 100, 10
OPTIONS = () if "SCREENSHOTS" in os.environ else SMALL


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a camera that shows two scenes in turns."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: install chromium, or name the program by CHROMIUM")
    clip = fake_camera(tmp_path_factory.mktemp("camera") / "clip.y4m")
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=[*QUIET, *camera, f"--use-file-for-fake-video-capture={clip}"]
        )
        yield chromium
        chromium.close()


def fake_camera(path: Path) -> Path:
    """Write two sharp pictures and a blurred one as a Y4M video, a second each."""
    pictures = [draw_scene(seed, figure=True).resize((320, 240)) for seed in (1, 2)]
    pictures.append(pictures[0].resize((8, 6)).resize((320, 240)))
    frames = b""
    for picture in pictures:
        luma, blue, red = (np.asarray(part) for part in picture.convert("YCbCr").split())
        frames += 10 * (b"FRAME\n" + b"".join(part.tobytes() for part in (luma, blue[::2, ::2], red[::2, ::2])))
    path.write_bytes(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420jpeg\n" + frames)
    return path


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Open a page. Its errors, what its policy refuses, and requests beyond this machine fail the test."""
    yield from open_context(browser, {"width": 1440, "height": 900})


def open_context(browser: Any, viewport: dict[str, int]) -> Iterator[Any]:
    context = browser.new_context(viewport=viewport, permissions=["camera"], accept_downloads=True)
    tab, wrong = context.new_page(), []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    allowed = ("http://127.0.0.1:", "blob:", "data:", "file:")
    tab.on("request", lambda request: None if request.url.startswith(allowed) else wrong.append(request.url[:100]))
    tab.set_default_timeout(60_000)
    yield tab
    context.close()
    assert [text for text in wrong if not text.startswith("Failed to load resource")] == []


def accuracy(tab: Any) -> float:
    found = re.search(r"(\d+\.\d)%", tab.get_by_role("region", name="Accuracy").inner_text())
    return float(found.group(1)) if found else float("nan")


def settled(tab: Any, studio: RunningStudio) -> None:
    """Wait until the page shows the numbers of the photos as they are now."""
    numbers = tab.locator(".numbers")
    wait_for(lambda: numbers.get_attribute("data-version") == str(studio.ask("api/photos")["version"]))
    tab.locator(".hero:not(.none)").wait_for()


def screenshot(tab: Any, name: str, part: str | None = None) -> None:
    """Take a picture of the page, or of a part of it, for the documentation."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        wait_for(lambda: tab.locator("img").evaluate_all("all => all.every((one) => one.complete)"))
        shown = tab if part is None else tab.locator(part)
        picture = Image.open(BytesIO(shown.screenshot(animations="disabled")))
        picture.save(Path(folder) / f"{name}.webp", quality=82, method=6)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A hundred photos a label, and some more: real ones where they are, else drawn ones."""
    real = Path(__file__).resolve().parents[4] / "shared" / "data" / "roads"
    drawn = tmp_path_factory.mktemp("drawn") / "photos"
    if "SCREENSHOTS" in os.environ:
        draw_street_scenes(drawn, count=2 * (PER_LABEL + MORE))
    elif not real.is_dir():
        write_scenes(drawn, per_label=PER_LABEL + MORE)
    folder = drawn if drawn.exists() else real
    return {label: spread(sorted((folder / label).iterdir())) for label in ("crossing", "empty")}


def spread(paths: list[Path]) -> list[Path]:
    """Choose photos from all over a list."""
    return [paths[int(place)] for place in np.linspace(0, len(paths) - 1, PER_LABEL + MORE)]


def test_from_two_empty_labels_to_an_exported_page(
    opened: Any, browser: Any, sources: dict[str, list[Path]], tmp_path: Path
) -> None:
    runtime = find_runtime()
    options = [] if runtime is None else ["--runtime", str(runtime)]
    with running_studio("photos", *OPTIONS, *options, cwd=tmp_path) as studio:
        opened.goto(studio.address)
        for label, paths in sources.items():
            opened.get_by_label(f"Add photos to {label}").set_input_files(paths[:PER_LABEL])
        for label in sources:
            opened.get_by_role("region", name=label).get_by_text(f"{PER_LABEL} photos").wait_for()
        settled(opened, studio)
        first = accuracy(opened)
        assert first > 70
        chosen = opened.get_by_role("listbox", name="Photos of crossing").get_by_role("option")
        for number in range(10):
            chosen.nth(number).click(modifiers=["ControlOrMeta"])
        opened.get_by_role("button", name="Move to empty").click()
        opened.get_by_text(f"Accuracy went from {first}% to").wait_for()
        assert len(read_journal(tmp_path / "photos")) == 10
        screenshot(opened, "studio-changed", ".numbers")
        opened.get_by_role("button", name="Undo").click()
        opened.get_by_role("region", name="crossing").get_by_text(f"{PER_LABEL} photos").wait_for()
        settled(opened, studio)
        assert accuracy(opened) == first
        label_what_helps(opened, studio, [path for paths in sources.values() for path in paths[PER_LABEL:]])
        photo = sources["crossing"][3]
        answer = try_photo(opened, photo)
        opened.get_by_role("button", name="Export").click()
        opened.get_by_text("Exported to").wait_for(timeout=240_000)
        (run,) = [path for path in (tmp_path / "runs").iterdir() if not path.name.endswith("-web")]
        said = load(run).explain(photo)
        assert answer == (said.prediction.answer, pytest.approx(said.logit, abs=1e-4))
        assert (
            " ".join(["roadclear train photos", *OPTIONS, f"--out runs/{run.name}"])
            in opened.get_by_label("The command").inner_text()
        )
        with opened.expect_download() as download:
            opened.get_by_role("link", name="Model").click()
        assert Path(download.value.path()).read_bytes() == (run / "model.onnx").read_bytes()
        if runtime is not None:
            check_exported_page(browser, run.with_name(f"{run.name}-web") / "index.html", photo, said.logit)


def label_what_helps(tab: Any, studio: RunningStudio, paths: list[Path]) -> None:
    """Add unlabelled photos, give the most useful one a label by a key, and take both back."""
    tab.get_by_label("Add unlabelled photos").set_input_files(paths)
    tab.get_by_role("region", name="Unlabelled").get_by_text(f"{len(paths)} photos").wait_for()
    tab.get_by_role("group", name="Kinds of what to do").get_by_role("button", name=f"Unlabelled {len(paths)}").click()
    tab.get_by_text("This photo has no label.").wait_for()
    tab.get_by_text("Orange speaks for crossing").wait_for()
    settled(tab, studio)
    screenshot(tab, "studio")
    tab.locator("body").press("1")
    tab.get_by_role("region", name="crossing").get_by_text(f"{PER_LABEL + 1} photos").wait_for()
    for left in (len(paths), 0):
        tab.get_by_role("button", name="Undo").click()
        tab.get_by_role("region", name="Unlabelled").get_by_text(f"{left} photos").wait_for()
    settled(tab, studio)


def find_runtime() -> Path | None:
    """The folder that ONNXRUNTIME_WEB names; None where the web page cannot be made."""
    from roadclear.deploy.export.web.runtime import get_runtime, node

    given = os.environ.get("ONNXRUNTIME_WEB")
    try:
        node()
        get_runtime(None if given is None else Path(given))
    except EngineError:
        return None
    return None if given is None else Path(given)


def try_photo(tab: Any, photo: Path) -> tuple[str, float]:
    tab.get_by_role("tab", name="Try").click()
    tab.get_by_label("Choose a photo to try").set_input_files(photo)
    result = tab.locator("[data-logit]")
    result.wait_for()
    screenshot(tab, "studio-try", ".rail")
    return result.get_attribute("data-answer"), float(result.get_attribute("data-logit"))


def check_exported_page(browser: Any, page: Path, photo: Path, logit: float) -> None:
    tab = browser.new_page()
    tab.goto(page.as_uri())
    tab.get_by_text("Ready.", exact=True).wait_for(timeout=60_000)
    tab.set_input_files("#files", [photo])
    tab.locator("#results [data-logit]").wait_for(timeout=60_000)
    found = float(tab.locator("#results [data-logit]").first.get_attribute("data-logit"))
    assert found == pytest.approx(logit, abs=0.05)
    tab.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningStudio, Path]]:
    """A studio on drawn photos, with a broken one, and one whose name is markup."""
    folder = write_scenes(tmp_path_factory.mktemp("small") / "photos", per_label=20)
    draw_scene(77, figure=False).save(folder / "empty" / MARKUP)
    (folder / "crossing/broken.jpg").write_bytes(b"\xff\xd8 no photo")
    with running_studio(folder, *SMALL, cwd=folder.parent) as studio:
        studio.numbers(1)
        yield studio, folder


def test_keys_do_everything(opened: Any, small: tuple[RunningStudio, Path]) -> None:
    studio, folder = small
    opened.goto(studio.address)
    settled(opened, studio)
    opened.get_by_text("This file cannot be read.").wait_for()
    opened.get_by_text("This file cannot be shown.").wait_for()
    opened.locator("body").press("s")
    opened.wait_for_function("() => !document.body.innerText.includes('This file cannot be read.')")
    assert not (folder / "crossing/broken.jpg").exists()
    photos = opened.get_by_role("listbox", name="Photos of empty")
    photos.focus()
    opened.keyboard.press("Home")
    active = opened.locator(f"#{photos.get_attribute('aria-activedescendant')}")
    assert active.get_attribute("aria-label").startswith(f"empty/{MARKUP}")
    assert opened.title() == "roadclear studio" and active.locator("img").count() == 1
    opened.keyboard.press("Enter")
    opened.get_by_role("dialog", name=f"empty/{MARKUP}").wait_for()
    opened.keyboard.press("h")
    opened.get_by_role("dialog").get_by_text("Orange speaks for crossing").wait_for()
    opened.keyboard.press("Escape")
    assert opened.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    opened.keyboard.press("m")
    opened.get_by_role("status").get_by_text("1 photo moved to crossing.").wait_for()
    assert (folder / "crossing" / MARKUP).is_file()
    opened.keyboard.press("Control+z")
    opened.get_by_role("status").get_by_text("Taken back: 1 photo.").wait_for()
    assert (folder / "empty" / MARKUP).is_file()
    opened.get_by_role("region", name="empty").get_by_text("21 photos").wait_for()
    photos.focus()
    opened.keyboard.press("Control+a")
    opened.get_by_text("21 selected").wait_for()


def test_the_camera_is_answered_and_takes_photos(opened: Any, small: tuple[RunningStudio, Path]) -> None:
    studio, folder = small
    opened.goto(studio.address)
    settled(opened, studio)
    opened.get_by_role("tab", name="Try").click()
    opened.get_by_role("button", name="Use the camera").click()
    opened.locator("[data-logit]").wait_for()
    opened.get_by_role("button", name="Stop the camera").click()
    opened.get_by_role("tab", name="Get photos").click()
    opened.get_by_role("button", name="Use the camera").click()
    holder = opened.get_by_role("button", name="Hold to take photos of empty")
    wait_for(holder.is_enabled)
    holder.focus()
    opened.keyboard.down("Space")
    opened.get_by_text(re.compile(r"^[23] kept, [1-9]\d* blurred, [1-9]\d* equal$")).wait_for()
    opened.keyboard.up("Space")
    kept = len(list((folder / "empty").glob("camera-*.jpg")))
    assert kept in (2, 3), "the blurred picture is kept where it comes first, as nothing sharper is known then"
    opened.get_by_role("button", name="Undo").click()
    opened.get_by_role("status").get_by_text(f"Taken back: {kept} photos.").wait_for()


def test_a_phone_shows_everything_and_scrolls_down_only(browser: Any, small: tuple[RunningStudio, Path]) -> None:
    for tab in open_context(browser, {"width": 390, "height": 844}):
        tab.goto(small[0].address)
        settled(tab, small[0])
        for name in ("Next", "Try", "Get photos", "Take away"):
            tab.get_by_role("tab", name=name).click()
            assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_studio_that_ends_is_missed_and_found_again(opened: Any, tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "photos", per_label=10)
    with running_studio(folder, *SMALL) as studio:
        opened.goto(studio.address)
        opened.get_by_role("listbox").first.get_by_role("option").first.wait_for()
        port = studio.address.rsplit(":", 1)[1].strip("/")
        studio.kill()
    opened.get_by_text("The studio does not answer.").wait_for()
    with running_studio(folder, *SMALL, "--port", port):
        opened.get_by_text("The studio does not answer.").wait_for(state="hidden")
