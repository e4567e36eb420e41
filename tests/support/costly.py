"""Files that cost a reader far more than their size shows, each of any size."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from drawings import PNG_SIGNATURE, drawing, encoded, png_chunk, tiff_tags
from PIL import Image

Maker = Callable[[int], bytes]


def jpeg_segments(marker: int, payload: bytes) -> Maker:
    """A JPEG with one application segment again and again."""

    def make(size: int) -> bytes:
        segment = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
        jpeg = encoded(drawing(), "JPEG")
        return jpeg[:2] + segment * (size // len(segment)) + jpeg[2:]

    return make


def jpeg_filled(piece: bytes) -> Maker:
    """A JPEG with bytes between its segments that mean nothing."""

    def make(size: int) -> bytes:
        jpeg = encoded(drawing(), "JPEG")
        first = 4 + struct.unpack_from(">H", jpeg, 4)[0]
        return jpeg[:first] + piece * (size // len(piece)) + jpeg[first:]

    return make


def jpeg_scans(width: int, height: int, scan: bytes, arithmetic: bool = False) -> Maker:
    """A progressive JPEG of a claimed size, with one scan again and again."""

    def make(size: int) -> bytes:
        jpeg = bytearray(encoded(drawing(), "JPEG", progressive=True))
        frame = jpeg.index(b"\xff\xc2")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
        if arithmetic:
            jpeg[frame + 1] = 0xCA
        return bytes(jpeg[: jpeg.index(b"\xff\xda")]) + RUNS_TABLE + scan * (size // len(scan)) + b"\xff\xd9"

    return make


def scan_of_one(component: int, start: int, end: int, approximation: int, content: bytes = b"") -> bytes:
    """A scan of one component (ITU-T T.81, B.2.3)."""
    return b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, component, 0, start, end, approximation) + content


RUNS_TABLE = b"\xff\xc4" + struct.pack(">HB16sB", 20, 0x10, b"\1" + bytes(15), 0xE0)
"""A Huffman table of one code: a run of 16,384 blocks and more that end here."""


def scan_of_runs(approximation: int, blocks: int) -> bytes:
    """A scan in which runs of blocks have no coefficients: a few bytes for a pass over the whole photo."""
    runs = blocks // 16_384 + 1
    return scan_of_one(1, 1, 63, approximation, bytes(2 * runs))


def tiff_directories(size: int) -> bytes:
    """A TIFF with a chain of directories behind the picture."""
    tags = tiff_tags()
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    start = 200 + 64 * 48
    first = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", start)
    step = 2 + len(entries) + 4
    count = max(size // step, 1)
    chain = np.zeros(count, np.dtype([("count", "<u2"), ("tags", f"V{len(entries)}"), ("next", "<u4")]))
    chain["count"], chain["tags"] = len(tags), np.void(entries)
    chain["next"][:-1] = start + step * np.arange(1, count)
    return first.ljust(200, b"\0") + bytes([128]) * (64 * 48) + chain.tobytes()


def tiff_tags_without_end(size: int) -> bytes:
    """A BigTIFF whose first directory has a tag again and again."""
    tags = [(tag, kind, count, value) for tag, (kind, count, value) in sorted(tiff_tags().items())]
    count = max(size // 20, len(tags))
    entries = b"".join(struct.pack("<HHQQ", *tag) for tag in tags)
    more = np.zeros(count - len(tags), np.dtype([("tag", "<u2"), ("kind", "<u2"), ("count", "<u8"), ("value", "<u8")]))
    more["tag"], more["kind"], more["count"] = np.arange(len(more)) % 60_000 + 1_000, 3, 1
    return struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, count) + entries + more.tobytes() + bytes(8)


def tiff_strips(size: int) -> bytes:
    """A TIFF with millions of strips, all at the same place."""
    count = size // 8
    tags = tiff_tags(1, count) | {273: (4, count, 200), 279: (4, count, 200 + 4 * count), 278: (4, 1, 1)}
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + struct.pack("<I", 8) * count + struct.pack("<I", 1) * count


def tiff_of_progressive_jpegs(size: int) -> bytes:
    """A TIFF whose strips are one progressive JPEG of many scans."""
    scan = scan_of_one(1, 0, 0, 0x01)
    strip = jpeg_scans(5_000, 4_000, scan_of_one(1, 1, 63, 0x00) + scan_of_one(1, 0, 0, 0x01))(size)
    jpeg = encoded(drawing()[:, :, 0].copy(), "JPEG", progressive=True)
    frame = jpeg.index(b"\xff\xc2")
    jpeg = jpeg[: frame + 5] + struct.pack(">HH", 4_000, 5_000) + jpeg[frame + 9 :]
    strip = jpeg[: jpeg.index(b"\xff\xda")] + scan * min(size // len(scan), 99) + b"\xff\xd9"
    tags = tiff_tags(5_000, 4_000) | {259: (3, 1, 7), 279: (4, 1, len(strip))}
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + strip


def gif_comments(block: int) -> Maker:
    """A GIF with comments before its picture, in blocks of some bytes."""

    def make(size: int) -> bytes:
        gif = encoded(Image.fromarray(drawing()).quantize(8), "GIF")
        comment = b"!\xfe" + (bytes([block]) + b"c" * block) * (size // (block + 1)) + b"\0"
        start = 13 + (3 << ((gif[10] & 7) + 1))
        return gif[:start] + comment + gif[start:]

    return make


def gif_frames(size: int) -> bytes:
    """A GIF with frames of one pixel without end."""
    gif = encoded(Image.fromarray(drawing()).quantize(8), "GIF")
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return gif[:-1] + frame * (size // len(frame)) + b";"


def png_chunks(kind: bytes, body: bytes) -> Maker:
    """A PNG with one chunk again and again, before its picture."""

    def make(size: int) -> bytes:
        png = encoded(drawing(), "PNG")
        chunk = png_chunk(kind, body)
        return png[:33] + chunk * (size // len(chunk)) + png[33:]

    return make


def png_small_pieces(size: int) -> bytes:
    """A PNG whose pixels come in pieces of one byte, and of none."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(48 * (64 * 3 + 1)))
    pieces = png_chunk(b"IDAT", b"") * (size // 12) + b"".join(png_chunk(b"IDAT", bytes([b])) for b in packed)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + pieces + png_chunk(b"IEND", b"")


def ppm_comment(size: int) -> bytes:
    """A PPM with a comment without end in its header."""
    return b"P6 64 # " + b"c" * size + b"\n48 255\n" + drawing().tobytes()


def webp_chunks(size: int) -> bytes:
    """A WebP with unknown chunks behind its picture."""
    webp = encoded(drawing(), "WEBP", lossless=True)
    exif = encoded(drawing(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    body = exif[12:] + b"junk\0\0\0\0" * (size // 8)
    return webp[:4] + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_frames(size: int) -> bytes:
    """A WebP animation with frames without end."""
    buffer = BytesIO()
    frames = [Image.new("RGB", (64, 48), (i, 0, 0)) for i in range(2)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    webp = buffer.getvalue()
    last = webp.rindex(b"ANMF")
    body = webp[12:] + webp[last:] * (size // len(webp[last:]))
    return webp[:4] + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def avif_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def avif_items(size: int) -> bytes:
    """An AVIF with thousands of items (ISO/IEC 14496-12, 8.11)."""
    count = size // 42
    entry = avif_box(b"infe", struct.pack(">IIH4sB", 3 << 24, 0, 0, b"hidd", 0))
    infos = np.frombuffer(entry * count, np.uint8).reshape(count, len(entry)).copy()
    places = np.zeros((count, 20), np.uint8)
    numbers = (np.arange(count) + 1).astype(">u4").view(np.uint8).reshape(count, 4)
    infos[:, 12:16] = places[:, :4] = numbers
    places[:, 9] = 1
    meta = avif_box(b"hdlr", struct.pack(">II4s12sB", 0, 0, b"pict", b"", 0))
    meta += avif_box(b"pitm", struct.pack(">IH", 0, 1))
    meta += avif_box(b"iloc", struct.pack(">IHI", 2 << 24, 0x4400, count) + places[:, :18].tobytes())
    meta += avif_box(b"iinf", struct.pack(">II", 1 << 24, count) + infos.tobytes())
    return avif_box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + avif_box(b"meta", bytes(4) + meta)


def avif_frames(size: int) -> bytes:
    """An AVIF whose picture has one frame again and again."""
    avif = encoded(drawing(), "AVIF")
    start = avif.index(b"mdat") + 4
    old = len(avif) - start
    frame = avif.index(b"\x32", start)  # a frame with its size, which ends the file
    picture = avif[start:] + avif[frame:] * (size // (len(avif) - frame))
    head = avif[: start - 8].replace(struct.pack(">I", old), struct.pack(">I", len(picture)))
    return head + avif_box(b"mdat", picture)


COSTLY: dict[str, Maker] = {
    "JPEG: Exif segments": jpeg_segments(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "JPEG: Exif segments of full size": jpeg_segments(0xE1, (b"Exif\0\0II*\0\x08\0\0\0" + bytes(65_533))[:65_533]),
    "JPEG: Photoshop segments": jpeg_segments(0xED, b"Photoshop 3.0\0" + (b"8BIM\4\4\0\0\0\0\0\0") * 5000),
    "JPEG: ICC segments": jpeg_segments(0xE2, b"ICC_PROFILE\0\1\1x"),
    "JPEG: empty segments": jpeg_segments(0xE5, b""),
    "JPEG: comments": jpeg_segments(0xFE, b""),
    "JPEG: quantisation tables": jpeg_segments(0xDB, b"\0" + bytes(range(1, 65))),
    "JPEG: bare markers": jpeg_filled(b"\xff\xd0"),
    "JPEG: zeros between segments": jpeg_filled(b"\0"),
    "JPEG: fill bytes": jpeg_filled(b"\xff"),
    "JPEG: escaped bytes": jpeg_filled(b"\xff\0"),
    "JPEG: refining scans": jpeg_scans(6_000, 4_000, scan_of_runs(0x10, 375_000)),
    "JPEG: scans of DC": jpeg_scans(6_000, 4_000, scan_of_one(1, 0, 0, 0x00)),
    "JPEG: arithmetic scans": jpeg_scans(6_000, 4_000, scan_of_one(1, 1, 63, 0x10), arithmetic=True),
    "TIFF: directories": tiff_directories,
    "TIFF: tags": tiff_tags_without_end,
    "TIFF: strips": tiff_strips,
    "TIFF: progressive JPEG": tiff_of_progressive_jpegs,
    "GIF: comments": gif_comments(255),
    "GIF: comments of one byte": gif_comments(1),
    "GIF: frames": gif_frames,
    "PNG: empty chunks": png_chunks(b"abCd", b""),
    "PNG: colour profiles": png_chunks(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_040_000), 9)),
    "PNG: compressed texts": png_chunks(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_040_000), 9)),
    "PNG: Exif": png_chunks(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "PNG: small pieces": png_small_pieces,
    "PPM: comment": ppm_comment,
    "AVIF: items": avif_items,
    "AVIF: frames": avif_frames,
    "WebP: chunks": webp_chunks,
    "WebP: frames": webp_frames,
}
"""What the cost is hidden in, and a maker of a file of about so many bytes."""
