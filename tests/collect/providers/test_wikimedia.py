from collections.abc import Iterator

import httpx
import pytest
from provider_apis import as_json, catalogue
from provider_server import CONTACT, WIKIMEDIA, ProviderServer, provider_server
from searching import AGENT, QUERY, provider, search

from roadclear.collect.candidate import Candidate
from roadclear.errors import OptionError, ProviderError


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(size=120) as running:
        yield running


@pytest.mark.parametrize(("size", "found", "requests"), [(0, 0, 1), (1, 1, 1), (30, 27, 1), (31, 28, 2), (120, 108, 5)])
def test_batches_are_completed_and_continued_until_the_end(
    server: ProviderServer, size: int, found: int, requests: int
) -> None:
    """The server withholds the details of what is beyond the 30th page of a batch, as Wikimedia does."""
    server.sites[WIKIMEDIA].size = size
    candidates = search(provider("wikimedia", server))
    bitmaps = [place + 1 for place in range(size) if place % 10 != 9]
    assert [candidate.rank for candidate in candidates] == bitmaps
    assert (len(candidates), len(server.asked)) == (found, requests)


def test_ranks_are_those_of_the_search_whatever_order_the_pages_come_in(server: ProviderServer) -> None:
    photos = catalogue(QUERY, 120)
    for candidate in search(provider("wikimedia", server)):
        assert f"{photos[candidate.rank - 1].number}" in candidate.image_url


def test_the_whole_continue_object_is_sent_back(server: ProviderServer) -> None:
    search(provider("wikimedia", server))
    sent = [
        {name for name in ("continue", "gsroffset", "iicontinue") if name in asked.params} for asked in server.asked
    ]
    both = {"continue", "gsroffset"}
    assert sent == [set(), {"continue", "iicontinue"}, both, both | {"iicontinue"}, both]


def test_a_result_is_told_without_markup(server: ProviderServer) -> None:
    photo = catalogue(QUERY, 2)[1]
    assert search(provider("wikimedia", server))[1] == Candidate(
        provider="wikimedia",
        query=QUERY,
        rank=2,
        image_url=f"{server.url}/photos/{photo.number}.jpg",
        page_url=f"{server.url}/wiki/File:Street_{photo.number}.jpg",
        title=f"Street & square {photo.number}",
        author=f"Zoë Müller-{photo.number}",
        author_url=f"https://commons.wikimedia.org/wiki/User:{photo.number}",
        licence="CC BY-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0",
        width=1280,
        height=960,
    )


def test_a_photo_without_metadata_has_its_file_name_and_no_licence(server: ProviderServer) -> None:
    photo = catalogue(QUERY, 4)[3]
    found = search(provider("wikimedia", server))[3]
    assert found.title == f"Street {photo.number}.jpg"
    assert (found.author, found.author_url, found.licence, found.licence_url) == ("", "", "unknown", "")


def test_a_wide_photo_is_offered_as_a_thumbnail_of_a_width_that_is_served(server: ProviderServer) -> None:
    found = search(provider("wikimedia", server))
    assert {(candidate.width, candidate.height) for candidate in found} == {(640, 480), (1280, 960)}
    wide = next(candidate for candidate in found if catalogue(QUERY, 120)[candidate.rank - 1].width == 4000)
    assert "1280px-" in wide.image_url
    assert httpx.get(wide.image_url, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("licences", "names"),
    [
        ("cc0", {"CC0 1.0"}),
        ("by,by-sa", {"CC BY 4.0", "CC BY-SA 4.0"}),
        ("pdm", {"PDM 1.0"}),
    ],
)
def test_other_licences_are_passed_over(server: ProviderServer, licences: str, names: set[str]) -> None:
    found = search(provider("wikimedia", server, licences=licences))
    assert {candidate.licence for candidate in found} == names
    assert found[-1].rank > len(found)


def told(**values: str) -> dict[str, object]:
    return {"extmetadata": {name: {"value": value} for name, value in values.items()}}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (told(LicenseShortName="Public domain", License="pd"), {"licence": "Public domain", "licence_url": ""}),
        (told(LicenseShortName="CC BY-SA 2.0 de"), {"licence": "CC BY-SA 2.0 DE"}),
        (told(LicenseShortName="CC BY 3.0"), {"licence_url": "https://creativecommons.org/licenses/by/3.0/"}),
        (told(LicenseShortName="GFDL", LicenseUrl="https://gnu.org/fdl"), {"licence_url": "https://gnu.org/fdl"}),
        (told(LicenseShortName="GFDL"), {"licence": "GFDL"}),
        (told(License="cc-by-4.0"), {"licence": "CC BY 4.0"}),
        (told(Attribution="Ann, <i>Town</i>"), {"author": "Ann, Town", "author_url": ""}),
        (told(Artist="Ann", Attribution="Bob"), {"author": "Ann"}),
        ({"extmetadata": None}, {"title": "A road.jpg", "licence": "unknown"}),
        ({"extmetadata": {"Artist": "not an object"}}, {"author": ""}),
        ({"width": None, "height": "no"}, {"width": None, "height": None, "image_url": "https://a.example/1.jpg"}),
        ({"width": 4000, "height": 3000}, {"width": 4000, "image_url": "https://a.example/1.jpg"}),
    ],
)
def test_what_metadata_say(server: ProviderServer, info: dict[str, object], expected: dict[str, object]) -> None:
    known = {"url": "https://a.example/1.jpg", "mime": "image/jpeg", "mediatype": "BITMAP"}
    page = {"pageid": 1, "title": "File:A road.jpg", "index": 1, "imageinfo": [known | info]}
    server.fail(WIKIMEDIA, as_json({"batchcomplete": True, "query": {"pages": [page]}}))
    (found,) = search(provider("wikimedia", server))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "licences", "admitted"),
    [("Public domain", "pdm", True), ("Public domain", "by", False), ("GFDL", "by,by-sa", False), ("CC0", "cc0", True)],
)
def test_a_licence_is_known_by_its_name_too(server: ProviderServer, name: str, licences: str, admitted: bool) -> None:
    known = {"url": "https://a.example/1.jpg", "mime": "image/jpeg", **told(LicenseShortName=name)}
    server.fail(WIKIMEDIA, as_json({"query": {"pages": [{"pageid": 1, "imageinfo": [known]}]}}))
    assert len(search(provider("wikimedia", server, licences=licences))) == admitted


@pytest.mark.parametrize(
    "page",
    [
        {"pageid": 1},
        {"pageid": 1, "imageinfo": []},
        {"pageid": 1, "imageinfo": [{"mime": "image/jpeg"}]},
        {"pageid": 1, "imageinfo": [{"mime": "application/pdf", "url": "https://a.example/1.pdf"}]},
        {"pageid": 1, "imageinfo": [{"mime": "image/tiff", "url": "https://a.example/1.tif"}]},
        {"pageid": 1, "missing": True, "imageinfo": None},
    ],
)
def test_a_page_without_a_bitmap_is_passed_over(server: ProviderServer, page: dict[str, object]) -> None:
    server.fail(WIKIMEDIA, as_json({"batchcomplete": True, "query": {"pages": [page]}}))
    assert search(provider("wikimedia", server)) == []


@pytest.mark.parametrize("contact", ["you@example.org", "https://example.org/bot"])
def test_the_operator_can_be_reached(server: ProviderServer, contact: str) -> None:
    assert search(provider("wikimedia", server, contact=contact), most=1)
    assert server.asked[0].headers["User-Agent"] == f"{AGENT} ({contact})"


def test_a_client_that_names_the_operator_is_left_as_it_is(server: ProviderServer) -> None:
    with httpx.Client(headers={"User-Agent": f"roadclear/1 ({CONTACT})"}, trust_env=False) as client:
        next(provider("wikimedia", server).search(QUERY, client))
    assert server.asked[0].headers["User-Agent"] == f"roadclear/1 ({CONTACT})"


@pytest.mark.parametrize("contact", ["", "me", "two words@example.org", "a@b\r\nX-Other: 1", "mé@example.org"])
def test_without_a_contact_nothing_is_asked(server: ProviderServer, contact: str) -> None:
    with pytest.raises(OptionError, match=r"give --contact you@example.org, or set ROADCLEAR_CONTACT"):
        provider("wikimedia", server, ROADCLEAR_CONTACT=contact)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": "ratelimited", "info": "You've exceeded your rate limit."}, "'ratelimited' .*: wait some minutes"),
        ({"code": "maxlag", "info": "Waiting for a database server"}, "'maxlag' .*: wait some minutes"),
        ({"code": "badvalue", "info": "Unrecognized value"}, r"'badvalue' \(Unrecognized value\): change the query"),
        ("?", r"error '' \(\): change the query"),
    ],
)
def test_an_error_with_status_200_is_told(server: ProviderServer, error: object, message: str) -> None:
    server.fail(WIKIMEDIA, as_json({"error": error}))
    with pytest.raises(ProviderError, match=message):
        search(provider("wikimedia", server))


def test_a_query_that_is_too_long_is_told(server: ProviderServer) -> None:
    with pytest.raises(ProviderError, match=r"longer than the maximum allowed length.*: change the query"):
        search(provider("wikimedia", server), "x" * 300)


def test_a_search_that_goes_in_a_circle_ends(server: ProviderServer) -> None:
    server.fail(WIKIMEDIA, as_json({"continue": {"gsroffset": 50, "continue": "gsroffset||"}}))
    with pytest.raises(ProviderError, match="found the same again"):
        search(provider("wikimedia", server))
