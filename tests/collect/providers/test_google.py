"""The real feeder and parser of icrawler on a page of our own making."""

from collections.abc import Iterator

import pytest
from provider_apis import Answer, catalogue
from provider_server import GOOGLE, HTML, ProviderServer, provider_server
from searching import AGENT, QUERY, provider, search

from roadclear.collect.candidate import Candidate
from roadclear.errors import OptionError, ProviderError


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(size=250) as running:
        yield running


@pytest.fixture
def icrawler() -> None:
    pytest.importorskip("icrawler", reason="needs the extra scrape")


@pytest.mark.usefixtures("icrawler")
class TestWithIcrawler:
    @pytest.mark.parametrize(("size", "pages"), [(1, 2), (100, 2), (250, 4), (1200, 10)])
    def test_pages_are_asked_for_until_nothing_new_comes(self, server: ProviderServer, size: int, pages: int) -> None:
        server.sites[GOOGLE].size = size
        found = search(provider("google", server))
        photos = catalogue(QUERY, min(size, 1000))
        assert found == [
            Candidate("google", QUERY, rank, f"{server.url}/photos/{photo.number}.jpg", licence="unknown")
            for rank, photo in enumerate(photos, start=1)
        ]
        assert [asked.params["start"] for asked in server.asked] == [str(100 * page) for page in range(pages)]

    def test_the_question_is_icrawlers_and_the_name_ours(self, server: ProviderServer) -> None:
        search(provider("google", server), 'zèbre & "rue"', most=1)
        (asked,) = server.asked
        assert (asked.params["q"], asked.params["tbm"]) == ('zèbre & "rue"', "isch")
        assert asked.headers["User-Agent"] == AGENT

    def test_one_provider_serves_many_searches(self, server: ProviderServer) -> None:
        asked = provider("google", server)
        assert search(asked, most=3) == search(asked, most=3)
        assert search(asked, "empty road", most=3) != search(asked, most=3)

    @pytest.mark.parametrize(
        "page",
        [
            HTML,
            Answer(200, b""),
            Answer(200, b"<script>window.location = '/enablejs'</script><noscript>Enable JavaScript</noscript>"),
            Answer(200, b"<script>var a = 'http://a.example/\\u12.jpg';</script>"),
            Answer(200, b'<script>["http://a.example/</b> width=\\"5\\" {x}.jpg"]</script>'),
        ],
    )
    def test_a_page_that_cannot_be_read_is_told_plainly(self, server: ProviderServer, page: Answer) -> None:
        server.fail(GOOGLE, page)
        with pytest.raises(ProviderError, match=r"Google's page has changed, .*: use openverse, wikimedia or another"):
            search(provider("google", server))

    def test_escapes_in_addresses_are_resolved(self, server: ProviderServer) -> None:
        server.fail(GOOGLE, Answer(200, rb'<script>["http://a.example/1.jpg?w\u003d5\u0026x=.png",1]</script>'))
        assert [found.image_url for found in search(provider("google", server))] == ["http://a.example/1.jpg"]

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (Answer(429, headers={"Retry-After": "7"}), r"rate limit \(429\): wait 7 seconds"),
            (Answer(403), "status 403: wait some hours"),
            (Answer(500), "status 500: try again later"),
            (Answer(302, headers={"Location": "https://www.google.com/sorry/index?continue=x"}), "its page for robots"),
        ],
    )
    def test_a_refusal_is_told(self, server: ProviderServer, answer: Answer, message: str) -> None:
        server.fail(GOOGLE, answer)
        with pytest.raises(ProviderError, match=f"^google: .*{message}"):
            search(provider("google", server))

    @pytest.mark.parametrize(
        "page",
        [
            b"<script>" + b"http" * 1_000_000 + b"</script>",
            b"<script>a.jpg" + b"http" * 1_000_000 + b"</SCRIPT>.jpg",
            b"<b>" * 200_000,
        ],
    )
    def test_a_page_that_would_take_minutes_is_not_read(self, server: ProviderServer, page: bytes) -> None:
        server.fail(GOOGLE, Answer(200, page))
        with pytest.raises(ProviderError, match="found one that is too costly to read"):
            search(provider("google", server))

    def test_a_large_page_of_results_is_read(self, server: ProviderServer) -> None:
        entries = b",".join(b'["http://a.example/%d.jpg",480,640]' % number for number in range(2_000))
        server.fail(GOOGLE, Answer(200, b"<script>" + entries + b"</script>" + b"<p>text</p>" * 10_000))
        assert len(search(provider("google", server), most=1_000)) == 500

    def test_licences_cannot_be_wished_for(self, server: ProviderServer) -> None:
        with pytest.raises(OptionError, match="does not say under which licence a picture is"):
            provider("google", server, licences="by")


def test_without_the_extra_it_is_told_how_to_get_it(server: ProviderServer) -> None:
    try:
        import icrawler  # noqa: F401
    except ImportError:
        with pytest.raises(OptionError, match=r"pip install 'roadclear\[scrape\]'"):
            provider("google", server)
    else:
        pytest.skip("the extra scrape is installed")
