"""Openverse: about 800 million openly licensed images of Flickr, Wikimedia, museums and others.

Interface: the API's reference (https://api.openverse.org/v1/) and source (github.com/WordPress/openverse,
api/serializers/media_serializers.py, utils/throttle.py, utils/pagination.py), in particular:
- No key is needed. Anonymous callers have 20 requests per minute, 200 per day, and at most 20 results per page (401
  for more). A token (OAuth2, `Authorization: Bearer`) raises the rate.
- The server cuts a query after 200 characters without a message, so a longer query is refused here.
- At most 240 results of a query are visible, with or without a token. The next page has status 401, "pagination depth
  may not exceed 240", and is the end. `result_count` and `page_count` stop at 240 results.
- Every field except the id may be null. `license_version` may be missing, and `license_url` as well.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roadclear.collect.candidate import Candidate
from roadclear.collect.licences import LONGEST_NAME, UNKNOWN, Licence
from roadclear.collect.providers.responses import get_json, link, number, records, text
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "openverse"
ADDRESS = "https://api.openverse.org"
TOKEN_VARIABLE = "OPENVERSE_TOKEN"  # noqa: S105 - a name, not a token
LONGEST_QUERY = 200
PAGE_SIZE = 20
DEPTH = 240


class Openverse:
    """Search for images: 20 per page, at most 240.

    Args:
        settings: settings of the providers.

    Raises:
        OptionError: the token has invalid characters.
    """

    name = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.address(NAME, ADDRESS)}/v1/images/"
        token = settings.variable(TOKEN_VARIABLE)
        if not all(" " < letter <= "~" for letter in token):
            raise OptionError(f"{TOKEN_VARIABLE} must be a token, found other characters in it: correct or unset it")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider."""
        if len(query) > LONGEST_QUERY:
            raise ProviderError(
                f"{NAME}: a query may have {LONGEST_QUERY} characters, found {len(query)}: use a shorter phrase"
            )
        rank = 0
        for page in range(1, DEPTH // PAGE_SIZE + 1):
            answer = self._page(query, page, client)
            results = records(NAME, answer, "results")
            for result in results:
                rank += 1
                if text(result.get("url")):
                    yield _candidate(result, query, rank)
            if not results or page >= (number(answer.get("page_count")) or 0):
                return

    def _page(self, query: str, page: int, client: "httpx.Client") -> dict[str, Any]:
        params: dict[str, str | int] = {"q": query, "page": page, "page_size": PAGE_SIZE, "filter_dead": "true"}
        if self._settings.licences is not None:
            params["license"] = ",".join(sorted(self._settings.licences))
        advice = f"correct or unset {TOKEN_VARIABLE}" if self._headers else "wait a while, or use another provider"
        return get_json(client, NAME, self._url, params, self._headers, refused=advice)


def _candidate(result: dict[str, Any], query: str, rank: int) -> Candidate:
    code, licence_url = text(result.get("license"), LONGEST_NAME), link(result.get("license_url"))
    licence = Licence.at(licence_url) or Licence.called(f"{code} {text(result.get('license_version'), LONGEST_NAME)}")
    return Candidate(
        provider=NAME,
        query=query,
        rank=rank,
        image_url=text(result["url"]),
        page_url=link(result.get("foreign_landing_url")),
        title=text(result.get("title")),
        author=text(result.get("creator")),
        author_url=link(result.get("creator_url")),
        licence=licence.name if licence else code or UNKNOWN,
        licence_url=licence_url or (licence.url if licence else ""),
        width=number(result.get("width")),
        height=number(result.get("height")),
    )
