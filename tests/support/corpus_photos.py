"""Photos that must be read, in every format and with every peculiarity."""

import struct
from collections.abc import Iterator

import numpy as np
from drawings import (
    BLACK,
    FIELDS,
    GREYS,
    HEIGHT,
    WHITE,
    WIDTH,
    Fields,
    Outcome,
    Recipe,
    drawing,
    encoded,
    grey_drawing,
    oriented,
    png_chunk,
    png_file,
    tiff_file,
    tiff_tags,
    top_down_bmp,
)
from numpy.typing import NDArray
from PIL import Image


def good_photos() -> Iterator[Recipe]:
    for group in (_jpegs, _orientations, _pngs, _webps_and_avifs, _simple_formats, _tiffs):
        yield from group()


def _jpegs() -> Iterator[Recipe]:
    close = Outcome(tolerance=6)
    yield Recipe("baseline.jpg", encoded(drawing(), "JPEG", quality=92), close)
    yield Recipe("progressive.jpg", encoded(drawing(), "JPEG", quality=92, progressive=True), close)
    yield Recipe("no subsampling.jpg", encoded(drawing(), "JPEG", quality=92, subsampling=0), close)
    yield Recipe("rgb.jpg", encoded(drawing(), "JPEG", quality=92, keep_rgb=True), close)
    yield Recipe("grey.jpg", encoded(grey_drawing(), "JPEG", quality=92), Outcome(GREYS, tolerance=6))
    yield Recipe("cmyk.jpg", encoded(_cmyk(), "JPEG", quality=95), close)
    yield Recipe("ycck.jpg", _ycck_jpeg(), Outcome(tolerance=8))
    yield Recipe("two pictures.mpo", _mpo(), close)
    yield Recipe("trailing bytes.jpg", encoded(drawing(), "JPEG", quality=92) + bytes(1000), close)
    yield Recipe("jpeg named.png", encoded(drawing(), "JPEG", quality=92), close)
    yield Recipe(
        "large.jpg",
        encoded(drawing(width=1200, height=900), "JPEG"),
        Outcome(width=1200, height=900, tolerance=6),
    )


def _cmyk() -> Image.Image:
    inks = 255 - drawing()
    return _in_inks(np.dstack([inks, np.zeros_like(inks[:, :, :1])]))


def _in_inks(channels: NDArray[np.uint8]) -> Image.Image:
    return Image.merge("CMYK", [Image.fromarray(channels[:, :, ink].copy()) for ink in range(4)])


def _ycck_jpeg() -> bytes:
    """CMYK whose inks are stored as luma and chroma, as Adobe's marker with transform 2 says.

    The encoder stores 255 minus each channel it is given, so it is given the complement.
    """
    inks = Image.fromarray(255 - drawing()).convert("YCbCr")
    channels = np.dstack([255 - np.asarray(inks), np.zeros((HEIGHT, WIDTH, 1), np.uint8)])
    jpeg = bytearray(encoded(_in_inks(channels), "JPEG", quality=95, subsampling=0))
    marker = jpeg.index(b"Adobe")
    jpeg[marker + 11] = 2
    return bytes(jpeg)


def _mpo() -> bytes:
    second = Image.new("RGB", (WIDTH, HEIGHT), "black")
    return encoded(drawing(), "MPO", quality=92, save_all=True, append_images=[second])


def _orientations() -> Iterator[Recipe]:
    """Each file is stored so that it is upright again once its Orientation tag is obeyed."""
    stored_as = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }
    for orientation, store in stored_as.items():
        pixels, exif = np.ascontiguousarray(store(drawing())), oriented(orientation)
        name = f"orientation {orientation}"
        yield Recipe(f"{name}.jpg", encoded(pixels, "JPEG", quality=92, exif=exif), Outcome(tolerance=6))
        yield Recipe(f"{name}.png", encoded(pixels, "PNG", exif=exif), Outcome())
        yield Recipe(f"{name}.webp", encoded(pixels, "WEBP", lossless=True, exif=exif), Outcome())
        yield Recipe(f"{name}.tif", encoded(pixels, "TIFF", exif=exif), Outcome())
        yield Recipe(f"{name}.avif", encoded(pixels, "AVIF", quality=95, exif=exif), Outcome(tolerance=8))
    mirrored = encoded(drawing()[:, ::-1].copy(), "PNG")
    late = png_chunk(b"eXIf", oriented(2).tobytes().removeprefix(b"Exif\0\0"))
    yield Recipe("orientation after the pixels.png", mirrored[:-12] + late + mirrored[-12:], Outcome())
    yield Recipe("orientation 99.jpg", encoded(drawing(), "JPEG", exif=oriented(99)), Outcome(tolerance=6))
    cut = oriented(6).tobytes()[:-40]
    yield Recipe("cut exif.jpg", encoded(drawing(), "JPEG", exif=cut), Outcome(tolerance=6))


def _rows(pixels: NDArray[np.generic]) -> bytes:
    """Rows without a filter: a zero byte before each."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def _adam7(pixels: NDArray[np.uint8]) -> bytes:
    """The seven passes of an interlaced PNG: ISO/IEC 15948, 8.2."""
    passes = (
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    )
    return b"".join(_rows(pixels[top::down, left::right]) for top, down, left, right in passes)


def _pngs() -> Iterator[Recipe]:
    grey, rgb = drawing(GREYS)[:, :, 0], drawing()
    clear_first = Outcome((WHITE, *FIELDS[1:]), tolerance=2)
    yield Recipe("rgb.png", encoded(rgb, "PNG"), Outcome())
    yield Recipe("grey.png", encoded(grey, "PNG"), Outcome(GREYS))
    yield Recipe("interlaced.png", png_file(_adam7(rgb), WIDTH, HEIGHT, 8, 2, interlace=1), Outcome())
    for name, pixels, colour, fields in (
        ("grey", grey, 0, GREYS),
        ("rgb", rgb, 2, FIELDS),
        ("rgba", _rgba(), 6, _on_white()),
    ):
        deep = png_file(_rows(_deep(pixels)), WIDTH, HEIGHT, 16, colour)
        yield Recipe(f"{name} 16 bit.png", deep, Outcome(fields, tolerance=1))
    palette = Image.fromarray(rgb).quantize(8)
    yield Recipe("palette.png", encoded(palette, "PNG"), Outcome(tolerance=2))
    clear = encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))
    yield Recipe("palette with a clear colour.png", clear, clear_first)
    clear = encoded(grey, "PNG", transparency=GREYS[0][0])
    yield Recipe("grey with a clear level.png", clear, Outcome((WHITE, *GREYS[1:])))
    yield Recipe("rgb with a clear colour.png", encoded(rgb, "PNG", transparency=FIELDS[0]), clear_first)
    clear_16 = png_chunk(b"tRNS", struct.pack(">HHH", *(level * 257 for level in FIELDS[0])))
    deep = png_file(_rows(_deep(rgb)), WIDTH, HEIGHT, 16, 2, extra=clear_16)
    yield Recipe("rgb 16 bit with a clear colour.png", deep, clear_first)
    yield Recipe("rgba.png", encoded(_rgba(), "PNG"), Outcome(_on_white(), tolerance=1))
    yield Recipe("grey with alpha.png", encoded(_grey_alpha(), "PNG"), Outcome(_on_white(GREYS), tolerance=1))
    checkers: Fields = (WHITE, BLACK, BLACK, WHITE)
    yield Recipe("1 bit.png", encoded(Image.fromarray(drawing(checkers)).convert("1"), "PNG"), Outcome(checkers))
    frames = encoded(rgb, "PNG", save_all=True, append_images=[_black()])
    yield Recipe("animated.png", frames, Outcome(frames=2))


def _deep(pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
    return (pixels.astype(np.uint16) * 257).astype(">u2")


def _rgba() -> NDArray[np.uint8]:
    """The drawing with alpha 255, 128, 0 and 255 in its fields."""
    alpha = drawing(((255,) * 3, (128,) * 3, (0,) * 3, (255,) * 3))[:, :, :1]
    return np.dstack([drawing(), alpha])


def _grey_alpha() -> Image.Image:
    return Image.merge("LA", (grey_drawing(), Image.fromarray(_rgba()[:, :, 3])))


def _on_white(fields: Fields = FIELDS) -> Fields:
    half = tuple(round((128 * level + 127 * 255) / 255) for level in fields[1])
    return (fields[0], half, WHITE, fields[3])  # type: ignore[return-value]


def _black() -> Image.Image:
    return Image.new("RGB", (WIDTH, HEIGHT))


def _webps_and_avifs() -> Iterator[Recipe]:
    rgb = drawing()
    yield Recipe("lossy.webp", encoded(rgb, "WEBP", quality=95), Outcome(tolerance=10))
    yield Recipe("lossless.webp", encoded(rgb, "WEBP", lossless=True), Outcome())
    clear = encoded(_rgba(), "WEBP", lossless=True)
    yield Recipe("clear.webp", clear, Outcome(_on_white(), tolerance=1))
    frames = encoded(rgb, "WEBP", lossless=True, save_all=True, append_images=[_black()])
    yield Recipe("animated.webp", frames, Outcome(frames=2))
    yield Recipe("photo.avif", encoded(rgb, "AVIF", quality=95), Outcome(tolerance=10))
    clear = encoded(_rgba(), "AVIF", quality=100, subsampling="4:4:4")
    yield Recipe("clear.avif", clear, Outcome(_on_white(), tolerance=10))


def _simple_formats() -> Iterator[Recipe]:
    rgb = Image.fromarray(drawing())
    palette = rgb.quantize(8)
    yield Recipe("still.gif", encoded(palette, "GIF"), Outcome(tolerance=2))
    frames = encoded(rgb, "GIF", save_all=True, append_images=[_black()])
    yield Recipe("animated.gif", frames, Outcome(tolerance=2, frames=2))
    yield Recipe("grey.gif", encoded(grey_drawing(), "GIF"), Outcome(GREYS))
    yield Recipe("24 bit.bmp", encoded(rgb, "BMP"), Outcome())
    yield Recipe("palette.bmp", encoded(palette, "BMP"), Outcome(tolerance=2))
    yield Recipe("negative height.bmp", top_down_bmp(), Outcome())
    yield Recipe("binary.ppm", encoded(rgb, "PPM"), Outcome())
    yield Recipe("binary.pgm", encoded(grey_drawing(), "PPM"), Outcome(GREYS))
    deep = f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + _deep(drawing(GREYS)[:, :, 0]).tobytes()
    yield Recipe("16 bit.pgm", deep, Outcome(GREYS, tolerance=1))
    tenths = f"P6 {WIDTH} {HEIGHT} 10\n".encode() + (drawing() // 25).tobytes()
    yield Recipe("10 levels.ppm", tenths, Outcome(tolerance=25))


def _tiffs() -> Iterator[Recipe]:
    rgb = Image.fromarray(drawing())
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Recipe(f"{compression}.tif", encoded(rgb, "TIFF", compression=compression), Outcome())
    yield Recipe("jpeg.tif", encoded(rgb, "TIFF", compression="jpeg", quality=92), Outcome(tolerance=8))
    pages = encoded(rgb, "TIFF", save_all=True, append_images=[_black()])
    yield Recipe("two pages.tif", pages, Outcome(frames=2))
    yield Recipe("clear.tif", encoded(_rgba(), "TIFF"), Outcome(_on_white(), tolerance=1))
    yield Recipe("cmyk.tif", encoded(_cmyk(), "TIFF"), Outcome(tolerance=1))
    grey = drawing(GREYS)[:, :, 0]
    holes = grey.astype(np.float32)
    holes[0, :3] = np.nan, np.inf, -np.inf
    for name, levels in (
        ("grey 16 bit", grey.astype(np.uint16) * 257),
        ("grey 32 bit", grey.astype(np.int32) * 257),
        ("float to 1", grey.astype(np.float32) / 255),
        ("float to 255", grey.astype(np.float32)),
        ("float with holes", holes),
    ):
        yield Recipe(f"{name}.tif", encoded(levels, "TIFF"), Outcome(GREYS, tolerance=1))
    middle_grey: Fields = ((128, 128, 128),) * 4
    yield Recipe("handmade.tif", tiff_file(tiff_tags()), Outcome(middle_grey))
    yield Recipe("pages in a ring.tif", tiff_file(tiff_tags(), next_page=8), Outcome(middle_grey))
