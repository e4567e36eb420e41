"""The page's JPEG decoder and scaling, in Node.js: the very pixels that `predict` sees."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import draw_scene

from roadclear.deploy.export.web.runner import scales_rows_first, script
from roadclear.images.decode import decode

SIZE = 96
ASK = """
const fs = require("node:fs");
for (const line of fs.readFileSync(0, "utf8").trim().split("\\n")) {
  const {file, raw} = JSON.parse(line), bytes = fs.readFileSync(file);
  try {
    const square = raw ? squareOfPixels(bytes, 3, raw[0], raw[1], SIZE) : squareOfJpeg(bytes, SIZE);
    fs.writeFileSync(file + ".square", square);
    console.log("read");
  } catch (error) {
    console.log(error.message);
  }
}
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: install node 20 or later")


def ask(folder: Path, files: dict[str, bytes], raw: dict[str, tuple[int, int]] | None = None) -> dict[str, object]:
    """Squash files in one run of Node.js: arrays by name, or why a file was refused."""
    folder.mkdir(exist_ok=True)
    order = f"scaling.rowsFirst = {json.dumps(scales_rows_first())};"
    (folder / "ask.js").write_text(script() + order + ASK.replace("SIZE", str(SIZE)))
    lines = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        lines.append(json.dumps({"file": str(folder / name), "raw": (raw or {}).get(name)}))
    ended = subprocess.run(
        ["node", folder / "ask.js"], input="\n".join(lines), capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, object] = {}
    for name, said in zip(files, ended.stdout.splitlines(), strict=True):
        square = folder / f"{name}.square"
        found[name] = np.fromfile(square, np.uint8).reshape(SIZE, SIZE, 3) if said == "read" else said
    return found


def jpeg(width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    picture = draw_scene(3, True).resize((width, height)).convert(mode)
    noise = np.random.default_rng(0).normal(0, 12, np.asarray(picture).shape)
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8), mode)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags.tobytes()


CASES = {
    **{
        f"{width}x{height} {subsampling} {'progressive' if progressive else 'plain'}": jpeg(
            width, height, subsampling=subsampling, progressive=progressive, quality=80
        )
        for width, height in [(90, 70), (97, 193), (210, 301), (405, 390), (777, 901), (64, 900)]
        for subsampling in ("4:4:4", "4:2:2", "4:2:0")
        for progressive in (False, True)
    },
    **{f"orientation {k}": jpeg(211, 130, exif=exif(k)) for k in range(1, 9)},
    **{f"quality {k}": jpeg(250, 201, quality=k) for k in (5, 50, 100)},
    **{f"grey {side}": jpeg(side, 150, "L") for side in (99, 500)},
    "restarts": jpeg(303, 207, restart_marker_blocks=5),
    "restarts, progressive": jpeg(303, 207, restart_marker_rows=1, progressive=True),
    "colours without conversion": jpeg(222, 111, keep_rgb=True),
    "own tables": jpeg(222, 111, optimize=True),
    "bytes after the end": jpeg(222, 111) + b"more",
}


def test_jpegs_become_the_same_pixels(tmp_path: Path) -> None:
    found = ask(tmp_path / "in", {f"{k}.jpg": data for k, data in enumerate(CASES.values())})
    for k, (name, data) in enumerate(CASES.items()):
        square = found[f"{k}.jpg"]
        assert isinstance(square, np.ndarray), f"{name}: {square}"
        np.testing.assert_array_equal(square, decode(data, SIZE), err_msg=name)


def test_pixels_are_scaled_as_pillow_does(tmp_path: Path) -> None:
    """Both orders of the two passes, and enlarging, by sizes around the place where Pillow changes the order."""
    sizes = [(96, 96), (97, 96), (50, 40), (40, 50), (40, 97), (120, 144), (120, 145), (120, 300), (300, 120), (1, 1)]
    draw = np.random.default_rng(1)
    photos = {f"{k}.raw": draw.integers(0, 256, (high, wide, 3), np.uint8) for k, (wide, high) in enumerate(sizes)}
    raw = {f"{k}.raw": size for k, size in enumerate(sizes)}
    found = ask(tmp_path / "in", {name: pixels.tobytes() for name, pixels in photos.items()}, raw)
    for name, pixels in photos.items():
        expected = np.asarray(Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(found[name], expected, err_msg=str(raw[name]))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_and_foreign_files_are_refused(share: float, tmp_path: Path) -> None:
    whole = jpeg(400, 300)
    cut = whole[: int(share * len(whole))]
    stream = io.BytesIO()
    Image.new("CMYK", (99, 99)).save(stream, "JPEG")
    found = ask(tmp_path / "in", {"cut.jpg": cut, "cmyk.jpg": stream.getvalue(), "none.jpg": b"\xff\xd8\xff\xd9"})
    assert all(isinstance(said, str) and said for said in found.values()), found


def test_damaged_files_end_in_an_answer_or_a_reason(tmp_path: Path) -> None:
    """No byte makes the decoder run without end."""
    draw, whole = np.random.default_rng(2), jpeg(120, 90, progressive=True)
    files = {}
    for k in range(60):
        data = bytearray(whole)
        for place in draw.integers(2, len(data), 6):
            data[place] = draw.integers(256)
        files[f"{k}.jpg"] = bytes(data)
    assert len(ask(tmp_path / "in", files)) == 60
