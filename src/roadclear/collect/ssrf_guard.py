"""Guard against server-side request forgery: connections to public addresses only.

A name is resolved once, the addresses are checked, and the connection goes to a checked address. No second lookup means
no attack by changed answers (DNS rebinding). TLS certificates are still checked against the name.
"""

import ipaddress
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from roadclear.collect.rejections import FetchError, RejectionReason

Resolve = Callable[[str, int], Iterable[str]]
"""Function of a host name and a port: numeric addresses. Raises socket.gaierror."""

Allows = Callable[[str], bool]
"""Function of a numeric address: whether connections are allowed."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 addresses in IPv6-only networks
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: third quarter of addresses whose last quarter is an IPv4 address

# Networks that older tables of `ipaddress` lack, and public addresses at which clouds answer their own machines only.
# Sources: Microsoft Learn, "What is IP address 168.63.129.16?"; Google Cloud, "Configure Private Google Access for
# on-premises hosts" (both networks of each name); IBM Cloud, VPC API, addresses that no VPN client pool may overlap.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure: wire server
            "192.0.0.0/24",  # RFC 6890: protocol assignments
            "192.88.99.0/24",  # RFC 7526: relays of 6to4
            "199.36.153.4/30",  # Google Cloud: restricted.googleapis.com
            "2600:2d00:2:1000::/56",  # Google Cloud: restricted.googleapis.com
            "199.36.153.8/30",  # Google Cloud: private.googleapis.com
            "2600:2d00:2:2000::/56",  # Google Cloud: private.googleapis.com
            "161.26.0.0/16",  # IBM Cloud: services
            "166.8.0.0/14",  # IBM Cloud: endpoints of services
            "2001::/23",  # RFC 2928: protocol assignments, Teredo among these
            "3fff::/20",  # RFC 9637: documentation
        ),
    )
)

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_INTERNAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
"""Ends of names that private networks and clouds use (RFC 6761, RFC 6762, RFC 8375, and ICANN's "internal")."""


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet.

    Private, loopback, link-local (cloud metadata), shared, reserved and multicast addresses are not public (IANA's
    special-purpose address registries). Addresses at which a cloud serves its own machines are not public either. An
    IPv4 address embedded in IPv6 must be public as well.

    Raises:
        ValueError: the text is not an address.
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        embedded = ip.ipv4_mapped or ip.sixtofour or (last if ip in _NAT64 else None)
        if embedded is not None:
            return is_public(str(embedded))
        if ip not in _GLOBAL_UNICAST or (int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP and not is_public(str(last))):
            return False
    special = any(ip in network for network in _NOT_PUBLIC)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or special)


def resolve_host(host: str, port: int) -> list[str]:
    """Look up the numeric addresses of a host by the system's resolver."""
    return _numeric(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def check_literal(host: str) -> None:
    """Refuse a non-public host that is written as an address, in any spelling, or by the name of an internal host.

    Args:
        host: host of an address, with international names in their ASCII form.

    Raises:
        FetchError: the host is not public, or is neither an address nor a full name.
    """
    plain = host.lower().rstrip(".")
    try:
        addresses = _numeric(socket.getaddrinfo(plain, None, flags=socket.AI_NUMERICHOST))
    except (OSError, ValueError):
        internal = any(plain == name or plain.endswith(f".{name}") for name in _INTERNAL_NAMES)
        if internal or not _NAME.fullmatch(plain):
            raise _not_public(host) from None
    else:
        if not all(map(is_public, addresses)):
            raise _not_public(host)


def _numeric(found: Iterable[tuple[Any, ...]]) -> list[str]:
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _not_public(host: str) -> FetchError:
    return FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"{host[:80]} is not a public address")


class Deadline(threading.local):
    """Deadline of a thread's current download, by `time.monotonic`.

    httpcore limits each read, but not the whole: headers could arrive byte by byte, each byte within the time-out. A
    thread downloads one answer at a time, so a deadline per thread limits the whole.
    """

    at = math.inf

    def limit(self, timeout: float | None) -> float | None:
        """Shorten a time-out to end at the deadline.

        Raises:
            httpcore.ReadTimeout: the deadline has passed.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("too slow")
        return timeout if left == math.inf else min(left, timeout if timeout is not None else left)


class GuardedBackend(httpcore.NetworkBackend):
    """Network backend of httpcore that connects to allowed addresses only, within a deadline."""

    def __init__(self, resolve: Resolve, allows: Allows, deadline: Deadline) -> None:
        self._resolve = resolve
        self._allows = allows
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
        """Connect to the first allowed address of a host that answers.

        Raises:
            FetchError: the host does not exist, or has no allowed address.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address answers.
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
        except (ValueError, OverflowError) as error:  # names that cannot be encoded, ports above 65,535
            raise FetchError(RejectionReason.NOT_THERE, f"{host[:80]} is not a valid host name") from error
        allowed = [address for address in addresses if self._allows(address)]
        if addresses and not allowed:
            raise _not_public(host)
        return allowed


class _TimedStream(httpcore.NetworkStream):
    """Connection whose waits end at the deadline of the waiting thread."""

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
