"""DuckDuckGo's image search, through ddgs: licences unknown.

Relied on: ddgs 9 (github.com/deedy5/ddgs, `DDGS.images` with the backend `duckduckgo`). It has a network client of its
own that looks like a browser, so neither our User-Agent nor our waiting applies, only the proxy.

Known problem: DuckDuckGo limits the rate with status 202, 403 or 429 (issues 152, 304 and 309 of ddgs), and ddgs
answers each of them, like a page without results, with "No results found." or with a missing `vqd` token. So a first
page without results is told as either.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.providers.responses import number, text
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "duckduckgo"
DEPTH = 10
TIMEOUT = 20

_NOTHING = "No results found"
_TOKEN = "vqd"  # noqa: S105 - the name of a token, in ddgs' message


class DuckDuckGo:
    """Searches pictures, about 100 a page, 10 pages at most."""

    name = NAME

    def __init__(self, settings: Settings, verify: bool | str = True) -> None:
        """`verify` is whether certificates are checked, or the file with those that are trusted."""
        if settings.licences is not None:
            raise OptionError(
                f"{NAME} does not say under which licence a picture is, found --licenses: "
                "leave that out, or use openverse or wikimedia"
            )
        try:
            from ddgs import DDGS
        except ImportError:
            raise OptionError(
                f"{NAME} wants the extra 'scrape', found it not installed: pip install 'roadclear[scrape]'"
            ) from None
        self._search: Any = DDGS(proxy=settings.proxy, timeout=TIMEOUT, verify=verify)

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider."""
        seen: set[str] = set()
        for page in range(1, DEPTH + 1):
            found = [result for result in self._page(query, page) if text(result.get("image")) not in seen | {""}]
            if not found:
                return
            for result in found:
                url = text(result["image"])
                if url not in seen:
                    seen.add(url)
                    yield _candidate(result, query, len(seen))

    def _page(self, query: str, page: int) -> list[dict[str, Any]]:
        from ddgs.exceptions import DDGSException

        try:
            results: list[dict[str, Any]] = self._search.images(query, backend=NAME, page=page, max_results=None)
        except DDGSException as error:
            reason = " ".join(str(error).split())
            if page > 1 and _NOTHING in reason:
                return []
            if _NOTHING in reason or _TOKEN in reason:
                raise ProviderError(
                    f"{NAME}: expected results, found none: it has none, or limits the rate; wait some minutes, or use "
                    "another provider"
                ) from None
            raise ProviderError(
                f"{NAME}: expected an answer, found none ({reason[:160]}): check the connection, or try again later"
            ) from None
        return results


def _candidate(result: dict[str, Any], query: str, rank: int) -> Candidate:
    return Candidate(
        provider=NAME,
        query=query,
        rank=rank,
        image_url=text(result["image"]),
        page_url=text(result.get("url")),
        title=text(result.get("title")),
        width=number(result.get("width")),
        height=number(result.get("height")),
    )
