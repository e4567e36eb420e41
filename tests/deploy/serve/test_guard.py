"""Who may ask: host names, origins of pages, and the key."""

import asyncio
import base64
import json

import pytest

from roadclear.deploy.serve.guard import Access, Guard, is_loopback, make_access
from roadclear.errors import OptionError

KEY = "a key of words"


async def behind(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(
    access: Access,
    headers: dict[str, str],
    method: str = "POST",
    path: str = "/predict",
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000),
) -> tuple[int, bytes]:
    """Status and body of a request that came in at the address `server`."""
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "server": server}
    asyncio.run(Guard(behind, access)(scope, None, send))  # type: ignore[arg-type]
    return int(sent[0]["status"]), bytes(sent[1]["body"])  # type: ignore[arg-type, call-overload]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LocalHost:1", 200),
        ("[::1]:8000", 200),
        ("proxy.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_a_server_on_loopback_answers_to_its_own_names(host: str, status: int) -> None:
    access = make_access("127.0.0.1", None, hosts=["Proxy.example"])
    assert ask(access, {"Host": host})[0] == status
    assert ask(access, {"Host": host}, "GET", "/healthz")[0] == 200, "probes name any host"


@pytest.mark.parametrize(
    ("origin", "method", "status"),
    [
        ("http://127.0.0.1:8000", "POST", 200),
        ("https://friend.example", "POST", 200),
        ("https://other.example", "POST", 403),
        ("null", "POST", 403),
        ("http://[", "POST", 403),
        ("https://other.example", "GET", 200),
    ],
)
def test_pages_of_other_origins_may_not_ask(origin: str, method: str, status: int) -> None:
    access = make_access("127.0.0.1", None, origins=["https://friend.example"])
    assert ask(access, {"Host": "127.0.0.1:8000", "Origin": origin}, method)[0] == status


@pytest.mark.parametrize(
    ("server", "status"),
    [
        (("127.0.0.1", 8000), 200),
        (("127.8.0.1", 8000), 200),
        (("::1", 8000), 200),
        (("192.0.2.1", 8000), 403),
        (("localhost", 8000), 403),
        (("/tmp/a.socket", None), 403),
        (None, 403),
    ],
)
def test_without_a_key_only_addresses_of_this_machine_are_answered_at(
    server: tuple[str, int | None] | None, status: int
) -> None:
    open_access = Access(hosts=None)
    assert ask(open_access, {"Host": "localhost"}, server=server)[0] == status
    assert ask(open_access, {"Host": "localhost"}, "GET", "/readyz", server)[0] == 200, "probes come from anywhere"
    with_key = Access(hosts=None, key=KEY)
    assert ask(with_key, {"X-API-Key": KEY}, server=server)[0] == 200


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"X-API-Key": KEY}, 200),
        ({"Authorization": basic(KEY)}, 200),
        ({}, 401),
        ({"Authorization": f"Bearer {KEY}x"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": KEY}, 401),
        ({"Authorization": "Basic ???"}, 401),
        ({"Authorization": basic("")}, 401),
        ({"X-API-Key": KEY[:-1]}, 401),
    ],
)
def test_the_key_is_asked_for_and_never_named(headers: dict[str, str], status: int) -> None:
    access = make_access("0.0.0.0", KEY)
    found, body = ask(access, {"Host": "any.example", **headers})
    assert found == status
    assert KEY.encode() not in body and KEY not in repr(access)
    assert ask(access, {"Host": "10.0.0.1"}, "GET", "/readyz")[0] == 200
    if status == 401:
        assert "Bearer" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("host", "key", "origins"),
    [
        ("0.0.0.0", None, []),
        ("::", None, []),
        ("192.0.2.1", None, []),
        ("127.0.0.1", "", []),
        ("127.0.0.1", " x", []),
        ("127.0.0.1", "a\nb", []),
        ("127.0.0.1", "schlüssel", []),
        ("127.0.0.1", None, ["friend.example"]),
        ("127.0.0.1", None, ["https://friend.example/"]),
        ("no such name", None, []),
    ],
)
def test_unsafe_and_impossible_choices_are_refused(host: str, key: str | None, origins: list[str]) -> None:
    with pytest.raises(OptionError) as error:
        make_access(host, key, origins=origins)
    assert not key or key not in str(error.value)


@pytest.mark.parametrize("name", ["https://road.example", "road.example:8000", "road.example/", "", "::1", "["])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=r"road\.example\.org"):
        make_access("127.0.0.1", None, hosts=[name])
    assert "2001:db8::1" in (make_access("127.0.0.1", None, hosts=["[2001:DB8::1]"]).hosts or ())


def test_loopback_is_every_address_of_this_machine_alone() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1")))
