"""Wikimedia Commons: over 100 million freely licensed files.

Interface: https://www.mediawiki.org/wiki/API:Search, API:Imageinfo, API:Continue, API:Errors_and_warnings, and
https://commons.wikimedia.org/wiki/Commons:API/MediaWiki, in particular:
- The next request repeats the whole `continue` object. An answer without `batchcomplete` has only some properties of
  its pages, and later answers have the rest. So results are yielded once their batch is complete.
- Pages of a generator have no order; `index` is the rank. An answer without results has no `query`.
- `Artist`, `ObjectName` and similar values are HTML. Errors have status 200 and an `error` object.
- The User-Agent must state a contact of the person who runs the program
  (https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy).
- Since 2026 thumbnails exist in standard widths only, and other widths have status 429
  (https://www.mediawiki.org/wiki/Common_thumbnail_sizes). THUMBNAIL_WIDTH is a standard width.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.licences import LONGEST_NAME, UNKNOWN, Licence
from roadclear.collect.providers.html_text import first_link, visible_text
from roadclear.collect.providers.responses import (
    LONGEST_LINK,
    excerpt,
    get_json,
    identifier,
    link,
    number,
    quoted,
    records,
    text,
)
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "wikimedia"
ADDRESS = "https://commons.wikimedia.org"
CONTACT_VARIABLE = "ROADCLEAR_CONTACT"
BATCH_SIZE = 50
MOST_REQUESTS = 400
MOST_PARTS = 20
"""Most requests for the properties of one batch."""
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
    """Search for bitmaps: 50 per request, wide pictures scaled to THUMBNAIL_WIDTH.

    Args:
        settings: settings of the providers.

    Raises:
        OptionError: there is no contact.
    """

    name = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.address(NAME, ADDRESS)}/w/api.php"
        self._contact = settings.contact or settings.variable(CONTACT_VARIABLE)
        if not _CONTACT.fullmatch(self._contact):
            found = repr(self._contact) if self._contact else "none"
            raise OptionError(
                f"{NAME} needs a contact, an e-mail address or a web page, found {found}: "
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
        """Yield complete batches of pages, each in the order of ranks."""
        question = {**_QUESTION, "gsrsearch": f"filetype:bitmap {query}"}
        following: dict[str, str] = {}
        pages: dict[str, dict[str, Any]] = {}
        parts = 0
        for _ in range(MOST_REQUESTS):
            answer = self._ask({**question, **following}, client)
            for page in records(NAME, answer, "query", "pages") if "query" in answer else ():
                key = identifier(page.get("pageid"))
                pages[key] = pages.get(key, {}) | page
            before, following = following, _continuation(answer)
            if answer.get("batchcomplete") or not following:
                yield sorted(pages.values(), key=lambda page: number(page.get("index")) or 0)
                pages, parts = {}, 0
            if not following:
                return
            parts += 1
            if following == before or parts > MOST_PARTS:
                raise ProviderError(f"{NAME}: expected the next results, found the same again: use another provider")

    def _ask(self, params: Mapping[str, str | int], client: "httpx.Client") -> dict[str, Any]:
        agent = client.headers.get("User-Agent", "")
        headers = {"User-Agent": agent if self._contact in agent else f"{agent} ({self._contact})".strip()}
        advice = "check that --contact is yours, or wait a while"
        answer = get_json(client, NAME, self._url, params, headers, refused=advice)
        error = answer.get("error")
        if error:
            code, reason = (error.get("code"), error.get("info")) if isinstance(error, dict) else ("", "")
            advice = "wait some minutes" if text(code) in ("ratelimited", "maxlag") else "change the query"
            raise ProviderError(f"{NAME}: expected results, found error {quoted(code)} ({excerpt(reason)}): {advice}")
        return answer

    def _candidate(self, page: dict[str, Any], query: str, rank: int) -> Candidate | None:
        """Make a candidate; None for a page without a bitmap, or without a requested licence."""
        details = page.get("imageinfo")
        info = details[0] if isinstance(details, list) and details else None
        if not isinstance(info, dict) or info.get("mime") not in BITMAPS or not text(info.get("url")):
            return None
        value = partial(_metadata, info)
        licence = Licence.at(value("LicenseUrl")) or Licence.called(value("LicenseShortName") or value("License"))
        if not self._settings.allows(licence.code if licence else None):
            return None
        name = text(value("LicenseShortName"), LONGEST_NAME)
        address, width, height = _picture(info)
        return Candidate(
            provider=NAME,
            query=query,
            rank=rank,
            image_url=address,
            page_url=link(info.get("descriptionurl")),
            title=visible_text(value("ObjectName")) or text(page.get("title")).removeprefix("File:"),
            author=visible_text(value("Artist")) or visible_text(value("Attribution")),
            author_url=link(first_link(value("Artist"), ADDRESS)),
            licence=licence.name if licence and licence.version else name or UNKNOWN,
            licence_url=link(value("LicenseUrl")) or (licence.url if licence else ""),
            width=width,
            height=height,
        )


def _continuation(answer: Mapping[str, Any]) -> dict[str, str]:
    """Read the parameters of the next request; none for another shape than documented."""
    following = answer.get("continue")
    return (
        {text(key, LONGEST_LINK): identifier(value, LONGEST_LINK) for key, value in following.items()}
        if isinstance(following, dict)
        else {}
    )


def _metadata(info: Mapping[str, Any], name: str) -> str:
    """Read a value of the extended metadata, which is a list where it is empty."""
    known = info.get("extmetadata")
    entry = known.get(name) if isinstance(known, dict) else None
    return text(entry.get("value")) if isinstance(entry, dict) else ""


def _picture(info: Mapping[str, Any]) -> tuple[str, int | None, int | None]:
    """Choose the picture to download, the original or a smaller thumbnail: address, width and height."""
    width = number(info.get("width"))
    if width and width > THUMBNAIL_WIDTH and text(info.get("thumburl")):
        return text(info["thumburl"]), number(info.get("thumbwidth")), number(info.get("thumbheight"))
    return text(info["url"]), width, number(info.get("height"))
