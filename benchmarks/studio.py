"""How soon the page of `roadclear studio` shows new numbers, and how smoothly thousands of thumbnails scroll.

Bars: new numbers within 1.5 s of a change at 1,000 photos, and 95% of the frames within 50 ms of the one before, while
5,000 thumbnails scroll.

    python benchmarks/studio.py PHOTOS [--photos 200 1000] [--thumbnails 5000] [--changes 10]

The photos are copied to a temporary folder; where there are fewer, some are taken again with another content. The
studio is a process of its own, and Chromium shows its page. Ten photos are selected and moved by the page's button. The
clock runs from the click until the page shows their numbers. Then more photos are added, and Chromium scrolls through
them while it notes the time of each frame.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import ROADCLEAR, describe, table
from made_photos import multiply
from roadclear.data.dataset import load_folder

MOVED = 10
_PATIENCE_S = 600
_REST_S = 2.0
_SHOWN = "before => document.querySelector('.numbers').dataset.version !== before"
_SCROLL = """async () => {
  const list = document.querySelector('.photos');
  const times = [];
  let most = 0;
  await new Promise((resolve) => {
    const end = performance.now() + 5000;
    let last = performance.now();
    const step = (now) => {
      times.push(now - last);
      last = now;
      most = Math.max(most, list.querySelectorAll('[role=option]').length);
      list.scrollTop += 40;
      if (now < end) requestAnimationFrame(step);
      else resolve();
    };
    requestAnimationFrame(step);
  });
  return {times: times.slice(1), most};
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument(
        "--photos", type=int, nargs="+", default=[200, 1000], dest="numbers", help="how many to train on"
    )
    parser.add_argument("--thumbnails", type=int, default=5000, help="how many to scroll through")
    parser.add_argument("--changes", type=int, default=10)
    arguments = parser.parse_args()
    print(describe("openvino", "numpy", "fastapi"))

    dataset = load_folder(arguments.photos)
    originals = {label: [photo.path for photo in dataset.photos if photo.label == label] for label in dataset.labels}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        rows = []
        for number in arguments.numbers:
            photos = Path(folder, f"photos-{number}")
            for label in dataset.labels:
                multiply(originals[label], photos / label, number // 2)
            with studio(photos, Path(folder, "cache")) as (address, process):
                measured = changes(browser, address, process.pid, arguments.changes)
            rows.append((f"{MOVED} of {number:,} photos moved", *measured))
        print(table(("change", "s from click to new numbers: median", "largest", "CPU s a change"), rows))
        for label in dataset.labels:
            multiply(originals[label], photos / label, arguments.thumbnails // 2)
        with studio(photos, Path(folder, "cache"), wait=False) as (address, _):
            scrolled = scroll(browser, address)
    print(f"\n{arguments.thumbnails:,} thumbnails, scrolled for 5 s:\n")
    print(table(("frames", "ms a frame: median", "95% within", "largest", "thumbnails in the document"), [scrolled]))


@contextmanager
def studio(photos: Path, cache: Path, wait: bool = True) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the studio, and wait for its address and its first numbers."""
    environment = {**os.environ, "ROADCLEAR_CACHE_DIR": str(cache)}
    command = [*ROADCLEAR, "studio", str(photos), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().rsplit(" ", 1)[1].strip()
        try:
            if wait:
                await_numbers(address, 1)
            yield address, process
        finally:
            process.send_signal(signal.SIGINT)


def ask(address: str, path: str, values: dict[str, Any] | None = None) -> Any:
    body = None if values is None else json.dumps(values).encode()
    request = urllib.request.Request(f"{address}api/{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def await_numbers(address: str, version: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while ask(address, "numbers").get("version", 0) < version:
        if time.monotonic() > until:
            raise SystemExit("no numbers came")
        time.sleep(0.01)


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def changes(browser: Any, address: str, pid: int, count: int) -> tuple[str, str, str]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.get_by_role("group", name="Kinds of what to do").wait_for(timeout=1000 * _PATIENCE_S)
    labels = ask(address, "photos")["labels"]
    seconds, used = [], []
    for number in range(count):
        time.sleep(_REST_S)
        here, there = labels[number % 2], labels[1 - number % 2]
        region = page.get_by_role("region", name=here, exact=True)
        for place in range(MOVED):
            region.get_by_role("option").nth(place).click(modifiers=["ControlOrMeta"])
        shown = page.locator(".numbers").get_attribute("data-version")
        before, started = cpu(pid), time.perf_counter()
        region.get_by_role("button", name=f"Move to {there}").click()
        page.wait_for_function(_SHOWN, arg=shown, polling=10)
        seconds.append(time.perf_counter() - started)
        used.append(cpu(pid) - before)
    page.close()
    return f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{statistics.median(used):.2f}"


def cpu(pid: int) -> float:
    """CPU seconds of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scroll(browser: Any, address: str) -> tuple[int, str, str, str, int]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.locator(".photos img").first.wait_for()
    found = page.evaluate(_SCROLL)
    page.close()
    times = sorted(found["times"])
    late = times[int(0.95 * len(times))]
    return len(times), f"{statistics.median(times):.0f}", f"{late:.0f}", f"{times[-1]:.0f}", found["most"]


if __name__ == "__main__":
    main()
