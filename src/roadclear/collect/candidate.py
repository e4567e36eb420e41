"""Candidates: photos on the web that a provider found, and the search for these within bounds."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

SEARCH_SECONDS = 300.0
"""Longest time that is spent on waiting for the results of one query."""


@dataclass(frozen=True)
class Candidate:
    """A photo as its provider describes it, before any download.

    Texts without a value are "".

    Attributes:
        provider: name of the provider.
        query: phrase of the search.
        rank: rank among the results of the query, from 1.
        image_url: address of the picture.
        page_url: address of the page that shows the picture.
        title: title, without markup.
        author: name of the author, without markup.
        author_url: address of the author's page.
        licence: short name with version ("CC BY-SA 4.0", "CC0 1.0", "PDM 1.0"), or "unknown".
        licence_url: address of the licence's text.
        width: announced width in pixels, or None.
        height: announced height in pixels, or None.
    """

    provider: str
    query: str
    rank: int
    image_url: str
    page_url: str = ""
    title: str = ""
    author: str = ""
    author_url: str = ""
    licence: str = "unknown"
    licence_url: str = ""
    width: int | None = None
    height: int | None = None


class Provider(Protocol):
    """Search for photos."""

    name: str

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """Search for a query, and yield results in order. The next page is requested when the caller needs it.

        Args:
            query: phrase to search for.
            client: HTTP client from `roadclear.collect.client.open_client`.

        Raises:
            ProviderError: the provider refuses, is rate-limited for too long, or breaks its documented interface.
                Earlier results stay valid.
        """
        ...


def guarded_search(
    provider: Provider, query: str, client: "httpx.Client", seconds: float = SEARCH_SECONDS
) -> Iterator[Candidate]:
    """Search for a query. Whatever a provider answers costs at most this query, and at most a bounded time.

    Args:
        provider: provider to ask.
        query: phrase to search for.
        client: HTTP client from `roadclear.collect.client.open_client`.
        seconds: longest time that is spent on waiting for results. The request that exceeds it is still waited for.

    Raises:
        ProviderError: the provider fails, breaks its documented interface, or is too slow. Earlier results stay valid.
        OptionError: the provider cannot be asked with these options.
    """
    spent = 0.0
    results = None
    while True:
        started = time.monotonic()
        try:
            results = provider.search(query, client) if results is None else results
            candidate = next(results)
        except StopIteration:
            return
        except (OptionError, ProviderError):
            raise
        except Exception as error:  # an answer that no one foresaw ends the query, not the run
            raise ProviderError(
                f"{provider.name}: expected results as documented, found others ({type(error).__name__}): "
                "use another provider"
            ) from error
        spent += time.monotonic() - started
        yield candidate
        if spent > seconds:
            raise ProviderError(
                f"{provider.name}: expected the results within {seconds:g} seconds, found a slower host: "
                "try again later, or use another provider"
            )
