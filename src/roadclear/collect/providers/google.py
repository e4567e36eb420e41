"""Google Images through icrawler: addresses only, with unknown licences.

Interface: icrawler 0.6.10 (github.com/hellock/icrawler, icrawler/builtin/google.py). GoogleFeeder makes the addresses
of result pages, and GoogleParser finds picture addresses in a page's scripts. Our client downloads the pages, so our
limits, proxy and User-Agent apply. Unlike icrawler's crawler, our client does not pretend to be a browser.

Known problem: Google documents no interface. The parser returns None whenever the page changes, or needs a browser
(issues 96, 107, 116, 117, 125 and 135 of icrawler). The provider reports an error then.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.providers.responses import check_status, get
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "google"
ADDRESS = "https://www.google.com"
PAGE_SIZE = 100
DEPTH = 1000

_ADVICE = "wait some hours, or use another provider"


class Google:
    """Search for pictures: about 100 per page, at most 1,000.

    Args:
        settings: settings of the providers.

    Raises:
        OptionError: licences are requested, or icrawler is not installed.
    """

    name = NAME

    def __init__(self, settings: Settings) -> None:
        if settings.licences is not None:
            raise OptionError(
                f"{NAME} does not say under which licence a picture is, found --licenses: "
                "leave the option out, or use openverse or wikimedia"
            )
        try:
            from icrawler.builtin import google
        except ImportError:
            raise OptionError(
                f"{NAME} needs the extra 'scrape', which is not installed: pip install 'roadclear[scrape]'"
            ) from None
        self._address = settings.address(NAME, ADDRESS)
        self._icrawler: Any = google

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider."""
        seen: dict[str, None] = {}
        for offset in range(0, DEPTH, PAGE_SIZE):
            found = [url for url in self._page(query, offset, client) if url not in seen]
            if not found:
                break
            for url in dict.fromkeys(found):
                seen[url] = None
                yield Candidate(provider=NAME, query=query, rank=len(seen), image_url=url)
        if not seen:
            raise ProviderError(
                f"{NAME}: expected picture addresses in the result page, found none (Google's page has changed, or "
                "needs a browser): use openverse, wikimedia or another provider"
            )

    def _page(self, query: str, offset: int, client: "httpx.Client") -> list[str]:
        """Find the picture addresses of the result page that begins at `offset`."""
        feeder = self._icrawler.GoogleFeeder(thread_num=1, signal=None, session=None)
        feeder.feed(keyword=query, offset=offset, max_num=PAGE_SIZE)
        url = feeder.out_queue.get_nowait().replace(ADDRESS, self._address, 1)
        response = get(client, NAME, url)
        if "/sorry/" in response.url.path or "/sorry/" in response.headers.get("Location", ""):
            raise ProviderError(f"{NAME}: expected results, found its page for robots: {_ADVICE}")
        check_status(NAME, response, refused=_ADVICE)
        try:
            parser = self._icrawler.GoogleParser(thread_num=1, signal=None, session=None)
            tasks = parser.parse(response) or []
        except ValueError:  # the parser decodes escapes of text that is not an address
            return []
        return [task["file_url"] for task in tasks if _is_address(task["file_url"])]


def _is_address(text: str) -> bool:
    """Whether a text is an address. The parser's pattern also matches markup and scripts."""
    return text.startswith(("http://", "https://")) and text.isprintable() and not set(text) & set(" \"'<>\\{}")
