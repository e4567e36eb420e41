"""The exported page in Chromium: files, camera, map, keys, and no request beyond this machine.

Needs Chromium (`chromium` on the path, or CHROMIUM), Node.js and npm. ONNXRUNTIME_WEB names a folder with the unpacked
package onnxruntime-web in the place of npm. What is missing is named when the tests are skipped.
"""

import functools
import http.server
import os
import shutil
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import CROSSING, model_of_scenes
from PIL import Image

from roadclear.data.dataset import load_folder
from roadclear.deploy.export.check import CheckPhotos
from roadclear.deploy.export.export import ExportJob, export
from roadclear.deploy.export.settings import ExportSettings
from roadclear.deploy.export.web.runtime import SCRIPT, WASM, get_runtime
from roadclear.errors import EngineError
from roadclear.model.predictor import Model

pytestmark = pytest.mark.slow

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runtime, fetched once."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: install Node.js 20 or later")
    given = os.environ.get("ONNXRUNTIME_WEB")
    try:
        files = get_runtime(None if given is None else Path(given))
    except EngineError as error:
        pytest.skip(f"needs the npm package onnxruntime-web: {error}")
    folder = tmp_path_factory.mktemp("runtime")
    (folder / SCRIPT).write_bytes(files.script)
    (folder / WASM).write_bytes(files.wasm)
    return folder


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(model_of_scenes(band=(0.3, 0.7)))


@pytest.fixture(scope="module")
def page(model: Model, drawn_photos: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported folder, which passed the check in Node.js."""
    out = tmp_path_factory.mktemp("web") / "page"
    on = CheckPhotos(load_folder(drawn_photos).photos[::3], None, "drawn photos")
    result = export(model, ExportJob("web", out, on, [], ExportSettings(), runtime=runtime))
    assert result.refused is None and result.check.exported.largest_change < 1e-3
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a camera that shows the crossing."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: install chromium, or name the program by CHROMIUM")
    clip = fake_camera(tmp_path_factory.mktemp("camera") / "clip.y4m", CROSSING)
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=[*QUIET, *camera, f"--use-file-for-fake-video-capture={clip}"]
        )
        yield chromium
        chromium.close()


def fake_camera(path: Path, picture: Image.Image) -> Path:
    """Write a still picture as a Y4M video of two frames."""
    luma, blue, red = (np.asarray(part) for part in picture.convert("YCbCr").split())
    frame = b"FRAME\n" + b"".join(part.tobytes() for part in (luma, blue[::2, ::2], red[::2, ::2]))
    path.write_bytes(f"YUV4MPEG2 W{picture.width} H{picture.height} F10:1 Ip A1:1 C420jpeg\n".encode() + 2 * frame)
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """Open the page. Its errors, and every request but for the page itself, fail the test."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, permissions=["camera"])
    tab, wrong = context.new_page(), []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    allowed = ("file:///", "blob:", "data:", "http://127.0.0.1:", "http://localhost:")
    tab.on("request", lambda request: None if request.url.startswith(allowed) else wrong.append(request.url[:100]))
    yield tab
    context.close()
    assert wrong == []


def load_page(tab: Any, address: str) -> None:
    tab.goto(address)
    tab.get_by_text("Ready.", exact=True).wait_for(timeout=60_000)


def cards(tab: Any, count: int) -> dict[str, dict[str, Any]]:
    """What the page says of each photo, by name."""
    tab.locator("#results .share:not(:empty)").nth(count - 1).wait_for(timeout=60_000)
    found = tab.eval_on_selector_all(
        "#results .card",
        "all => all.map((one) => ({name: one.querySelector('.name').textContent, ...one.dataset, "
        "answer: one.querySelector('.answer').textContent, share: one.querySelector('.share').textContent, "
        "label: one.querySelector('canvas') && one.querySelector('canvas').getAttribute('aria-label')}))",
    )
    return {one["name"]: one for one in found}


def test_photos_are_answered_as_predict_does(
    opened: Any, page: Path, model: Model, drawn_photos: Path, tmp_path: Path
) -> None:
    """From disk, 0.1 to 24 megapixels: JPEG, PNG with and without transparency, grey, and an orientation tag."""
    drawn = sorted((drawn_photos / "crossing").iterdir())[:3] + sorted((drawn_photos / "empty").iterdir())[:3]
    photos = [Path(shutil.copy(photo, tmp_path / f"{k}.jpg")) for k, photo in enumerate(drawn)]
    tags = Image.Exif()
    tags[0x112] = 6
    large = CROSSING.resize((6000, 4000))
    for name, picture, options in (
        ("large.jpg", large, {"quality": 90, "exif": tags}),
        ("progressive.jpg", CROSSING.resize((700, 500)), {"progressive": True}),
        ("print.jpg", CROSSING.convert("CMYK"), {}),
        ("photo.png", CROSSING.resize((640, 480)), {}),
        ("grey.png", CROSSING.convert("L"), {}),
        ("clear.png", CROSSING.convert("RGBA").rotate(20), {}),
        ("photo.webp", CROSSING, {"lossless": True}),
    ):
        picture.save(tmp_path / name, **options)
        photos.append(tmp_path / name)
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    load_page(opened, (page / "index.html").as_uri())
    opened.set_input_files("#files", [*photos, tmp_path / "none.jpg"])
    found = cards(opened, len(photos) + 1)
    assert found["none.jpg"]["answer"] == "No answer"
    for photo in photos:
        expected, one = model.explain(photo), found[photo.name]
        near = 1.0 if photo.name == "print.jpg" else 0.05  # CMYK is converted by the browser
        assert float(one["logit"]) == pytest.approx(expected.logit, abs=near), photo.name
        if photo.name == "print.jpg":
            continue
        said = expected.prediction
        assert one["answer"] == (f"unsure ({said.label})" if said.unsure else said.label)
        assert one["unfamiliar"] == str(said.unfamiliar).lower()
        assert one["label"].startswith(f"{photo.name}: {one['answer']}")
    opened.locator("#map").focus()
    before = opened.locator("#results canvas").first.evaluate("canvas => canvas.toDataURL()")
    opened.keyboard.press("Space")
    assert opened.locator("#results canvas").first.evaluate("canvas => canvas.toDataURL()") != before
    assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_keys_reach_every_control_and_the_names_are_spoken(opened: Any, page: Path) -> None:
    load_page(opened, (page / "index.html").as_uri())
    reached = []
    for _ in range(3):
        opened.keyboard.press("Tab")
        reached.append(opened.evaluate("document.activeElement.id"))
    assert reached == ["files", "camera", "map"]
    assert opened.get_by_role("button", name="Use the camera").is_enabled()
    assert opened.get_by_label("Choose photos").count() == 1
    assert opened.get_by_role("status").inner_text() == "Ready."


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_axe_finds_no_issue_before_and_after_an_answer(
    browser: Any, page: Path, drawn_photos: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    axe = os.environ.get("AXE_CORE")
    if axe is None:
        pytest.skip("needs axe-core: `npm pack axe-core`, and name its axe.min.js by AXE_CORE")
    # The page's own policy keeps scripts of others out, so the policy is set aside for this look.
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True, permissions=["camera"]
    )
    tab = context.new_page()
    load_page(tab, (page / "index.html").as_uri())
    tab.evaluate(Path(axe).read_text(encoding="utf-8"))
    assert issues(tab) == {}
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    tab.set_input_files("#files", [next((drawn_photos / "crossing").iterdir()), tmp_path / "none.jpg"])
    cards(tab, 2)
    tab.get_by_role("button", name="Use the camera").click()
    tab.get_by_text("Camera: crossing").wait_for(timeout=60_000)
    assert issues(tab) == {}
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    context.close()


def issues(tab: Any) -> dict[str, str]:
    """What axe-core finds: the rule, and the first element that breaks it."""
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return {issue["id"]: issue["nodes"][0]["html"] for issue in found["violations"]}


def test_a_host_serves_the_page_and_its_camera_is_answered(opened: Any, page: Path, model: Model) -> None:
    """The camera shows the crossing; the network is gone after the first visit."""
    handler = functools.partial(QuietHandler, directory=str(page))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        load_page(opened, address)
        opened.get_by_role("button", name="Use the camera").click()
        opened.get_by_text("Camera: crossing").wait_for(timeout=60_000)
        logit = float(opened.locator("#live [data-logit]").get_attribute("data-logit"))
        assert logit == pytest.approx(model.explain(CROSSING).logit, abs=1.5), "YUV and the camera's own scaling"
        opened.get_by_role("button", name="Stop the camera").click()
        opened.get_by_text("The camera is off.").wait_for()
        opened.evaluate("navigator.serviceWorker.ready.then(() => true)")
        server.shutdown()
    load_page(opened, address)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A static host that prints nothing."""

    def log_message(self, *_: object) -> None:
        pass
