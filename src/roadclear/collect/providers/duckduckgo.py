"""DuckDuckGo's image search through ddgs, with unknown licences.

Interface: ddgs 9 (github.com/deedy5/ddgs, `DDGS.images` with the backend `duckduckgo`). ddgs has its own network
client, which looks like a browser. Our proxy applies, but neither our User-Agent nor our rate limit.

Known problem: DuckDuckGo limits the rate with status 202, 403 or 429 (issues 152, 304 and 309 of ddgs). ddgs reports
each status like a page without results: "No results found.", or a missing `vqd` token. So the message about an empty
first page names both causes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.providers.responses import MOST_RECORDS, excerpt, link, number, text
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
    """Search for pictures: about 100 per page, at most 10 pages.

    Args:
        settings: settings of the providers.
        verify: whether certificates are checked, or the path of a file with trusted certificates.

    Raises:
        OptionError: licences are requested, or ddgs is not installed.
    """

    name = NAME

    def __init__(self, settings: Settings, verify: bool | str = True) -> None:
        if settings.licences is not None:
            raise OptionError(
                f"{NAME} does not say under which licence a picture is, found --licenses: "
                "leave the option out, or use openverse or wikimedia"
            )
        try:
            from ddgs import DDGS
        except ImportError:
            raise OptionError(
                f"{NAME} needs the extra 'scrape', which is not installed: pip install 'roadclear[scrape]'"
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
            reason = text(str(error))
            if page > 1 and _NOTHING in reason:
                return []
            if _NOTHING in reason or _TOKEN in reason:
                raise ProviderError(
                    f"{NAME}: expected results, found none or a rate limit: change the query, wait some minutes, or "
                    "use another provider"
                ) from None
            raise ProviderError(
                f"{NAME}: expected an answer, found none ({excerpt(reason)}): check the connection, or try again later"
            ) from None
        except Exception as error:  # ddgs trusts the types in an answer
            raise ProviderError(
                f"{NAME}: expected results as documented, found others ({type(error).__name__}): use another provider"
            ) from None
        return results[:MOST_RECORDS]


def _candidate(result: dict[str, Any], query: str, rank: int) -> Candidate:
    return Candidate(
        provider=NAME,
        query=query,
        rank=rank,
        image_url=text(result["image"]),
        page_url=link(result.get("url")),
        title=text(result.get("title")),
        width=number(result.get("width")),
        height=number(result.get("height")),
    )
