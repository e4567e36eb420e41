"""Text on pictures, in Pillow's own font: any text, on one line, within a width."""

from functools import cache

from PIL import ImageFont

from roadclear.utils.text import escape

_MISSING = "\uffff"
"""Character without a glyph in any font. A character that looks the same has no glyph either."""

_ELLIPSIS = "…"


def drawable(text: str) -> str:
    """Replace characters without a glyph by Python's escapes.

    The font that comes with Pillow (Aileron) has glyphs for ASCII and very few other characters.
    """
    return "".join(c if _has_glyph(c) else escape(c) for c in text)


def fit(text: str, size: int, width: int) -> str:
    """Make drawable text of at most `width` pixels. A longer text keeps both ends.

    The beginning of a file name shows the folder, and the end shows number and extension.

    Args:
        text: any text.
        size: font size in pixels.
        width: largest width in pixels.
    """
    text = drawable(text)
    if text_width(text, size) <= width:
        return text
    shortest, longest = 0, len(text)
    while shortest < longest:
        kept = (shortest + longest + 1) // 2
        if text_width(_both_ends(text, kept), size) <= width:
            shortest = kept
        else:
            longest = kept - 1
    return _both_ends(text, shortest)


def text_width(text: str, size: int) -> int:
    """Measure the width of drawable text in pixels, at a font size in pixels."""
    return round(font(size).getlength(text))


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Load Pillow's own font at a size in pixels."""
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):  # only where Pillow was built without FreeType
        raise ImportError("expected a Pillow with FreeType, found one without: pip install pillow")
    return found


def _both_ends(text: str, kept: int) -> str:
    tail = kept // 2
    return text[: kept - tail] + _ELLIPSIS + (text[-tail:] if tail else "")


@cache
def _has_glyph(character: str) -> bool:
    if not character.isprintable():
        return False
    return character.isascii() or bytes(font(32).getmask(character)) != bytes(font(32).getmask(_MISSING))
