"""Wikimedia Commons: over 100 million freely licensed files.

Relied on: https://www.mediawiki.org/wiki/API:Search, API:Imageinfo, API:Continue, API:Errors_and_warnings, and
https://commons.wikimedia.org/wiki/Commons:API/MediaWiki, namely:
- The whole `continue` object is sent back. An answer without `batchcomplete` holds some properties only: the same pages
  come again with the rest of theirs, so nothing is given out before the batch is complete.
- The pages of a generator come in no order; `index` is their rank. No results at all means no `query` at all.
- `Artist`, `ObjectName` and their like are HTML. Errors come with status 200 and an `error` object.
- The User-Agent must say how to reach whoever runs the program
  (https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy).
- Since 2026 thumbnails are served in standard widths only, other widths are answered with 429
  (https://www.mediawiki.org/wiki/Common_thumbnail_sizes). THUMBNAIL_WIDTH is one of them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.licences import UNKNOWN, Licence
from roadclear.collect.providers.html_text import first_link, visible_text
from roadclear.collect.providers.responses import get_json, number, records, text
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "wikimedia"
ADDRESS = "https://commons.wikimedia.org"
CONTACT_VARIABLE = "ROADCLEAR_CONTACT"
BATCH_SIZE = 50
THUMBNAIL_WIDTH = 1280
BITMAPS = ("image/jpeg", "image/png", "image/webp")

_CONTACT = re.compile(r"[!-~]+(@|://)[!-~]+")
_QUESTION: Mapping[str, str | int] = {
    "action": "query",
    "format": "json",
    "formatversion": 2,
    "generator": "search",
    "gsrnamespace": 6,
    "gsrlimit": BATCH_SIZE,
    "prop": "imageinfo",
    "iiprop": "url|size|mime|mediatype|user|sha1|extmetadata",
    "iiurlwidth": THUMBNAIL_WIDTH,
}


class Wikimedia:
    """Searches bitmaps, 50 at a time; wide ones are offered at THUMBNAIL_WIDTH."""

    name = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.address(NAME, ADDRESS)}/w/api.php"
        self._contact = settings.contact or settings.variable(CONTACT_VARIABLE)
        if not _CONTACT.fullmatch(self._contact):
            found = repr(self._contact) if self._contact else "none"
            raise OptionError(
                f"{NAME} wants to know whom to reach, an e-mail address or a web page, found {found}: "
                f"give --contact you@example.org, or set {CONTACT_VARIABLE}"
            )

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider."""
        rank = 0
        for batch in self._batches(query, client):
            for page in batch:
                rank += 1
                candidate = self._candidate(page, query, rank)
                if candidate:
                    yield candidate

    def _batches(self, query: str, client: "httpx.Client") -> Iterator[list[dict[str, Any]]]:
        """Complete batches of pages, each in the order of its ranks."""
        question = {**_QUESTION, "gsrsearch": f"filetype:bitmap {query}"}
        following: dict[str, Any] = {}
        pages: dict[str, dict[str, Any]] = {}
        while True:
            answer = self._ask({**question, **following}, client)
            for page in records(NAME, answer, "query", "pages") if "query" in answer else ():
                key = str(page.get("pageid"))
                pages[key] = pages.get(key, {}) | page
            before, following = following, answer.get("continue") or {}
            if answer.get("batchcomplete") or not following:
                yield sorted(pages.values(), key=lambda page: number(page.get("index")) or 0)
                pages = {}
            if not following:
                return
            if following == before:
                raise ProviderError(f"{NAME}: expected the next results, found the same again: use another provider")

    def _ask(self, params: Mapping[str, str | int], client: "httpx.Client") -> dict[str, Any]:
        agent = client.headers.get("User-Agent", "")
        headers = {"User-Agent": agent if self._contact in agent else f"{agent} ({self._contact})".strip()}
        advice = "check that --contact is yours, or wait a while"
        answer = get_json(client, NAME, self._url, params, headers, refused=advice)
        error = answer.get("error")
        if error:
            code, reason = (text(error.get(key)) for key in ("code", "info")) if isinstance(error, dict) else ("", "")
            advice = "wait some minutes" if code in ("ratelimited", "maxlag") else "change the query"
            raise ProviderError(f"{NAME}: expected results, found error {code!r} ({reason}): {advice}")
        return answer

    def _candidate(self, page: dict[str, Any], query: str, rank: int) -> Candidate | None:
        """None for a page without a bitmap, or under another licence than is wished."""
        details = page.get("imageinfo")
        info = details[0] if isinstance(details, list) and details else None
        if not isinstance(info, dict) or info.get("mime") not in BITMAPS or not text(info.get("url")):
            return None
        told = partial(_metadata, info)
        licence = Licence.at(told("LicenseUrl")) or Licence.called(told("LicenseShortName") or told("License"))
        if not self._settings.allows(licence.code if licence else None):
            return None
        address, width, height = _picture(info)
        return Candidate(
            provider=NAME,
            query=query,
            rank=rank,
            image_url=address,
            page_url=text(info.get("descriptionurl")),
            title=visible_text(told("ObjectName")) or text(page.get("title")).removeprefix("File:"),
            author=visible_text(told("Artist")) or visible_text(told("Attribution")),
            author_url=first_link(told("Artist"), ADDRESS),
            licence=licence.name if licence and licence.version else told("LicenseShortName") or UNKNOWN,
            licence_url=told("LicenseUrl") or (licence.url if licence else ""),
            width=width,
            height=height,
        )


def _metadata(info: Mapping[str, Any], name: str) -> str:
    """A value of the extended metadata, which is a list where it is empty."""
    known = info.get("extmetadata")
    entry = known.get(name) if isinstance(known, dict) else None
    return text(entry.get("value")) if isinstance(entry, dict) else ""


def _picture(info: Mapping[str, Any]) -> tuple[str, int | None, int | None]:
    """Address, width and height of the picture to fetch: the original, or its thumbnail where that is smaller."""
    width = number(info.get("width"))
    if width and width > THUMBNAIL_WIDTH and text(info.get("thumburl")):
        return text(info["thumburl"]), number(info.get("thumbwidth")), number(info.get("thumbheight"))
    return text(info["url"]), width, number(info.get("height"))
