"""Files that must be refused: cut, damaged, hostile, or no photos at all."""

import gzip
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from drawings import (
    HEIGHT,
    PNG_SIGNATURE,
    WIDTH,
    Recipe,
    drawing,
    encoded,
    oriented,
    png_chunk,
    png_file,
    refused,
    tiff_file,
    tiff_tags,
    top_down_bmp,
)
from numpy.typing import NDArray
from PIL import Image

DAMAGED = "damaged|truncated"
TOO_LARGE = "too large"


def hostile_files() -> Iterator[Recipe]:
    for group in (_cuts, _bombs, _broken, _not_photos):
        yield from group()


def _cuts() -> Iterator[Recipe]:
    whole = {
        "baseline.jpg": encoded(drawing(width=640, height=480), "JPEG", quality=92),
        "progressive.jpg": encoded(drawing(width=640, height=480), "JPEG", quality=92, progressive=True),
        "cut.png": encoded(_noise(), "PNG"),
        "cut.webp": encoded(_noise(), "WEBP", lossless=True),
        "cut.avif": encoded(_noise(), "AVIF"),
        "cut.gif": encoded(_noise(), "GIF"),
        "cut.bmp": encoded(_noise(), "BMP"),
        "cut.tif": encoded(_noise(), "TIFF"),
        "cut.ppm": encoded(_noise(), "PPM"),
    }
    for name, content in whole.items():
        for tenth in range(1, 10):
            yield Recipe(f"{tenth} tenths of {name}", content[: len(content) * tenth // 10], refused(DAMAGED))


def _noise() -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def _bombs() -> Iterator[Recipe]:
    side = 50_000
    zeros = zlib.compressobj(9)
    pixels = b"".join(zeros.compress(bytes(side * 3 + 1)) for _ in range(200)) + zeros.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    yield Recipe("bomb.png", png, refused(TOO_LARGE))
    yield Recipe("bomb.jpg", _resized_jpeg(side, side), refused(TOO_LARGE))
    yield Recipe("progressive bomb.jpg", _resized_jpeg(16_000, 15_000, progressive=True), refused(TOO_LARGE))
    yield Recipe("one scan for each colour.jpg", _separate_scans_jpeg(), refused(TOO_LARGE))
    yield Recipe("thousands of scans.jpg", _many_scans_jpeg(), refused(DAMAGED))
    bmp = bytearray(top_down_bmp())
    bmp[18:26] = struct.pack("<ii", side, side)
    yield Recipe("bomb.bmp", bytes(bmp), refused(TOO_LARGE))
    yield Recipe("bomb.tif", tiff_file(tiff_tags(side, side)), refused(TOO_LARGE))
    tiled = tiff_tags() | {
        322: (4, 1, 32_768),
        323: (4, 1, 32_768),
        324: (4, 1, 200),
        325: (4, 1, 9_999),
        259: (3, 1, 8),
    }
    del tiled[273], tiled[278], tiled[279]
    packed = zlib.compress(bytes(10_000_000), 9)
    yield Recipe("tiles larger than the photo.tif", tiff_file(tiled, strip=packed), refused(TOO_LARGE))
    gif = bytearray(encoded(Image.fromarray(drawing()).quantize(8), "GIF"))
    gif[6:10] = struct.pack("<HH", 12_000, 9_000)
    yield Recipe("large.gif", bytes(gif), refused(TOO_LARGE))
    gif[6:10] = struct.pack("<HH", side, side)
    yield Recipe("bomb.gif", bytes(gif), refused(TOO_LARGE))
    yield Recipe("slow.ppm", b"P6 4000 4000 10\n" + bytes(1000), refused(TOO_LARGE))
    webp = bytearray(encoded(drawing(), "WEBP", exif=oriented(1)))
    webp[24:30] = struct.pack("<I", side - 1)[:3] * 2
    yield Recipe("bomb.webp", bytes(webp), refused("too large|damaged"))
    yield Recipe("bomb.ppm", f"P6 {side} {side} 255\n".encode() + bytes(1000), refused(TOO_LARGE))
    text = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(50_000_000), 9))
    bloated = encoded(drawing(), "PNG")
    yield Recipe("bomb in a comment.png", bloated[:33] + text + bloated[33:], refused(DAMAGED))


def _resized_jpeg(width: int, height: int, **options: object) -> bytes:
    """A small JPEG whose header claims another size."""
    jpeg = bytearray(encoded(drawing(), "JPEG", **options))
    frame = jpeg.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)


def _separate_scans_jpeg() -> bytes:
    """A baseline JPEG whose first scan holds one colour of three, so that all must be kept until the end."""
    jpeg = _resized_jpeg(16_000, 15_000)
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:scan] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + jpeg[scan + 14 :]


def _many_scans_jpeg() -> bytes:
    """A progressive JPEG of 24 megapixels with thousands of empty scans: seconds for a few bytes."""
    jpeg = _resized_jpeg(6_000, 4_000, progressive=True)
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:scan] + b"\xff\xda\0\x08\1\1\0\0\0\1" * 5_000 + b"\xff\xd9"


def _broken() -> Iterator[Recipe]:
    yield Recipe("no bytes.jpg", b"", refused("empty"))
    yield Recipe("one byte.jpg", b"\xff", refused("not a photo in a known format"))
    yield Recipe("zeros.jpg", bytes(4096), refused("zeros"))
    yield Recipe("random.jpg", np.random.default_rng(3).bytes(4096), refused("not a photo in a known format"))
    signatures = {
        "jpeg": b"\xff\xd8\xff",
        "png": PNG_SIGNATURE,
        "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
        "avif": b"\0\0\0\x1cftypavif",
        "tiff": b"II*\0",
        "bmp": b"BM",
        "gif": b"GIF89a",
        "ppm": b"P6\n",
    }
    for name, signature in signatures.items():
        yield Recipe(f"only the signature of {name}.jpg", signature, refused(DAMAGED))
        yield Recipe(f"signature of {name}, then zeros.jpg", signature + bytes(500), refused(DAMAGED))
        junk = signature + np.random.default_rng(5).bytes(500)
        yield Recipe(f"signature of {name}, then noise.jpg", junk, refused(f"{DAMAGED}|{TOO_LARGE}"))
    yield Recipe("no width.jpg", _resized_jpeg(0, HEIGHT), refused(DAMAGED))
    yield Recipe("no height.png", png_file(b"", WIDTH, 0, 8, 2), refused(DAMAGED))
    twelve_bits = encoded(drawing(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")
    yield Recipe("12 bits.jpg", twelve_bits, refused(DAMAGED))
    rgb, noise = encoded(drawing(), "PNG"), encoded(_noise(), "PNG")
    yield Recipe("wrong checksum of the header.png", _flipped(rgb, 29), refused(DAMAGED))
    yield Recipe("wrong byte in the pixels.png", _flipped(noise, len(noise) // 2), refused(DAMAGED))
    absurd = {
        "strip beyond the end": {273: (4, 1, 0x7FFFFFFF)},
        "four billion strips": {273: (4, 0xFFFFFFFF, 8)},
        "60,000 samples a pixel": {277: (3, 1, 60_000)},
        "no width": {256: (4, 1, 0)},
        "bits beyond reason": {258: (3, 1, 65_535)},
        "unknown compression": {259: (3, 1, 4_242)},
        "broken deflate": {259: (3, 1, 8)},
        "broken lzw": {259: (3, 1, 5)},
    }
    for name, tags in absurd.items():
        yield Recipe(f"{name}.tif", tiff_file(tiff_tags() | tags), refused(DAMAGED))


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


def _not_photos() -> Iterator[Recipe]:
    html = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Gone</body></html>"
    yield Recipe("page.jpg", html, refused("an HTML page"))
    yield Recipe("page without a doctype.jpg", b"\xef\xbb\xbf\n  <html lang='en'>", refused("an HTML page"))
    yield Recipe("answer.jpg", b'{"error": "rate limit exceeded"}', refused("a JSON document"))
    yield Recipe("list.jpg", b'[{"url": "https://example.org/a.jpg"}]', refused("a JSON document"))
    svg = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield Recipe("drawing.svg", svg, refused("an SVG drawing"))
    yield Recipe("feed.jpg", b'<?xml version="1.0"?><rss/>', refused("an XML document"))
    yield Recipe("notes.jpg", "Zürich, the crossing at noon\n".encode(), refused("a text file"))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    yield Recipe("pointer.jpg", pointer, refused("git lfs pull"))
    plain = f"P3 {WIDTH} {HEIGHT} 255\n" + " ".join(map(str, drawing().ravel()))
    yield Recipe("plain.ppm", plain.encode(), refused("a text file"))
    yield Recipe("packed.jpg", gzip.compress(encoded(drawing(), "BMP"), mtime=0), refused("a compressed file"))
    yield Recipe("archive.jpg", b"PK\3\4" + bytes(60), refused("an archive"))
    yield Recipe("document.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", refused("a PDF document"))
    yield Recipe("program.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", refused("PostScript"))
    yield Recipe("clip.jpg", b"\0\0\0\x18ftypmp42" + bytes(40), refused("a video"))
    phone = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
    yield Recipe("phone.jpg", phone, refused("HEIC.*convert it to JPEG|a damaged HEIF"))
    yield Recipe("favicon.jpg", encoded(drawing(), "ICO"), refused("a Windows icon"))
    yield Recipe("scan.jp2", encoded(drawing(), "JPEG2000"), refused("JPEG 2000.*convert it to JPEG"))
