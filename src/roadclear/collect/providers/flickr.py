"""Flickr: openly licensed photos, with the user's own key.

Interface: https://www.flickr.com/services/api/flickr.photos.search.html, flickr.photos.licenses.getInfo.html and
misc.urls.html, in particular:
- Every request states the `api_key`, and 3,600 requests per hour are allowed. A failure has status 200, `stat` "fail",
  a `code` and a `message`. Code 100 is a wrong key, 105 an unavailable service.
- The numbers of licences are requested, not built in: since 2025 the 4.0 licences have numbers, too.
- A query has 4,000 results. Later pages repeat results.
- `url_l` (1024 pixels) is missing for a smaller photo, or where the owner withholds it. `url_c` (800) or `url_z` (640)
  may exist then. Numbers may be strings.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from roadclear.collect.candidate import Candidate
from roadclear.collect.licences import Licence
from roadclear.collect.providers.responses import excerpt, get_json, identifier, number, records, text
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "flickr"
ADDRESS = "https://api.flickr.com"
PAGES = "https://www.flickr.com"
KEY_VARIABLE = "FLICKR_API_KEY"
PAGE_SIZE = 100
DEPTH = 4000
SIZES = ("l", "c", "z")

_WRONG_KEY = 100
_QUESTION: Mapping[str, str | int] = {
    "method": "flickr.photos.search",
    "media": "photos",
    "content_type": 1,
    "safe_search": 1,
    "sort": "relevance",
    "extras": ",".join(("license", "owner_name", *(f"url_{size}" for size in SIZES))),
    "per_page": PAGE_SIZE,
}


class Flickr:
    """Search for photos under open licences: 100 per page, at most 4,000.

    Args:
        settings: settings of the providers.

    Raises:
        OptionError: the environment has no key.
    """

    name = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.address(NAME, ADDRESS)}/services/rest/"
        self._key = settings.variable(KEY_VARIABLE)
        if not self._key:
            raise OptionError(
                f"{NAME} needs a key, found no {KEY_VARIABLE} in the environment: get a key at "
                f"{PAGES}/services/apps/create/ and set the variable, or use another provider"
            )

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider."""
        licences = self._licences(client)
        rank = 0
        for page in range(1, DEPTH // PAGE_SIZE + 1):
            question = {**_QUESTION, "text": query, "license": ",".join(licences), "page": page}
            answer = self._ask(question, client)
            photos = records(NAME, answer, "photos", "photo")
            for photo in photos:
                rank += 1
                candidate = _candidate(photo, query, rank, licences)
                if candidate:
                    yield candidate
            if not photos or page >= (number(answer["photos"].get("pages")) or 0):
                return

    def _licences(self, client: "httpx.Client") -> dict[str, Licence]:
        """Requested open licences by Flickr's numbers."""
        answer = self._ask({"method": "flickr.photos.licenses.getInfo"}, client)
        entries = records(NAME, answer, "licenses", "license")
        found = {identifier(entry.get("id")): Licence.at(text(entry.get("url"))) for entry in entries}
        requested = {key: licence for key, licence in found.items() if licence and self._settings.allows(licence.code)}
        if not requested:
            raise ProviderError(f"{NAME}: expected a requested licence, found none: change --licenses")
        return requested

    def _ask(self, question: Mapping[str, str | int], client: "httpx.Client") -> dict[str, Any]:
        params = {**question, "api_key": self._key, "format": "json", "nojsoncallback": 1}
        answer = get_json(client, NAME, self._url, params, refused=f"check {KEY_VARIABLE}")
        if answer.get("stat") != "ok":
            code = number(answer.get("code"))
            advice = f"correct {KEY_VARIABLE}" if code == _WRONG_KEY else "try again later, or use another provider"
            raise ProviderError(
                f"{NAME}: expected results, found error {code} ({excerpt(answer.get('message'))}): {advice}"
            )
        return answer


def _candidate(photo: dict[str, Any], query: str, rank: int, licences: Mapping[str, Licence]) -> Candidate | None:
    """Make a candidate; None for a photo without a known size, or without a requested licence."""
    size = next((size for size in SIZES if text(photo.get(f"url_{size}"))), None)
    licence = licences.get(identifier(photo.get("license")))
    if size is None or licence is None:
        return None
    owner = quote(identifier(photo.get("owner")), safe="@", errors="replace")
    key = quote(identifier(photo.get("id")), errors="replace")
    return Candidate(
        provider=NAME,
        query=query,
        rank=rank,
        image_url=text(photo[f"url_{size}"]),
        page_url=f"{PAGES}/photos/{owner}/{key}/",
        title=text(photo.get("title")),
        author=text(photo.get("ownername")),
        author_url=f"{PAGES}/people/{owner}/",
        licence=licence.name,
        licence_url=licence.url,
        width=number(photo.get(f"width_{size}")),
        height=number(photo.get(f"height_{size}")),
    )
