import json
from collections.abc import Iterator

import pytest
from provider_apis import as_json, catalogue
from provider_server import OPENVERSE, ProviderServer, provider_server
from searching import AGENT, QUERY, provider, search

from roadclear.collect.candidate import Candidate
from roadclear.errors import OptionError, ProviderError


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(size=50) as running:
        yield running


def resized(server: ProviderServer, size: int) -> None:
    server.sites[OPENVERSE].size = size


@pytest.mark.parametrize(
    ("size", "found", "pages"),
    [(0, 0, 1), (1, 1, 1), (20, 20, 1), (21, 21, 2), (50, 50, 3), (240, 240, 12), (900, 240, 12)],
)
def test_pages_are_asked_for_until_the_end(server: ProviderServer, size: int, found: int, pages: int) -> None:
    resized(server, size)
    candidates = search(provider("openverse", server))
    assert [candidate.rank for candidate in candidates] == list(range(1, found + 1))
    assert len({candidate.image_url for candidate in candidates}) == found
    assert [request.params["page"] for request in server.asked_for(OPENVERSE)] == [str(n + 1) for n in range(pages)]


@pytest.mark.parametrize(("claimed", "found", "pages"), [(50, 240, 12), ("50", 240, 12), (None, 20, 1)])
def test_more_pages_may_be_claimed_than_there_are(
    server: ProviderServer, claimed: object, found: int, pages: int
) -> None:
    """Openverse refuses the 13th page with 401, whatever the number of pages that it told before."""
    resized(server, 900)
    site = server.sites[OPENVERSE]
    for page in range(1, 13):
        right = json.loads(site.answer({"q": QUERY, "page": str(page)}, {}).body)
        server.fail(OPENVERSE, as_json(right | {"page_count": claimed}), times=1)
    assert len(search(provider("openverse", server))) == found
    assert len(server.asked) == pages


def test_an_empty_page_is_the_end(server: ProviderServer) -> None:
    server.fail(OPENVERSE, as_json({"page_count": 12, "results": []}), after=1)
    assert len(search(provider("openverse", server))) == 20
    assert len(server.asked) == 2


def test_a_result_is_told_as_openverse_has_it(server: ProviderServer) -> None:
    photo = catalogue(QUERY, 2)[1]
    assert search(provider("openverse", server))[1] == Candidate(
        provider="openverse",
        query=QUERY,
        rank=2,
        image_url=f"{server.url}/photos/{photo.number}.jpg",
        page_url=f"{server.url}/pages/{photo.number}",
        title=photo.title,
        author=photo.author,
        author_url=f"{server.url}/people/{photo.number}",
        licence="CC BY-SA 2.0",
        licence_url="https://creativecommons.org/licenses/by-sa/2.0/",
        width=1280,
        height=960,
    )


def test_what_is_null_is_empty(server: ProviderServer) -> None:
    found = search(provider("openverse", server))[3]
    assert (found.page_url, found.title, found.author, found.author_url, found.licence_url) == ("",) * 5
    assert (found.licence, found.width, found.height) == ("CC BY-NC", None, None)


def test_the_names_of_licences_are_those_of_creative_commons(server: ProviderServer) -> None:
    names = [candidate.licence for candidate in search(provider("openverse", server))]
    assert names[:8] == [
        "CC BY 2.0",
        "CC BY-SA 2.0",
        "CC0 1.0",
        "CC BY-NC",
        "PDM 1.0",
        "CC BY-ND 2.0",
        "CC BY-NC-SA 2.0",
        "CC BY-NC-ND 2.0",
    ]


@pytest.mark.parametrize("most", [1, 20, 21])
def test_no_page_is_asked_for_that_is_not_wanted(server: ProviderServer, most: int) -> None:
    assert len(search(provider("openverse", server), most=most)) == most
    assert len(server.asked) == -(-most // 20)


def test_licences_are_asked_for(server: ProviderServer) -> None:
    found = search(provider("openverse", server, licences="by,cc0"))
    assert {candidate.licence for candidate in found} == {"CC BY 2.0", "CC0 1.0", "CC BY", "CC0"}
    assert {request.params["license"] for request in server.asked} == {"by,cc0"}


@pytest.mark.parametrize("length", [200, 201])
def test_a_query_may_have_200_characters(server: ProviderServer, length: int) -> None:
    asked = provider("openverse", server)
    if length == 200:
        assert len(search(asked, "x" * length)) == 50
    else:
        with pytest.raises(ProviderError, match="may have 200 characters, found 201: use a shorter phrase"):
            search(asked, "x" * length)
        assert server.asked == []


def test_a_query_is_sent_as_it_is(server: ProviderServer) -> None:
    query = 'zèbre & "rue" +50% #1 ?'
    search(provider("openverse", server), query, most=1)
    assert server.asked[0].params["q"] == query
    assert server.asked[0].headers["User-Agent"] == AGENT


def test_a_token_is_sent(server: ProviderServer) -> None:
    assert len(search(provider("openverse", server, OPENVERSE_TOKEN="valid"))) == 50
    assert {request.headers["Authorization"] for request in server.asked} == {"Bearer valid"}


def test_a_wrong_token_is_told(server: ProviderServer) -> None:
    with pytest.raises(ProviderError, match=r"status 401 \('Invalid token'\): correct or unset OPENVERSE_TOKEN"):
        search(provider("openverse", server, OPENVERSE_TOKEN="expired"))


@pytest.mark.parametrize("token", ["two words", "a\r\nb", "clé"])
def test_a_token_that_fits_no_header_is_told_but_not_shown(server: ProviderServer, token: str) -> None:
    with pytest.raises(OptionError, match="OPENVERSE_TOKEN must be a token, found other characters") as raised:
        provider("openverse", server, OPENVERSE_TOKEN=token)
    assert token not in str(raised.value)


def test_the_rate_limit_is_told(server: ProviderServer) -> None:
    server.sites[OPENVERSE].burst = 2
    with pytest.raises(ProviderError, match=r"found its rate limit \(429\): wait 41 seconds"):
        search(provider("openverse", server))
    assert len(server.asked) == 3
