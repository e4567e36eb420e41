"""Google Images through icrawler: addresses only, with unknown licences.

Interface: icrawler 0.6.10 (github.com/hellock/icrawler, icrawler/builtin/google.py). GoogleFeeder makes the addresses
of result pages, and GoogleParser finds picture addresses in a page's scripts. Our client downloads the pages, so our
limits, proxy and User-Agent apply. Unlike icrawler's crawler, our client does not pretend to be a browser.

Known problem: Google documents no interface. The parser returns None whenever the page changes, or needs a browser
(issues 96, 107, 116, 117, 125 and 135 of icrawler). The provider reports an error then.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.providers.responses import LONGEST_LINK, MOST_RECORDS, check_status, get
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "google"
ADDRESS = "https://www.google.com"
PAGE_SIZE = 100
DEPTH = 1000
MOST_TAGS = 100_000
MOST_STEPS = 50_000_000

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
        if _is_costly(response.content):
            raise ProviderError(f"{NAME}: expected a result page, found one that is too costly to read: {_ADVICE}")
        try:
            parser = self._icrawler.GoogleParser(thread_num=1, signal=None, session=None)
            tasks = parser.parse(response) or []
        except ValueError:  # the parser decodes escapes of text that is not an address
            return []
        return [task["file_url"] for task in tasks if _is_address(task["file_url"])][:MOST_RECORDS]


def _is_costly(page: bytes) -> bool:
    """Whether reading a page may take more than seconds.

    The parser makes an object per tag. For every "http", its pattern searches up to the next "[" for a suffix of a
    picture. Without a suffix the time grows with the square of the length.
    """
    if page.count(b"<") > MOST_TAGS:
        return True
    steps = 0
    for part in re.split(rb"\[|</script", page, flags=re.IGNORECASE):
        rest = part[max(part.rfind(suffix) for suffix in (b"jpg", b"png", b"bmp")) + 1 :]
        steps += rest.count(b"http") * len(rest)
    return steps > MOST_STEPS


def _is_address(text: str) -> bool:
    """Whether a text is an address. The parser's pattern also matches markup and scripts."""
    is_http = text.startswith(("http://", "https://")) and len(text) <= LONGEST_LINK
    return is_http and text.isprintable() and not set(text) & set(" \"'<>\\{}")
