"""What becomes of a search whose provider does not answer as it documents: one line that says what to do."""

from collections.abc import Iterator

import httpx
import pytest
from provider_apis import Answer, as_json
from provider_server import CONTACT, FLICKR, HTML, OPENVERSE, TRUNCATED, WIKIMEDIA, ProviderServer, provider_server
from searching import QUERY, provider, search

from roadclear.collect.client import ClientPolicy, open_client
from roadclear.collect.providers import DEFAULT, PROVIDERS, make_provider
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

PATHS = {"openverse": OPENVERSE, "wikimedia": WIKIMEDIA, "flickr": FLICKR}
SHORT = Answer(200, b'{"results": []}', {"Content-Length": "500", "Content-Type": "application/json"})

FAULTS = {
    "429": (as_json({"detail": "slow down"}, 429), "rate limit .429.: wait some minutes"),
    "429 with Retry-After": (as_json({}, 429, Retry_After="41"), "rate limit .429.: wait 41 seconds"),
    "401": (as_json({"detail": "no such token"}, 401), "status 401 .'no such token'.: "),
    "403": (Answer(403, b"robots are not welcome"), "status 403: "),
    "400": (as_json({"detail": {"q": ["bad"]}}, 400), "status 400 .*: change the query"),
    "404": (Answer(404), "status 404: change the query, or use another provider"),
    "500": (Answer(500, b"<h1>Oops</h1>"), "status 500: try again later"),
    "503": (Answer(503), "status 503: try again later"),
    "HTML with 200": (HTML, "expected a JSON object, found 46 bytes of text/html that begin with '<!doctype"),
    "truncated JSON": (TRUNCATED, "expected a JSON object, found 37 bytes of application/json"),
    "nothing with 200": (Answer(200), "expected a JSON object, found 0 bytes of no type"),
    "JSON that is no object": (as_json([1, 2]), "expected a JSON object, found 6 bytes"),
    "not UTF-8": (Answer(200, b"\xff\xfe\x00"), "expected a JSON object, found 3 bytes"),
    "cut short": (SHORT, "expected an answer, found none"),
}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server(size=45) as running:
        yield running


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(("answer", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_answer_is_told_on_one_line(server: ProviderServer, name: str, answer: Answer, message: str) -> None:
    server.fail(PATHS[name], answer)
    with pytest.raises(ProviderError, match=f"^{name}: .*{message}") as raised:
        search(provider(name, server))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", PATHS)
def test_the_client_of_collecting_gives_the_same(server: ProviderServer, name: str) -> None:
    asked = provider(name, server)
    policy = ClientPolicy(contact=CONTACT, max_rate=1000, allow_private=True)
    with open_client(policy) as client:
        assert list(asked.search(QUERY, client)) == search(asked)


@pytest.mark.parametrize("name", PATHS)
def test_no_connection_is_told(server: ProviderServer, name: str) -> None:
    nowhere = {f"ROADCLEAR_{name.upper()}_URL": "http://127.0.0.1:9"}
    with pytest.raises(ProviderError, match=f"^{name}: expected an answer, found none .*: check the connection"):
        search(provider(name, server, **nowhere))


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("openverse", {}, "results"),
        ("openverse", {"results": None}, "results"),
        ("openverse", {"results": ["text"]}, "results"),
        ("wikimedia", {"query": {}}, "query.pages"),
        ("wikimedia", {"query": {"pages": {"1": {}}}}, "query.pages"),
        ("flickr", {"stat": "ok"}, "licenses.license"),
        ("flickr", {"stat": "ok", "licenses": {"license": "4"}}, "licenses.license"),
    ],
)
def test_another_shape_than_documented_is_told(server: ProviderServer, name: str, content: object, key: str) -> None:
    server.fail(PATHS[name], as_json(content))
    with pytest.raises(ProviderError, match=f"^{name}: expected a list of objects under '{key}', found .*changed"):
        search(provider(name, server))


@pytest.mark.parametrize(("name", "answers", "found"), [("openverse", 1, 20), ("wikimedia", 2, 45), ("flickr", 2, 91)])
def test_what_was_found_before_an_error_is_there(name: str, answers: int, found: int) -> None:
    ranks = []
    with provider_server(size=220) as server, httpx.Client(trust_env=False) as client:
        server.fail(PATHS[name], Answer(500), after=answers)
        with pytest.raises(ProviderError, match="status 500"):
            for candidate in provider(name, server).search(QUERY, client):
                ranks.append(candidate.rank)
    assert len(ranks) == found


def test_the_default_providers_need_no_key() -> None:
    environment = {"ROADCLEAR_CONTACT": "operator@example.org"}
    assert [make_provider(name, Settings(environment=environment)).name for name in DEFAULT] == list(DEFAULT)


def test_an_unknown_provider_is_an_option_error() -> None:
    with pytest.raises(OptionError, match=r"must be one of openverse, .*, found 'bing': choose one"):
        make_provider("bing", Settings())


def test_a_row_of_the_registry_is_named_as_its_provider() -> None:
    assert list(PROVIDERS) == ["openverse", "wikimedia", "flickr", "google", "duckduckgo", "urls"]
