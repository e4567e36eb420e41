"""Text that is safe to print and to show."""

import re
from pathlib import Path


def printable(text: str | Path) -> str:
    """Return the text on one line. Characters that cannot be printed become Python's escapes."""
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)


def restore_slashes(text: str) -> str:
    """Write addresses with both slashes again: a path that was made from "https://a.example" is "https:/a.example"."""
    return re.sub(r"\b(https?|s3|gs):/(?!/)", r"\1://", text)


def escape(character: str) -> str:
    """Return a character as Python's escape."""
    return character.encode("unicode_escape").decode()
