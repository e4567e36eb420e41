"""An opened picture of any Pillow mode becomes upright RGB pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from roadclear.images.limits import MAX_EXIF_BYTES

# Exif 2.32, table 6: what undoes each value of the Orientation tag.
_UPRIGHT: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNS = {5, 6, 7, 8}


def upright_pixels(
    picture: list[Image.Image], size: int | None = None, region: tuple[float, float, float, float] | None = None
) -> NDArray[np.uint8]:
    """Convert a loaded picture to RGB pixels, upright, and on white where it is transparent.

    Args:
        picture: one loaded picture of any mode. It is taken out of the list, so that the caller's reference does
            not keep its memory through all steps.
        size: width and height of the result in pixels, or None for the picture's own.
        region: left, upper, right and lower edge of what is squashed to `size`; None for the whole picture.

    Returns:
        uint8 RGB in 0..255, [size, size, 3], or [height, width, 3] without `size`; writable.
    """
    image = picture.pop()
    upright = _UPRIGHT.get(_orientation(image))
    image = _flat(image)
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=region)
    if upright is not None:
        image = image.transpose(upright)
    return _as_array(image)


def is_turned(image: Image.Image) -> bool:
    """Return whether width and height change places when the picture is set upright."""
    return _orientation(image) in _TURNS


def _orientation(image: Image.Image) -> Any:
    """Read the Orientation tag; 1 where there is none to apply."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1  # Pillow turns TIFFs itself
    try:
        if image.format == "PNG":
            image.load()  # the tag may follow the pixels
        if len(image.info.get("exif", b"")) > MAX_EXIF_BYTES:
            return 1
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1  # metadata that cannot be read is no reason to refuse the photo


def _flat(image: Image.Image) -> Image.Image:
    """Make a loaded picture 8-bit grey or RGB, without transparency."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image))
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return (values >> 8).astype(np.uint8)
    levels = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    levels -= min(float(levels.min()), 0.0)
    brightest = float(levels.max())
    whites = (255.0, 65535.0, brightest) if image.mode == "I" else (1.0, 255.0, 65535.0, brightest)
    levels *= 255.0 / next(white for white in whites if brightest <= white)
    return np.rint(levels, out=levels).astype(np.uint8)


def _as_array(image: Image.Image) -> NDArray[np.uint8]:
    """Copy to [height, width, 3], in strips because Pillow holds what it hands over twice."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, 2**20 // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels
