"""Connections to public addresses only: a name is resolved once, checked, and connected to at the checked address.

Since nothing resolves the name a second time, an answer that changes in between (DNS rebinding) gains nothing.
The name stays what TLS certificates are checked against.
"""

import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from roadclear.collect.rejections import FetchError, RejectionReason

Resolve = Callable[[str, int], Iterable[str]]
"""A host name and a port -> numeric addresses; raises socket.gaierror."""

Allows = Callable[[str], bool]
"""Whether a numeric address may be connected to."""

_IPV4_IN_IPV6 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how IPv6-only networks reach IPv4


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet, and so does an IPv4 address embedded in it.

    Private, loopback, link-local (where clouds have their metadata), shared, reserved and multicast addresses do
    not (IANA's special-purpose address registries, as `ipaddress` knows them).
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _IPV4_IN_IPV6:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def resolve_host(host: str, port: int) -> list[str]:
    """The numeric addresses of a host, as the system knows them."""
    return _numeric(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def check_literal(host: str) -> None:
    """Refuse a host that is itself an address, in any spelling, or this machine's name, where it is not public.

    Raises:
        FetchError: see above.
    """
    try:
        addresses = _numeric(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST))
    except (socket.gaierror, UnicodeError):
        addresses = ["127.0.0.1"] if host.lower().rstrip(".").endswith("localhost") else []
    if not all(map(is_public, addresses)):
        raise _not_public(host)


def _numeric(found: Iterable[tuple[Any, ...]]) -> list[str]:
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _not_public(host: str) -> FetchError:
    return FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"{host} is no public address")


class Deadline(threading.local):
    """The moment at which what a thread is fetching must be there, by `time.monotonic`.

    A thread fetches one thing at a time, so this reaches what httpcore sets no limit to: a header that arrives byte
    by byte, each within the time-out.
    """

    at = math.inf

    def limit(self, timeout: float | None) -> float | None:
        """A timeout that ends at the deadline at the latest.

        Raises:
            httpcore.ReadTimeout: it has passed.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("too slow")
        return timeout if left == math.inf else min(left, timeout if timeout is not None else left)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore: to checked addresses, and within a deadline."""

    def __init__(self, resolve: Resolve, allows: Allows, deadline: Deadline) -> None:
        self._resolve = resolve
        self._admits = allows
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's checked addresses that answers.

        Raises:
            FetchError: there is no such host, or it has no public address.
            httpcore.ConnectError, httpcore.ConnectTimeout: none of them answers.
        """
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._checked(host, port):
            try:
                stream = self._plain.connect_tcp(
                    address, port, self._deadline.limit(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = list(self._resolve(host, port))
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise httpcore.ConnectError(f"{host} cannot be resolved now") from error
            raise FetchError(RejectionReason.NOT_THERE, f"there is no host {host}") from error
        except UnicodeError as error:
            raise FetchError(RejectionReason.NOT_THERE, f"{host} is no possible host name") from error
        admitted = [address for address in addresses if self._admits(address)]
        if addresses and not admitted:
            raise _not_public(host)
        return admitted


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline of the thread that waits."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.limit(timeout))
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
