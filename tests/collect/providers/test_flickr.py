from collections.abc import Iterator

import pytest
from provider_apis import FLICKR_KEY, as_json, catalogue
from provider_server import FLICKR, ProviderServer, provider_server
from searching import QUERY, provider, search

from roadclear.collect.candidate import Candidate
from roadclear.errors import OptionError, ProviderError


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(size=250) as running:
        yield running


def pages_asked_for(server: ProviderServer) -> list[str]:
    return [asked.params["page"] for asked in server.asked_for(FLICKR) if "page" in asked.params]


@pytest.mark.parametrize(("size", "pages"), [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3), (4200, 40)])
def test_pages_are_asked_for_until_the_end(server: ProviderServer, size: int, pages: int) -> None:
    server.sites[FLICKR].size = size
    candidates = search(provider("flickr", server))
    offered = [place + 1 for place in range(min(size, 4000)) if place % 11 != 10]
    assert [candidate.rank for candidate in candidates] == offered
    assert pages_asked_for(server) == [str(page + 1) for page in range(pages)]


def test_a_result_is_told_as_flickr_has_it(server: ProviderServer) -> None:
    photo = catalogue(QUERY, 2)[1]
    assert search(provider("flickr", server), most=2)[1] == Candidate(
        provider="flickr",
        query=QUERY,
        rank=2,
        image_url=f"{server.url}/photos/{photo.number}.jpg?size=l",
        page_url=f"https://www.flickr.com/photos/{photo.number}@N00/{photo.number}/",
        title=photo.title,
        author=photo.author,
        author_url=f"https://www.flickr.com/people/{photo.number}@N00/",
        licence="CC BY-SA 2.0",
        licence_url="https://creativecommons.org/licenses/by-sa/2.0/",
        width=1024,
        height=768,
    )


def test_a_small_photo_is_offered_at_the_largest_size_there_is(server: ProviderServer) -> None:
    small = search(provider("flickr", server), most=1)[0]
    assert small.image_url.endswith("?size=z")
    assert (small.width, small.height) == (640, 480)


@pytest.mark.parametrize(
    ("licences", "numbers", "names"),
    [
        (None, {"1", "2", "3", "4", "5", "6", "9", "10"}, None),
        ("by", {"4"}, {"CC BY 2.0"}),
        ("cc0,pdm", {"9", "10"}, {"CC0 1.0", "PDM 1.0"}),
    ],
)
def test_open_licences_alone_are_asked_for(
    server: ProviderServer, licences: str | None, numbers: set[str], names: set[str] | None
) -> None:
    found = search(provider("flickr", server, licences=licences))
    asked = server.asked_for(FLICKR)[1].params["license"]
    assert set(asked.split(",")) == numbers
    assert names is None or {candidate.licence for candidate in found} == names


def test_licences_that_came_later_are_known_by_their_address(server: ProviderServer) -> None:
    entry = {"id": 11, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
    photo = {"id": "1", "owner": "2@N00", "license": 11, "url_c": f"{server.url}/photos/1.jpg", "title": None}
    server.fail(FLICKR, as_json({"licenses": {"license": [entry]}, "stat": "ok"}), times=1)
    server.fail(FLICKR, as_json({"photos": {"photo": [photo], "pages": 1}, "stat": "ok"}))
    (found,) = search(provider("flickr", server))
    assert (found.licence, found.licence_url) == ("CC BY 4.0", entry["url"])
    assert (found.title, found.author, found.width) == ("", "", None)


def test_without_a_key_nothing_is_asked(server: ProviderServer) -> None:
    with pytest.raises(
        OptionError, match=r"found no FLICKR_API_KEY .*: get a key at https://www.flickr.com/services/apps"
    ):
        provider("flickr", server, FLICKR_API_KEY=" ")


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ({"code": 100, "message": "Invalid API Key"}, r"error 100 \(Invalid API Key\): correct FLICKR_API_KEY"),
        ({"code": 105, "message": "Service currently unavailable"}, "error 105 .*: try again later"),
        ({}, r"error None \(\): try again later"),
    ],
)
def test_a_failure_with_status_200_is_told(server: ProviderServer, failure: dict[str, object], message: str) -> None:
    server.fail(FLICKR, as_json({"stat": "fail", **failure}))
    with pytest.raises(ProviderError, match=message) as raised:
        search(provider("flickr", server))
    assert FLICKR_KEY not in str(raised.value)


def test_a_wrong_key_is_told(server: ProviderServer) -> None:
    with pytest.raises(ProviderError, match=r"Invalid API Key .*: correct FLICKR_API_KEY"):
        search(provider("flickr", server, FLICKR_API_KEY="wrong"))
