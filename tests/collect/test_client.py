"""The client: where it connects, how it asks, when it asks again, what it hands over."""

import gzip
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from clients import START, QuickClock, quick_client
from http2_server import http2_server
from misbehaving_server import (
    Answer,
    MisbehavingServer,
    answer,
    cut,
    drip,
    endless,
    gzip_bomb,
    head,
    misbehaving_server,
    raw,
    redirect,
    reset,
    reset_at_once,
    silent,
    status,
)

from roadclear.collect.client import ClientPolicy, Limits, open_client
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.ssrf_guard import is_public
from roadclear.errors import OptionError

BODY = bytes(range(256)) * 40


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as running:
        yield running


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", None),
        ("localhost", None),
        ("2130706433", None),
        ("[::1]", None),
        ("[::ffff:127.0.0.1]", None),
        ("inside.example", ["127.0.0.1"]),
        ("metadata.example", ["169.254.169.254"]),
        ("both.example", ["10.0.0.1", "::1"]),
    ],
)
def test_private_hosts_are_refused(server: MisbehavingServer, host: str, addresses: list[str] | None) -> None:
    server.put("/", answer(BODY))
    resolved = {} if addresses is None else {"resolve": lambda host, port: addresses}
    with (
        open_client(ClientPolicy(), **resolved) as client,
        pytest.raises(FetchError, match="is not a public address") as caught,
    ):
        client.get(server.url("/", host))
    assert caught.value.reason == RejectionReason.FORBIDDEN_ADDRESS
    assert server.requests == []


def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked(server: MisbehavingServer) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])  # the second is what rebinding would slip in
    checked: list[str] = []
    server.put("/", answer(BODY))

    def allows(address: str) -> bool:
        checked.append(address)
        return address == "127.0.0.1"

    with open_client(ClientPolicy(), resolve=lambda host, port: next(answers), allows=allows) as client:
        assert client.get(server.url("/", "photos.example")).content == BODY
    assert checked == ["127.0.0.1"]
    assert server.requests[0].headers["Host"] == f"photos.example:{server.port}"


def test_the_next_checked_address_is_tried(server: MisbehavingServer) -> None:
    server.put("/", answer(BODY))
    found = ["10.0.0.1", "127.0.0.2", "127.0.0.1"]  # refused, nobody there, the server
    only_loopback = {"resolve": lambda host, port: found, "allows": lambda address: address.startswith("127.")}
    with open_client(ClientPolicy(), **only_loopback) as client:  # type: ignore[arg-type]
        assert client.get(server.url("/", "photos.example")).content == BODY


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://10.1.2.3/",
        "http://inside.example/",
        "ftp://photos.example/a.jpg",
        "file:///etc/passwd",
        "gopher://photos.example/",
    ],
)
@pytest.mark.parametrize("hops", [1, 3])
def test_every_hop_is_checked(server: MisbehavingServer, target: str, hops: int) -> None:
    for hop in range(1, hops):
        server.put(f"/{hop}", redirect(f"/{hop + 1}"))
    server.put(f"/{hops}", redirect(target))

    def resolve(host: str, port: int) -> list[str]:
        return {"start.example": ["127.0.0.1"], "inside.example": ["192.168.0.1"]}.get(host) or [
            str(entry[4][0]) for entry in socket.getaddrinfo(host, port)
        ]

    client = open_client(ClientPolicy(max_rate=1e9), resolve=resolve, allows=lambda a: a == "127.0.0.1" or is_public(a))
    with client, pytest.raises(FetchError) as caught:
        client.get(server.url("/1", "start.example"))
    assert caught.value.reason == RejectionReason.FORBIDDEN_ADDRESS
    assert len(server.requests) == hops


def test_behind_a_proxy_addresses_are_checked_too(server: MisbehavingServer) -> None:
    server.answers["http://photos.example/a.jpg"] = [redirect("http://169.254.169.254/")]
    with open_client(ClientPolicy(proxy=server.url(""))) as client, pytest.raises(FetchError) as caught:
        client.get("http://photos.example/a.jpg")
    assert caught.value.reason == RejectionReason.FORBIDDEN_ADDRESS
    assert server.targets() == ["http://photos.example/a.jpg"]


def test_five_redirects_and_no_more(server: MisbehavingServer) -> None:
    for hop in range(6):
        server.put(f"/{hop}", redirect(f"/{hop + 1}"))
    server.put("/6", answer(BODY))
    server.put("/loop", redirect("/loop"))
    with quick_client() as client:
        assert client.get(server.url("/1")).content == BODY
        for path in ("/0", "/loop"):
            with pytest.raises(httpx.TooManyRedirects):
                client.get(server.url(path))


def test_a_name_that_does_not_exist(server: MisbehavingServer) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    with open_client(ClientPolicy(), resolve=resolve) as client, pytest.raises(FetchError, match="no host") as caught:
        client.get("http://nowhere.example/")
    assert caught.value.reason == RejectionReason.NOT_THERE


DATE = format_datetime(START.replace(second=45), usegmt=True)


@pytest.mark.parametrize(
    ("fault", "least_pause"),
    [
        (status(429), 1),
        (status(429, Retry_After="7"), 7),
        (status(429, Retry_After=DATE), 40),
        (status(429, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"), 1),
        (status(429, Retry_After="soon"), 1),
        (status(503, Retry_After="3"), 3),
        (status(500), 1),
        (status(502), 1),
        (status(504), 1),
        (status(408), 1),
        (reset_at_once(), 1),
        (reset(BODY), 1),
        (cut(BODY), 1),
        (raw(b"nonsense\r\n\r\n"), 1),
        (answer(gzip.compress(BODY)[:-20], headers={"Content-Encoding": "gzip"}), 1),
    ],
)
def test_what_may_pass_is_tried_again(server: MisbehavingServer, fault: Answer, least_pause: float) -> None:
    url = server.put("/", fault, fault, answer(BODY))
    clock = QuickClock()
    with quick_client(clock) as client:
        assert client.get(url).content == BODY
    assert len(server.requests) == 3
    assert max(clock.sleeps) >= least_pause
    assert sum(clock.sleeps) <= 2 * (least_pause + 4)


@pytest.mark.slow
def test_silence_is_tried_again(server: MisbehavingServer) -> None:
    url = server.put("/", silent(), answer(BODY))
    with quick_client() as client:
        assert client.get(url, timeout=1.0).content == BODY


@pytest.mark.parametrize("code", [429, 500, 503])
def test_in_the_end_the_last_answer_is_given(server: MisbehavingServer, code: int) -> None:
    clock = QuickClock()
    with quick_client(clock) as client:
        assert client.get(server.put("/", status(code))).status_code == code
    assert len(server.requests) == Limits().attempts
    assert sorted(clock.sleeps) == clock.sleeps, "the pauses grow"


def test_in_the_end_the_last_error_is_raised(server: MisbehavingServer) -> None:
    with quick_client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(server.put("/", cut(BODY)))
    assert len(server.requests) == Limits().attempts


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_a_plain_no_is_believed(server: MisbehavingServer, code: int) -> None:
    with quick_client() as client:
        assert client.get(server.put("/", status(code))).status_code == code
    assert len(server.requests) == 1


def test_a_host_that_asks_for_hours_is_left_alone(server: MisbehavingServer) -> None:
    clock = QuickClock()
    with quick_client(clock) as client:
        assert client.get(server.put("/", status(429, Retry_After="3600"))).status_code == 429
        with pytest.raises(FetchError, match="asks for a pause of 3,600 seconds") as caught:
            client.get(server.put("/other", answer(BODY)))
        assert caught.value.reason.is_passing
        assert server.targets() == ["/"]
        clock.sleep(3600)
        assert client.get(server.url("/other")).content == BODY


def test_a_host_is_asked_at_the_set_rate(server: MisbehavingServer) -> None:
    clock = QuickClock()
    server.put("/", answer(BODY))
    with quick_client(clock, max_rate=4.0) as client:
        for _ in range(9):
            client.get(server.url("/"))
        assert clock.sleeps == pytest.approx([0.25] * 8)
        clock.sleeps.clear()
        client.get(server.url("/", "localhost"))
    assert clock.sleeps == [], "another host has a rate of its own"


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        drip(head(200, {"Content-Length": "9"}) + b"123456789", pause=0.1),
        drip(head(200, {f"X-{i}": "y" * 50 for i in range(10)}), pause=0.1),
        silent(),
    ],
)
def test_what_is_too_slow_is_refused_at_once(server: MisbehavingServer, fault: Answer) -> None:
    with quick_client(limits=Limits(seconds=0.8)) as client, pytest.raises(FetchError, match=r"0\.8 sec") as caught:
        client.get(server.put("/", fault))
    assert caught.value.reason == RejectionReason.TOO_SLOW
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (endless(), RejectionReason.TOO_LARGE),
        (answer(bytes(100_001)), RejectionReason.TOO_LARGE),
        (raw(head(200, {"Content-Length": "999999999999"})), RejectionReason.TOO_LARGE),
        (gzip_bomb(50_000_000), RejectionReason.TOO_LARGE),
        (answer(zlib.compress(bytes(200_000)), headers={"Content-Encoding": "deflate"}), RejectionReason.TOO_LARGE),
        (answer(BODY, headers={"Content-Encoding": "br"}), RejectionReason.NOT_A_PHOTO),
    ],
)
def test_what_is_too_much_is_refused_at_once(server: MisbehavingServer, fault: Answer, reason: RejectionReason) -> None:
    with quick_client(limits=Limits(bytes=100_000)) as client, pytest.raises(FetchError) as caught:
        client.get(server.put("/", fault))
    assert caught.value.reason == reason
    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "identity"])
def test_compression_that_was_not_asked_for_is_undone(server: MisbehavingServer, encoding: str) -> None:
    packed = {"deflate": zlib.compress(BODY), "identity": BODY}.get(encoding, gzip.compress(BODY))
    with quick_client() as client:
        got = client.get(server.put("/", answer(packed, headers={"Content-Encoding": encoding})))
    assert got.content == BODY
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_hosts_are_told_who_asks(server: MisbehavingServer) -> None:
    server.put("/", answer(BODY))
    for contact in ("", "me@example.org"):
        with quick_client(contact=contact) as client:
            client.get(server.url("/"))
    agents = [request.headers["User-Agent"] for request in server.requests]
    assert agents[0].startswith("roadclear/")
    assert agents[1] == f"{agents[0]} (me@example.org)"


@pytest.mark.parametrize(
    "wrong", [{"max_rate": 0}, {"max_rate": float("inf")}, {"contact": "a\r\nX: y"}, {"contact": "é"}, {"proxy": "x:1"}]
)
def test_policies_that_cannot_work(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong)).replace("_", "-")):
        ClientPolicy(**wrong)  # type: ignore[arg-type]


def make_certificate(folder: Path, expired: bool) -> ssl.SSLContext:
    """A certificate for photos.example that nobody vouches for but itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("expected the openssl command, which makes the certificate, found none")
    key, request, certificate = (str(folder / name) for name in ("key.pem", "request.pem", "certificate.pem"))
    days = "-1" if expired else "2"
    ask = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=photos.example", "-keyout", key]
    ask += ["-addext", "subjectAltName=DNS:photos.example", "-out", request]
    sign = ["x509", "-req", "-in", request, "-signkey", key, "-days", days, "-copy_extensions", "copyall"]
    for command in (ask, [*sign, "-out", certificate]):
        made = subprocess.run([openssl, *command], capture_output=True)
        if made.returncode != 0:
            pytest.skip(f"this openssl cannot make the certificate: {made.stderr.decode(errors='replace')[-200:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trusted", "expired", "host", "message"),
    [
        (True, False, "photos.example", None),
        (False, False, "photos.example", "self-signed"),
        (True, True, "photos.example", "expired"),
        (True, False, "other.example", "not valid for 'other.example'"),
    ],
)
def test_certificates_are_verified_against_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, expired: bool, host: str, message: str | None
) -> None:
    tls = make_certificate(tmp_path, expired)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with misbehaving_server(tls) as server:
        server.put("/", answer(BODY))
        policy = ClientPolicy(allow_private=True)
        with open_client(policy, resolve=lambda host, port: ["127.0.0.1"], clock=QuickClock()) as client:
            if message is None:
                assert client.get(server.url("/", host)).content == BODY
            else:
                with pytest.raises(FetchError, match=message) as caught:
                    client.get(server.url("/", host))
                assert caught.value.reason == RejectionReason.UNTRUSTED


def test_through_a_proxy_certificates_are_verified_against_the_name(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_certificate(tmp_path, expired=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)
            answer(BODY)(secured)

    for host in ("photos.example", "other.example"):
        server.answers[f"{host}:443"] = [tunnel]
    with open_client(ClientPolicy(proxy=server.url(""))) as client:
        assert client.get("https://photos.example/").content == BODY
        with pytest.raises(FetchError, match=r"not valid for 'other\.example'"):
            client.get("https://other.example/")


def test_many_threads_share_a_connection_of_http2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = make_certificate(tmp_path, expired=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    def body(path: str) -> bytes:
        return path.encode() * 20_000

    policy = ClientPolicy(max_rate=1e9, allow_private=True)
    with (
        http2_server(tls, body) as server,
        open_client(policy, resolve=lambda host, port: ["127.0.0.1"]) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        urls = [f"https://photos.example:{server.port}/{number}" for number in range(80)]
        for url, response in zip(urls, pool.map(client.get, urls), strict=True):
            assert response.http_version == "HTTP/2"
            assert response.content == body(response.request.url.path)
            assert str(response.request.url) == url
    assert sum(map(len, server.connections)) == 80
    assert len(server.connections) < 10


def test_no_cookie_is_kept_or_sent(server: MisbehavingServer) -> None:
    cookies = ("a=1; Domain=example", "b=2; Domain=photos.example; Path=/", "c=3", f"d=4; Max-Age={'9' * 5_000}")
    for number, cookie in enumerate(cookies):
        server.put(f"/{number}", answer(BODY, headers={"Set-Cookie": cookie}))
        server.put(f"/to/{number}", answer(b"", 302, headers={"Set-Cookie": cookie, "Location": f"/{number}"}))
    policy = ClientPolicy(allow_private=True, max_rate=1e9)
    with open_client(policy, resolve=lambda host, port: ["127.0.0.1"], clock=QuickClock()) as client:
        for host in ("photos.example", "www.photos.example", "other.example"):
            for path in ("/0", "/1", "/2", "/3", "/to/0", "/to/1", "/to/2", "/to/3"):
                assert client.get(server.url(path, host)).content == BODY
        assert list(client.cookies.jar) == []
    assert len(server.requests) == 36
    assert all("Cookie" not in request.headers for request in server.requests)


def test_an_answer_does_not_choose_its_decoding(server: MisbehavingServer) -> None:
    for name in ("rot13", "zlib", "idna", "utf-7", "undefined", "latin-1"):
        url = server.put("/", answer("Zoë +AGE-".encode(), content_type=f"text/plain; charset={name}"))
        with quick_client() as client:
            assert client.get(url).text == "Zoë +AGE-"


def test_all_hops_and_attempts_have_one_time(server: MisbehavingServer) -> None:
    pause = status(503, Retry_After="50")
    for hop in range(5):
        server.put(f"/pausing/{hop}", pause, redirect(f"/pausing/{hop + 1}"))
        server.put(f"/{hop}", redirect(f"/{hop + 1}"))
    clock = QuickClock()
    with quick_client(clock) as client:
        assert client.get(server.url("/pausing/0")).status_code == 503, "the third hop is not asked again"
    assert clock.monotonic() <= 120
    with (
        quick_client(max_rate=0.02) as client,
        pytest.raises(FetchError, match="redirects took longer than 120 seconds") as caught,
    ):
        client.get(server.url("/0"))
    assert caught.value.reason == RejectionReason.TOO_SLOW


def test_a_length_of_any_number_of_digits_is_too_much(server: MisbehavingServer) -> None:
    for length in ("9" * 19, "0" * 5 + "9" * 9):
        with quick_client() as client, pytest.raises(FetchError) as caught:
            client.get(server.put("/", raw(head(200, {"Content-Length": length}))))
        assert caught.value.reason == RejectionReason.TOO_LARGE
