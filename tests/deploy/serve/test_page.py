"""The served page in Chromium: the answers of `predict`, through the server and in the browser.

Needs Chromium (`chromium` on the path, or CHROMIUM). The part in the browser needs the npm package onnxruntime-web:
ONNXRUNTIME_WEB names a folder with it, or npm fetches it. What is missing is named when the tests are skipped.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from servers import Running, running

from roadclear.deploy.export.web.runtime import SCRIPT, WASM, get_runtime
from roadclear.errors import EngineError
from roadclear.model.predictor import Model

pytestmark = pytest.mark.slow

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: install chromium, or name the program by CHROMIUM")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=[*QUIET, *CAMERA])
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A page whose errors, and whose requests beyond loopback, fail the test."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        permissions=["camera"],
        http_credentials={"username": "me", "password": "a key"},
    )
    made, wrong = context.new_page(), []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    allowed = ("blob:", "data:", "http://127.0.0.1:")
    made.on("request", lambda request: None if request.url.startswith(allowed) else wrong.append(request.url[:100]))
    yield made
    context.close()
    assert wrong == []


def answers(tab: Any, count: int) -> dict[str, dict[str, Any]]:
    tab.locator("#results .share:not(:empty)").nth(count - 1).wait_for(timeout=60_000)
    found = tab.eval_on_selector_all(
        "#results .card",
        "all => all.map((one) => ({name: one.querySelector('.name').textContent, ...one.dataset, "
        "answer: one.querySelector('.answer').textContent}))",
    )
    return {one["name"]: one for one in found}


def check(found: dict[str, dict[str, Any]], model: Model, photos: list[Path], near: float) -> None:
    for photo in photos:
        said, one = model.explain(photo), found[photo.name]
        assert float(one["logit"]) == pytest.approx(said.logit, abs=near)
        label = said.prediction.label
        assert one["answer"] == (f"unsure ({label})" if said.prediction.unsure else label)
        assert one["unfamiliar"] == str(said.prediction.unfamiliar).lower()


def test_photos_and_the_camera_are_answered_through_the_server(
    tab: Any, model_file: Path, model: Model, photos: list[Path], tmp_path: Path
) -> None:
    """Also a TIFF, which Chromium cannot show, and a file that is no photo."""
    tiff = tmp_path / "scan.tif"
    Image.open(photos[0]).save(tiff)
    (tmp_path / "none.jpg").write_bytes(b"words")
    with running(model_file, {"key": "a key"}) as server:
        tab.goto(server.address)
        tab.get_by_text("Ready.", exact=True).wait_for(timeout=60_000)
        tab.set_input_files("#files", [*photos, tiff, tmp_path / "none.jpg"])
        found = answers(tab, len(photos) + 2)
        check(found, model, [*photos, tiff], near=1e-4)
        assert found["none.jpg"]["answer"] == "No answer"
        tab.get_by_role("button", name="Use the camera").click()
        tab.locator("#live [data-logit]").wait_for(timeout=60_000)
        assert np.isfinite(float(tab.locator("#live [data-logit]").get_attribute("data-logit")))
        tab.get_by_role("button", name="Stop the camera").click()


def test_the_model_is_loaded_into_the_browser_on_request(
    tab: Any, model_file: Path, model: Model, photos: list[Path], tmp_path: Path
) -> None:
    for program in ("npm",):
        if shutil.which(program) is None and "ONNXRUNTIME_WEB" not in os.environ:
            pytest.skip(f"needs {program}, or ONNXRUNTIME_WEB")
    given = os.environ.get("ONNXRUNTIME_WEB")
    try:
        files = get_runtime(None if given is None else Path(given))
    except EngineError as error:
        pytest.skip(f"needs the npm package onnxruntime-web: {error}")
    (tmp_path / SCRIPT).write_bytes(files.script)
    (tmp_path / WASM).write_bytes(files.wasm)
    with running(model_file, {"runtime": tmp_path}) as server:
        tab.goto(server.address)
        tab.get_by_text("Ready.", exact=True).wait_for(timeout=60_000)
        tab.get_by_label("Answer on this device").check()
        tab.get_by_text("Ready. Photos stay on this device.", exact=True).wait_for(timeout=60_000)
        asked = requests(server)
        tab.set_input_files("#files", photos)
        check(answers(tab, len(photos)), model, photos, near=0.05)
        assert requests(server) == asked, "no photo reached the server"
        tab.get_by_label("Answer on this device").uncheck()
        tab.set_input_files("#files", photos[:1])
        answers(tab, len(photos) + 1)
        assert requests(server) == asked + 1


def requests(server: Running) -> float:
    lines = server.client.get("metrics").text.splitlines()
    return sum(
        float(line.split()[1]) for line in lines if line.startswith('roadclear_requests_total{endpoint="/predict"')
    )
