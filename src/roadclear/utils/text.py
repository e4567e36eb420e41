"""Text that is safe to print and to show."""

from pathlib import Path


def printable(text: str | Path) -> str:
    """Return the text on one line. Characters that cannot be printed become Python's escapes."""
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)


def escape(character: str) -> str:
    """Return a character as Python's escape."""
    return character.encode("unicode_escape").decode()
