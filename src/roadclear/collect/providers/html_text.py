"""HTML in a provider's answer -> visible text and links."""

from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import urljoin

_UNSEEN = ("script", "style")
_WITHOUT_END = ("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


def visible_text(markup: str) -> str:
    """Extract the visible text on one line, without tags and hidden elements, with resolved entities."""
    return " ".join("".join(_read(markup).texts).split())


def first_link(markup: str, base: str) -> str:
    """Extract the address of the first link, relative to the address of the page; "" without a valid link."""
    links = _read(markup).links
    try:
        return urljoin(base, links[0]) if links else ""
    except ValueError:
        return ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.links: list[str] = []
        self._hidden_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _WITHOUT_END:
            self.texts.append(" ")
            return
        attributes = dict(attrs)
        hidden = tag in _UNSEEN or "display:none" in (attributes.get("style") or "").replace(" ", "").lower()
        if self._hidden_depth or hidden:
            self._hidden_depth += 1
        elif tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _WITHOUT_END and self._hidden_depth:
            self._hidden_depth -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden_depth:
            self.texts.append(data)


def _read(markup: str) -> _Reader:
    """Read markup up to its first fault: the parser raises for odd declarations, and for numbers without end."""
    reader = _Reader()
    with suppress(AssertionError, ValueError):
        reader.feed(markup)
        reader.close()
    return reader
