"""Markup of a provider's answer, as the text that a reader would see."""

from html.parser import HTMLParser
from urllib.parse import urljoin

_UNSEEN = ("script", "style")
_WITHOUT_END = ("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


def visible_text(markup: str) -> str:
    """The text on one line: no tags, entities resolved, without what is hidden by its style."""
    return " ".join("".join(_read(markup).parts).split())


def first_link(markup: str, base: str) -> str:
    """The first address that is linked to, made absolute against the address of the page; "" where there is none."""
    links = _read(markup).links
    return urljoin(base, links[0]) if links else ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.links: list[str] = []
        self._hidden_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _WITHOUT_END:
            self.parts.append(" ")
            return
        given = dict(attrs)
        hidden = tag in _UNSEEN or "display:none" in (given.get("style") or "").replace(" ", "").lower()
        if self._hidden_depth or hidden:
            self._hidden_depth += 1
        elif tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _WITHOUT_END and self._hidden_depth:
            self._hidden_depth -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden_depth:
            self.parts.append(data)


def _read(markup: str) -> _Reader:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader
