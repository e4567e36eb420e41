"""Hosts that attack the collector: each costs one candidate or one provider, and never the run."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import httpx
import pytest
from clients import quick_client
from misbehaving_server import Answer, MisbehavingServer, answer, head, misbehaving_server, picture, raw, silent, status

from roadclear.collect.candidate import Candidate, Provider, guarded_search
from roadclear.collect.client import Limits
from roadclear.collect.collector import Collection, CollectRequest, collect, searches_of
from roadclear.collect.providers import make_provider
from roadclear.collect.providers.settings import Settings
from roadclear.collect.rate_limit import Clock
from roadclear.collect.records import read_rejections, read_sources
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import ProviderError

LABELS = ("crossing", "empty")
KEY = "0" * 32
DIGITS = "9" * 5_000
PATHS = {"openverse": "/v1/images/", "wikimedia": "/w/api.php", "flickr": "/services/rest/"}


class Shelf:
    """A provider that finds the given addresses, whatever the query."""

    def __init__(self, name: str, addresses: dict[str, list[str]]) -> None:
        self.name = name
        self._addresses = addresses

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        for rank, address in enumerate(self._addresses[query], start=1):
            yield Candidate(self.name, query, rank, address)


@pytest.fixture(scope="module")
def running() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as started, pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", cache(httpx.create_ssl_context))  # certificates are read once
        yield started


@pytest.fixture
def server(running: MisbehavingServer) -> MisbehavingServer:
    """A server that shows a good photo at /<number>."""
    running.answers.clear()
    running.requests.clear()
    running.fallback = good_photo
    return running


def good_photo(path: str, before: int) -> Answer:
    return answer(picture(int(path.strip("/"))))


def good(server: MisbehavingServer) -> Shelf:
    """Two good photos for each label."""
    return Shelf(
        "good", {label: [server.url(f"/{10 * place + n}") for n in (1, 2)] for place, label in enumerate(LABELS)}
    )


def collected(
    folder: Path, server: MisbehavingServer, other: Provider, limits: Limits | None = None, real_time: bool = False
) -> Collection:
    """Collect from a provider, and from another with good photos. The good photos always arrive."""
    searches = searches_of({label: [label] for label in LABELS}, [other, good(server)])
    with quick_client(Clock() if real_time else None, limits) as client:
        collection = collect(folder, CollectRequest(LABELS, 1_000, searches), client)
    assert sum(source.provider == "good" for source in read_sources(folder)) == 4
    return collection


def provider_of(name: str, server: MisbehavingServer, attack: Answer) -> Provider:
    """A provider whose interface gives the same answer to every request."""
    server.fallback = lambda path, before: attack if path.startswith(PATHS[name]) else good_photo(path, before)
    environment = {f"ROADCLEAR_{name.upper()}_URL": server.url("", "localhost"), "FLICKR_API_KEY": KEY}
    return make_provider(name, Settings(contact="me@example.org", environment=environment))


def as_json(text: str) -> Answer:
    return answer(text.encode(), content_type="application/json")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


ENCODINGS = (
    "rot13",
    "zlib",
    "hex",
    "base64",
    "idna",
    "punycode",
    "undefined",
    "unicode_escape",
    "utf-7",
    "a b",
    "\xff",
)
PAUSES = (
    DIGITS,
    "1" + "0" * 18,
    "1e999",
    "-1",
    "inf",
    "²",
    "Fri, 02 Jan 2026 03:05:05 +" + "9" * 30,
    "Fri, 02 Jan 9999 23:59:59 -2359",
    f"Fri, 02 Jan {DIGITS} 03:05:05 GMT",
)
LOCATIONS = (
    "http://[",
    "http://a:99999/",
    f"http://a:{DIGITS}/",
    "http://a..b/",
    "http://.../",
    "http://" + "a" * 300 + "/",
    "http://" + "a" * 70_000,
    "http://xn--/",
    "http://\xff\xfe/",
    "http://%00/",
    "//",
    "http:",
    "::",
    "",
)
ODD_HEADS = {
    "endless length": f"HTTP/1.1 200 x\r\nContent-Length: {DIGITS}\r\n\r\n",
    "two lengths": "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative length": "HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n",
    "endless chunk": f"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n{'F' * 30}\r\nabc",
    "status 099": "HTTP/1.1 099 x\r\n\r\n",
    "status 999": "HTTP/1.1 999 x\r\nConnection: close\r\n\r\n",
    "version 9": "HTTP/9.9 200 x\r\n\r\n",
    "large head": "HTTP/1.1 200 x\r\nX: " + "y" * 200_000,
    "many heads": "HTTP/1.1 200 x\r\n" + "X: y\r\n" * 50_000,
    "endless 1xx": "HTTP/1.1 103 x\r\n\r\n" * 5_000,
    "cookie": f"HTTP/1.1 200 x\r\nSet-Cookie: a=b; Max-Age={DIGITS}; Version={DIGITS}\r\nConnection: close\r\n\r\n",
    "control": "HTTP/1.1 200 x\r\nX: \x00\x1b[31m\r\n\r\n",
}
FAULTS: dict[str, Answer] = {
    **{f"charset {name}": answer(b"<b>no", content_type=f"text/html; charset={name}") for name in ENCODINGS},
    **{f"pause {value[:30]}": status(429, Retry_After=value) for value in PAUSES},
    **{f"way {value[:20]} {len(value)}": raw(head(302, {"Location": value})) for value in LOCATIONS},
    **{name: raw(data.encode("latin-1")) for name, data in ODD_HEADS.items()},
    "deep JSON": as_json(nested(100_000)),
    "deep detail": answer(f'{{"detail": {nested(900)}}}'.encode(), 400),
    "deep inside": as_json(f'{{"results": {nested(900)}, "query": {nested(900)}, "stat": {nested(900)}, "error": 1}}'),
    "endless number": as_json(f'{{"results": {DIGITS}, "query": {{"pages": {DIGITS}}}, "stat": {DIGITS}}}'),
    "not UTF-8": answer(b"\xff\xfe{"),
    "surrogates": as_json(
        '{"stat": "fail", "message": "\\ud800", "error": {"code": "\\udfff", "info": 1}, "results": "\\ud800"}'
    ),
}


def failure_of(provider: Provider) -> str:
    """The failure of a search that finds nothing."""
    with quick_client() as client, pytest.raises(ProviderError) as caught:
        list(provider.search("x", client))
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_answer_of_a_provider_costs_the_provider(server: MisbehavingServer, name: str, fault: Answer) -> None:
    failure = failure_of(provider_of(name, server, fault))
    assert failure.startswith(f"{name}: expected ")
    assert failure.isprintable()
    assert len(failure) < 500


def test_the_failure_of_a_provider_does_not_end_the_run(tmp_path: Path, server: MisbehavingServer) -> None:
    deep = provider_of("openverse", server, FAULTS["deep JSON"])
    (failure,) = collected(tmp_path, server, deep).failures
    assert failure.startswith("openverse: expected a JSON object, found 200000 bytes")


def test_an_answer_of_a_host_costs_a_photo(tmp_path: Path, server: MisbehavingServer) -> None:
    addresses = {server.put(f"/attack/{n}", fault, host="localhost"): n for n, fault in enumerate(FAULTS.values())}
    collection = collected(tmp_path, server, Shelf("bad", {"crossing": list(addresses), "empty": []}))
    assert collection.failures == ()
    rejections = read_rejections(tmp_path)
    assert {rejection.source.image_url for rejection in rejections} == set(addresses)
    assert all(rejection.detail.isprintable() and len(rejection.detail) < 500 for rejection in rejections)


def test_an_address_costs_a_photo(tmp_path: Path, server: MisbehavingServer) -> None:
    addresses = [*LOCATIONS, "http://localhost:1/", "http://a\x00b/", "http://\ud800/", "x" * 20_000]
    collection = collected(tmp_path, server, Shelf("bad", {"crossing": addresses, "empty": []}))
    assert collection.failures == ()
    reasons = [rejection.reason for rejection in read_rejections(tmp_path)]
    assert len(reasons) == len(addresses)
    reach = (RejectionReason.FORBIDDEN_ADDRESS, RejectionReason.NOT_THERE, RejectionReason.UNREACHABLE)
    assert set(reasons) <= set(reach)


VALUES = {
    "endless digits": DIGITS,
    "endless digits as text": f'"{DIGITS}"',
    "more digits than an int may have as text": "9" * 4_000,
    "negative": "-1",
    "infinite": "1e999",
    "NaN": "NaN",
    "other digits": '"٣٣"',
    "true": "true",
    "deep": nested(500),
    "deep objects": '{"a":' * 400 + "1" + "}" * 400,
    "a surrogate": '"\\ud800"',
    "controls": '"\\u0000\\u001b[31m\\u2028"',
    "long": '"' + "x" * 200_000 + '"',
    "a script": '"javascript:alert(1)"',
    "a broken link": '"http://["',
    "markup that is none": '"<![x[<a href=\\"http://[\\">"',
    "an endless entity": f'"&#{DIGITS};<a href=\\"&#x{DIGITS};\\">x</a>"',
    "many tags": '"' + "<a><!--" * 20_000 + '"',
}
PHOTO = {
    "openverse": '{"page_count": 1, "results": [{"url": "URL", FIELDS}]}',
    "wikimedia": (
        '{"batchcomplete": true, "query": {"pages": [{"pageid": VALUE, "index": VALUE, "title": VALUE, "imageinfo": '
        '[{"url": "URL", "mime": "image/jpeg", "width": 90, "height": VALUE, "descriptionurl": VALUE, "extmetadata": '
        '{"Artist": {"value": VALUE}, "ObjectName": {"value": VALUE}, "LicenseShortName": {"value": VALUE}, '
        '"LicenseUrl": {"value": VALUE}}}]}]}}'
    ),
    "flickr": (
        '{"stat": "ok", "licenses": {"license": [{"id": 4, "url": "https://creativecommons.org/licenses/by/2.0/"}, '
        '{"id": VALUE, "url": VALUE}]}, "photos": {"pages": VALUE, "photo": [{"url_l": "URL", "license": 4, '
        '"id": VALUE, "owner": VALUE, "title": VALUE, "ownername": VALUE, "width_l": VALUE, "height_l": VALUE}]}}'
    ),
}
FIELDS = ("width", "height", "title", "creator", "creator_url", "foreign_landing_url", "license", "license_version")


@pytest.mark.parametrize("name", PHOTO)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_costs_at_most_itself(server: MisbehavingServer, name: str, value: str) -> None:
    fields = ", ".join(f'"{field}": VALUE' for field in (*FIELDS, "license_url"))
    content = PHOTO[name].replace("FIELDS", fields).replace("VALUE", value).replace("URL", server.url("/77"))
    with quick_client() as client:
        (photo,) = provider_of(name, server, as_json(content)).search("x", client)
    assert photo.image_url == server.url("/77")
    assert max(map(len, (photo.title, photo.author, photo.page_url, photo.author_url))) <= 10_000
    assert len(photo.licence) <= 100
    assert all(size is None or 0 <= size < 1e9 for size in (photo.width, photo.height))
    for address in (photo.page_url, photo.author_url, photo.licence_url):
        assert address == "" or address.startswith(("http://", "https://"))


NEXT = ('"x"', "[1]", nested(300), '{"a": {"b": 1}}', f'{{"gsroffset": {DIGITS}}}', '{"\\ud800": 1}')


@pytest.mark.parametrize("more", NEXT)
def test_a_next_page_that_is_none_ends_the_search(server: MisbehavingServer, more: str) -> None:
    wikimedia = provider_of("wikimedia", server, as_json(f'{{"continue": {more}}}'))
    with quick_client() as client, suppress(ProviderError):
        assert list(wikimedia.search("x", client)) == []
    assert len(server.requests) <= 2


def test_a_batch_without_end_ends(server: MisbehavingServer) -> None:
    numbers = count()
    wikimedia = provider_of("wikimedia", server, silent())
    server.fallback = lambda path, before: as_json(json.dumps({"continue": {"gsroffset": next(numbers)}}))
    assert "expected the next results" in failure_of(wikimedia)
    assert next(numbers) < 50


def test_more_results_than_asked_for_are_not_read(server: MisbehavingServer) -> None:
    results = json.dumps({"page_count": 1, "results": [{"url": f"http://a/{n}"} for n in range(50_000)]})
    with quick_client() as client:
        found = list(provider_of("openverse", server, as_json(results)).search("x", client))
    assert len(found) == 500


def test_an_answer_of_a_provider_has_a_size(server: MisbehavingServer) -> None:
    huge = as_json(" " * 9_000_000 + "{}")
    with quick_client() as client, pytest.raises(ProviderError, match=r"expected at most 8 MB, found 9\.0 MB"):
        list(provider_of("openverse", server, huge).search("x", client))


@pytest.mark.slow
def test_a_silent_host_is_given_up(tmp_path: Path, server: MisbehavingServer) -> None:
    hung = [server.put(f"/hung/{number}", silent(), host="localhost") for number in range(400)]
    limits = Limits(seconds=0.3, attempts=1, silence_seconds=0.8)
    began = time.monotonic()
    collected(tmp_path, server, Shelf("bad", {"crossing": hung[:200], "empty": hung[200:]}), limits, real_time=True)
    assert time.monotonic() - began < 8, "400 photos of 0.3 seconds by 8 threads would take 15"
    given_up = [r for r in read_rejections(tmp_path) if "gave no good answer" in r.detail]
    assert len(given_up) > 300
    assert {r.reason for r in given_up} == {RejectionReason.UNREACHABLE}, "a later run tries again"


class Slow:
    """A provider that takes its time, and then finds nothing that is documented."""

    name = "slow"

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        for rank in count(1):
            time.sleep(0.05)
            yield Candidate(self.name, query, rank, f"http://a.example/{rank}")


class Broken(Slow):
    """A provider whose library breaks on an answer."""

    name = "broken"

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        yield Candidate(self.name, query, 1, "http://a.example/1")
        raise RecursionError("maximum recursion depth exceeded")


def test_a_slow_search_ends() -> None:
    results = guarded_search(Slow(), "x", httpx.Client(), seconds=0.3)
    found: list[Candidate] = []
    with pytest.raises(ProviderError, match=r"slow: expected the results within 0\.3 seconds"):
        for candidate in results:
            found.append(candidate)
    assert 1 <= len(found) <= 6


def test_a_library_that_breaks_costs_the_provider(tmp_path: Path, server: MisbehavingServer) -> None:
    (failure,) = collected(tmp_path, server, Broken()).failures
    assert failure == "broken: expected results as documented, found others (RecursionError): use another provider"
