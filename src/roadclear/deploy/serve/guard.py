"""Guard before every request: the host's name, the origin of a page, and the key."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from socket import gaierror, getaddrinfo
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from roadclear.errors import OptionError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Paths for probes, which send no key and any host."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_KEY = 1000


@dataclass(frozen=True)
class Access:
    """Who may ask. Without a key, requests are answered that came in at an address of this machine alone.

    Attributes:
        hosts: host names that requests may name; None for any.
        origins: origins of foreign pages that may ask, such as "https://example.org", or "*".
        key: key that requests must send; None for no key.
    """

    hosts: frozenset[str] | None
    origins: tuple[str, ...] = ()
    key: str | None = None

    def __repr__(self) -> str:
        return f"Access(hosts={self.hosts!r}, origins={self.origins!r}, key={'given' if self.key else None})"


def make_access(host: str, key: str | None, hosts: Collection[str] = (), origins: Collection[str] = ()) -> Access:
    """Decide who may ask a server at an address.

    A web site can let its own name point at this machine (DNS rebinding). So a server that only this machine can reach
    answers to the names of this machine alone, and to `hosts`.

    Args:
        host: address to listen at.
        key: key that requests must send; None for no key.
        hosts: further host names, for a reverse proxy. Where there is any, a server at another address answers to these
            names alone.
        origins: origins of foreign pages that may ask.

    Raises:
        OptionError: the address is not of this machine alone and there is no key; the key or an origin cannot be
            sent in a header; or a host name is none.
    """
    loopback = is_loopback(host)
    if key is not None and not (
        0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable() and key.strip() == key
    ):
        raise OptionError("the key must be printable ASCII of 1 to 1,000 characters, without spaces around it")
    if key is None and not loopback:
        raise OptionError(
            f"expected a key for {host!r}, which other machines can reach, found none: set ROADCLEAR_API_KEY, or "
            "listen at 127.0.0.1"
        )
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin):
            raise OptionError(f"--allow-origin must be like https://example.org, got {origin!r}")
    for name in hosts:
        if not _name(name) or "/" in name or _name(name) not in (name, name[1:-1]):
            raise OptionError(f"--allow-host must be a name like road.example.org, without a port, got {name!r}")
    names = frozenset(_name(name.lower()) for name in hosts)
    if loopback:
        names |= LOOPBACK_NAMES | {host.lower()}
    return Access(names or None, tuple(origins), key)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone. A name is looked up.

    Raises:
        OptionError: the name is not known.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = getaddrinfo(host, None)
    except (gaierror, UnicodeError) as error:
        raise OptionError(f"expected an address of this machine, got {host!r}: try 127.0.0.1") from error
    return all(ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


class Guard:
    """ASGI application that lets through to another one what `Access` allows.

    Args:
        app: application behind the guard.
        access: who may ask.
    """

    def __init__(self, app: "ASGIApp", access: Access) -> None:
        self._app, self._access = app, access
        self._digest = b"" if access.key is None else _digest(access.key.encode())

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request that is refused, or pass the request on."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = dict(scope["headers"])
            refused = self._refusal(scope["method"], headers, scope.get("server"))
            if refused is not None:
                await _send(send, *refused)
                return
        await self._app(scope, receive, send)

    def _refusal(
        self, method: str, headers: dict[bytes, bytes], server: tuple[str, int | None] | None
    ) -> tuple[int, str] | None:
        if self._access.key is None and not _is_local(server):
            return 403, "expected a key at an address that other machines can reach: set ROADCLEAR_API_KEY at the start"
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._access.hosts is not None and _name(host) not in self._access.hosts:
            return 421, "this host name is not known here: name it by --allow-host"
        origin = headers.get(b"origin", b"").decode("latin-1")
        foreign = bool(origin) and _netloc(origin) != host and not self._allows(origin)
        if foreign and method not in _SAFE_METHODS:
            return 403, "a page of another origin may not ask: name its origin by --allow-origin"
        if self._digest and not self._has_key(headers):
            return 401, "expected the key: send the header Authorization: Bearer KEY"
        return None

    def _allows(self, origin: str) -> bool:
        return origin in self._access.origins or "*" in self._access.origins

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        """Compare every key that was sent. The time of the comparison does not depend on the content."""
        given = [headers.get(b"x-api-key", b"")]
        kind, _, value = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer":
            given.append(value.strip())
        elif kind.lower() == b"basic":
            given.append(_password(value.strip()))
        return sum(hmac.compare_digest(_digest(key), self._digest) for key in given) > 0


def _is_local(server: tuple[str, int | None] | None) -> bool:
    """Whether the address at which a request came in can be reached from this machine alone."""
    try:
        return server is not None and ip_address(server[0]).is_loopback
    except ValueError:
        return False


def _netloc(origin: str) -> str:
    """Host and port of an origin; empty where there is none, as in "null"."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Host name without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _password(value: bytes) -> bytes:
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


async def _send(send: "Send", status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="roadclear", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
