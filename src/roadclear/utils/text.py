"""Text that is safe to print and to show."""

from pathlib import Path


def printable(text: str | Path) -> str:
    """Text on one line, with what cannot be printed in Python's escapes."""
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else escape(c) for c in text)


def escape(character: str) -> str:
    """A character in Python's escapes."""
    return character.encode("unicode_escape").decode()
