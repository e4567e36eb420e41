"""Words on a picture, in Pillow's own font: any text, on one line, within a width."""

from functools import cache

from PIL import ImageFont

from roadclear.utils.text import escape

_MISSING = "\uffff"
"""No font has a sign for this; what looks like it has none either."""

_ELLIPSIS = "…"


def drawable(text: str) -> str:
    """Text in which what the font has no sign for stands in Python's escapes.

    The font that comes with Pillow (Aileron) is cut down to ASCII and very few other signs.
    """
    return "".join(c if _has_sign(c) else escape(c) for c in text)


def fit(text: str, size: int, width: int) -> str:
    """Drawable text that is at most so many pixels wide: of a longer one, both ends.

    The beginning of a file name tells its folder, its end the number and the kind.
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
    """Width of drawable text in pixels, at a font size in pixels."""
    return round(font(size).getlength(text))


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font at a size in pixels."""
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):  # only where Pillow was built without FreeType
        raise ImportError("expected a Pillow with FreeType, found one without: pip install pillow")
    return found


def _both_ends(text: str, kept: int) -> str:
    tail = kept // 2
    return text[: kept - tail] + _ELLIPSIS + (text[-tail:] if tail else "")


@cache
def _has_sign(character: str) -> bool:
    if not character.isprintable():
        return False
    return character.isascii() or bytes(font(32).getmask(character)) != bytes(font(32).getmask(_MISSING))
