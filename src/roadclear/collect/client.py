"""The client that everything is fetched with: safe, polite and patient, whoever asks.

It connects to public addresses only, verifies certificates, and follows at most 5 redirects, each of which passes
the same checks. A host is asked at most so many times a second, and left alone for as long as it says
(`Retry-After`). What may pass (429, 5xx, time-outs, broken connections) is tried again with growing pauses. An answer
is whole, or it is an error: what is cut short, too large, too slow or blown up by compression is never handed over.

Behind a proxy, names are resolved by the proxy; then only addresses that are given as numbers can be checked here.
"""

import math
import ssl
import time
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version

import httpcore
import httpx
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from roadclear.collect.rate_limit import Clock, Pace, retry_after
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.ssrf_guard import (
    Allows,
    Deadline,
    GuardedBackend,
    Resolve,
    check_literal,
    is_public,
    resolve_host,
)
from roadclear.errors import OptionError

MAX_REDIRECTS = 5
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others when asked again."""

_PASSING_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
_TIMEOUT = httpx.Timeout(20.0, connect=10.0, pool=None)
_CONNECTIONS = 16
_CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class ClientPolicy:
    """How the client behaves towards others.

    Attributes:
        contact: how the person who collects can be reached (an address or a page), told to every host.
        max_rate: requests a second to one host, at most.
        proxy: address of an http(s) proxy, or None.
        allow_private: whether hosts that are not on the public internet may be asked.

    Raises:
        OptionError: a value cannot work.
    """

    contact: str = ""
    max_rate: float = 2.0
    proxy: str | None = None
    allow_private: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.max_rate < float("inf"):
            raise OptionError(f"max-rate must be above 0 requests a second, got {self.max_rate}")
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise OptionError(f"contact must be plain ASCII, such as you@example.org, got {self.contact!r}")
        if self.proxy is not None and not self.proxy.startswith(("http://", "https://")):
            raise OptionError(f"proxy must start with http:// or https://, got {self.proxy!r}")


@dataclass(frozen=True)
class Limits:
    """What one answer may cost.

    Attributes:
        bytes: of its body, before and after decompression.
        seconds: from the request to the last byte.
        attempts: before an error that may pass is believed.
        wait_seconds: the longest pause, all attempts together, that is worth waiting.
    """

    bytes: int = 20_000_000
    seconds: float = 60.0
    attempts: int = 4
    wait_seconds: float = 120.0


def open_client(
    policy: ClientPolicy,
    limits: Limits | None = None,
    resolve: Resolve = resolve_host,
    allows: Allows = is_public,
    clock: Clock | None = None,
) -> httpx.Client:
    """A client for many threads, to be closed in the end.

    Its requests raise `FetchError` where trying again is useless, and the errors of httpx else.

    Args:
        policy: how hosts are asked, and which hosts may be asked.
        limits: of every answer.
        resolve: says which addresses a host has.
        allows: says which of them may be connected to, where the policy does not allow all.
        clock: that waits are measured with.
    """
    agent = f"roadclear/{version('roadclear')}"
    return httpx.Client(
        transport=_PoliteTransport(policy, limits or Limits(), resolve, allows, clock or Clock()),
        headers={
            "User-Agent": f"{agent} ({policy.contact})" if policy.contact else agent,
            "Accept-Encoding": "identity",
        },
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=_TIMEOUT,
        trust_env=False,
    )


class _Connections(httpx.HTTPTransport):
    """httpx's transport over connections of our backend, for which httpx itself has no parameter."""

    def __init__(self, backend: GuardedBackend, proxy: str | None) -> None:
        if proxy is None:
            self._pool = httpcore.ConnectionPool(
                ssl_context=httpx.create_ssl_context(),
                max_connections=_CONNECTIONS,
                http2=True,
                network_backend=backend,
            )
        else:
            way = httpx.Proxy(proxy)
            self._pool = httpcore.HTTPProxy(
                proxy_url=str(way.url),
                proxy_auth=way.raw_auth,
                ssl_context=httpx.create_ssl_context(),
                max_connections=_CONNECTIONS,
                http2=True,
                network_backend=backend,
            )


class _PoliteTransport(httpx.BaseTransport):
    """Whole answers, asked for at a measured pace and as often as it makes sense."""

    def __init__(self, policy: ClientPolicy, limits: Limits, resolve: Resolve, allows: Allows, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._pace = Pace(policy.max_rate, limits.wait_seconds, clock)
        self._deadline = Deadline()
        self._check_literals = policy.proxy is not None and not policy.allow_private
        checked_here = policy.proxy is None and not policy.allow_private  # the proxy itself may be private
        backend = GuardedBackend(resolve, allows if checked_here else lambda address: True, self._deadline)
        self._connections = _Connections(backend, policy.proxy)
        self._backoff = wait_exponential_jitter(initial=1, max=30, jitter=1)
        self._retrying = Retrying(
            retry=retry_if_exception_type(_PASSING_ERRORS)
            | retry_if_result(lambda response: response.status_code in PASSING_STATUSES),
            stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.wait_seconds),
            wait=self._pause,
            sleep=clock.sleep,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):
            raise FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"expected http or https, found {request.url.scheme!r}")
        if self._check_literals:
            check_literal(request.url.host)
        try:
            return self._retrying(self._ask, request)
        except RetryError as error:
            last = error.last_attempt
        response: httpx.Response = last.result()
        return response

    def close(self) -> None:
        self._connections.close()

    def _ask(self, request: httpx.Request) -> httpx.Response:
        """Ask once.

        Raises:
            FetchError: the answer is useless, and would be the next time.
            httpx.HTTPError: there is no whole answer.
        """
        self._pace.wait(request.url.host)
        self._deadline.at = time.monotonic() + self._limits.seconds
        try:
            response = self._connections.handle_request(request)
            with closing(response):
                answer = self._whole(response)
        except httpx.TimeoutException as error:
            if time.monotonic() < self._deadline.at:
                raise
            raise FetchError(RejectionReason.TOO_SLOW, f"not there after {self._limits.seconds:g} seconds") from error
        except httpx.ConnectError as error:
            if (why := _certificate_fault(error)) is None:
                raise
            raise FetchError(RejectionReason.UNTRUSTED, f"the certificate is not valid: {why}") from error
        finally:
            self._deadline.at = math.inf
        pause = retry_after(answer, self._clock.now())
        if pause is not None and answer.status_code in PASSING_STATUSES:
            self._pace.leave_alone(request.url.host, pause)
        return answer

    def _whole(self, response: httpx.Response) -> httpx.Response:
        """The answer with its body, decompressed, in memory."""
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._limits.bytes:
            raise self._too_large()
        body = self._bounded(response.iter_raw())
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            body = self._inflated(body)
        elif encoding not in ("", "identity"):
            raise FetchError(RejectionReason.NOT_A_PHOTO, f"compressed by {encoding[:20]!r}, which was not asked for")
        headers = httpx.Headers(response.headers)
        for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding"):
            headers.pop(name, None)
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)

    def _bounded(self, chunks: Iterable[bytes]) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > self._limits.bytes:
                raise self._too_large()
        return bytes(body)

    def _inflated(self, body: bytes) -> bytes:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, as the header says
        try:
            plain = unpacker.decompress(body, self._limits.bytes + 1)
        except zlib.error as error:
            raise httpx.RemoteProtocolError("broken compression") from error
        if len(plain) > self._limits.bytes:
            raise self._too_large()
        if not unpacker.eof:
            raise httpx.RemoteProtocolError("compressed data cut short")
        return plain

    def _too_large(self) -> FetchError:
        return FetchError(RejectionReason.TOO_LARGE, f"more than {self._limits.bytes / 1e6:g} MB")

    def _pause(self, state: RetryCallState) -> float:
        told = None
        if state.outcome is not None and not state.outcome.failed:
            told = retry_after(state.outcome.result(), self._clock.now())
        return max(told or 0.0, self._backoff(state))


def _certificate_fault(error: BaseException) -> str | None:
    """What is wrong with the certificate, where that is why an error arose."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None
