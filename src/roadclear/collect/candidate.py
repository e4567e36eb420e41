"""What a provider finds: a photo on the web that may be fetched."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Candidate:
    """A photo as a provider describes it, before anything of it is fetched.

    Attributes:
        provider: name of the provider.
        query: the phrase that found it.
        rank: its place among the results of that query, from 1.
        image_url: address of the picture's bytes.
        page_url: address of the page that shows it; "" where the provider gives none, as for all below.
        title: as the provider has it, without markup.
        author: name of the author, without markup.
        author_url: page of the author.
        licence: short name with version ("CC BY-SA 4.0", "CC0 1.0", "PDM 1.0"); "unknown" where no one says.
        licence_url: of the licence's text.
        width: in pixels, as announced; None where unknown.
        height: in pixels, as announced; None where unknown.
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
    """A place to search for photos."""

    name: str

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """Results of a query in their order, page after page, as long as they are asked for.

        Raises:
            ProviderError: it refuses, is rate-limited for longer than is worth waiting, or answers otherwise than
                it documents. What was found before stays valid.
        """
        ...
