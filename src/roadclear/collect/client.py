"""HTTP client of all downloads: safe, rate-limited and with retries.

The client connects to public addresses only, verifies certificates, and follows at most 5 redirects. Every redirect
passes the same checks. Requests per host are limited to a rate, and stop for as long as a host asks (`Retry-After`),
also together with other processes of this machine.

Temporary errors (429, 5xx, time-outs, broken connections) are retried with growing pauses. An answer is complete, or an
error: truncated, too large, too slow and over-compressed answers are refused. A host that only fails is given up.

Of an answer's headers only those that are read remain. So no cookie is kept, and an answer cannot choose its decoding.

Behind a proxy the proxy resolves names, so only numeric addresses can be checked here.
"""

import math
import ssl
import time
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpcore
import httpx
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential_jitter,
)

from roadclear.collect.rate_limit import Clock, RateLimit, retry_after
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
from roadclear.collect.turns import SharedTurns
from roadclear.errors import OptionError

MAX_REDIRECTS = 5
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes of temporary errors."""

_PASSING_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
_TIMEOUT = httpx.Timeout(20.0, connect=10.0, pool=None)
_CONNECTIONS = 16
_UNTIL = "until"  # of a request's extensions, which redirects inherit: time of the last attempt
_KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")
_LONGEST_HEADER = 8_192
_SLOW_SECONDS = 10.0
_SLOW_RATE = 20_000.0  # bytes per second


@dataclass(frozen=True)
class ClientPolicy:
    """Conduct of the client towards hosts.

    Attributes:
        contact: e-mail address or web page of the person who collects. Every request states the contact.
        max_rate: maximum number of requests per second to one host.
        proxy: address of an http(s) proxy, or None.
        allow_private: whether the client may connect to hosts outside the public internet.
        turns: file through which all processes with the same file keep the rate together; None for this client alone.

    Raises:
        OptionError: a value is out of its range.
    """

    contact: str = ""
    max_rate: float = 2.0
    proxy: str | None = None
    allow_private: bool = False
    turns: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_rate < float("inf"):
            raise OptionError(f"max-rate must be above 0 requests a second, got {self.max_rate}")
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise OptionError(f"contact must be plain ASCII, such as you@example.org, got {self.contact!r}")
        if self.proxy is not None and not self.proxy.startswith(("http://", "https://")):
            raise OptionError(f"proxy must start with http:// or https://, got {self.proxy!r}")


@dataclass(frozen=True)
class Limits:
    """Limits of one answer.

    Attributes:
        bytes: maximum size of the body, before and after decompression.
        seconds: maximum time from the request to the last byte.
        attempts: maximum number of attempts in case of temporary errors.
        wait_seconds: maximum time from the first request to the last attempt or redirect.
        silence_seconds: maximum time in which a host may fail without a good answer between.
    """

    bytes: int = 20_000_000
    seconds: float = 60.0
    attempts: int = 4
    wait_seconds: float = 120.0
    silence_seconds: float = 180.0


def open_client(
    policy: ClientPolicy,
    limits: Limits | None = None,
    resolve: Resolve = resolve_host,
    allows: Allows = is_public,
    clock: Clock | None = None,
) -> httpx.Client:
    """Open a client for many threads. The caller closes the client.

    Requests raise `FetchError` for permanent errors, and errors of httpx for temporary errors.

    Args:
        policy: conduct towards hosts.
        limits: limits of every answer; None for the default limits.
        resolve: function that looks up the addresses of a host.
        allows: function that says whether an address may be connected to, unless the policy allows all.
        clock: clock of the waiting times; None for the system clock.

    Raises:
        OutputError: the file of the turns cannot be used.
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
    """httpx's transport over connections of our backend, for which httpx has no parameter."""

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
    """Transport that returns complete answers, with rate limit and retries."""

    def __init__(self, policy: ClientPolicy, limits: Limits, resolve: Resolve, allows: Allows, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        turns = None if policy.turns is None else SharedTurns(policy.turns, clock.monotonic())
        self._rate_limit = RateLimit(policy.max_rate, limits.wait_seconds, clock, limits.silence_seconds, turns)
        self._deadline = Deadline()
        self._check_literals = policy.proxy is not None and not policy.allow_private
        checked_here = policy.proxy is None and not policy.allow_private  # the proxy itself may be private
        backend = GuardedBackend(resolve, allows if checked_here else lambda address: True, self._deadline)
        self._connections = _Connections(backend, policy.proxy)
        self._backoff = wait_exponential_jitter(initial=1, max=30, jitter=1)
        self._attempts = stop_after_attempt(limits.attempts)
        self._retrying = Retrying(
            retry=retry_if_exception_type(_PASSING_ERRORS)
            | retry_if_result(lambda response: response.status_code in PASSING_STATUSES),
            stop=self._is_last,
            wait=self._pause,
            sleep=clock.sleep,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):
            raise FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"expected http or https, found {request.url.scheme!r}")
        if self._check_literals:
            check_literal(request.url.raw_host.decode("ascii"))
        now = self._clock.monotonic()
        if now > request.extensions.setdefault(_UNTIL, now + self._limits.wait_seconds):
            message = f"redirects took longer than {self._limits.wait_seconds:g} seconds"
            raise FetchError(RejectionReason.TOO_SLOW, message)
        try:
            return self._retrying(self._request_once, request)
        except RetryError as error:
            last = error.last_attempt
        response: httpx.Response = last.result()
        return response

    def close(self) -> None:
        self._connections.close()
        self._rate_limit.close()

    def _request_once(self, request: httpx.Request) -> httpx.Response:
        """Send a request once, and note how the host did.

        Raises:
            FetchError: the error is permanent.
            httpx.HTTPError: there is no complete answer.
        """
        host = request.url.netloc.decode("ascii")
        self._rate_limit.wait(host)
        started = self._clock.monotonic()
        answer = None
        try:
            answer = self._answer(request)
        finally:
            seconds = self._clock.monotonic() - started
            if answer is None or answer.status_code in PASSING_STATUSES or _is_slow(answer, seconds):
                self._rate_limit.failed(host, started)
            else:
                self._rate_limit.answered(host)
        pause = retry_after(answer, self._clock.now())
        if pause is not None and answer.status_code in PASSING_STATUSES:
            self._rate_limit.pause(host, pause)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the answer within the deadline."""
        self._deadline.at = time.monotonic() + self._limits.seconds
        try:
            response = self._connections.handle_request(request)
            with closing(response):
                return self._complete(response)
        except httpx.TimeoutException as error:
            if time.monotonic() < self._deadline.at:
                raise
            raise FetchError(RejectionReason.TOO_SLOW, f"not there after {self._limits.seconds:g} seconds") from error
        except httpx.ConnectError as error:
            if (fault := _certificate_fault(error)) is None:
                raise
            raise FetchError(RejectionReason.UNTRUSTED, f"the certificate is not valid: {fault}") from error
        except (httpx.HTTPError, FetchError):
            raise
        except Exception as error:  # whatever the libraries below make of an odd answer
            message = f"an answer that cannot be read ({type(error).__name__})"
            raise FetchError(RejectionReason.UNREACHABLE, message) from error
        finally:
            self._deadline.at = math.inf

    def _complete(self, response: httpx.Response) -> httpx.Response:
        """Read and decompress the whole body into memory."""
        announced = response.headers.get("Content-Length", "").lstrip("0")
        most = str(self._limits.bytes)
        if announced.isdecimal() and (len(announced), announced) > (len(most), most):
            raise self._too_large()
        body = self._bounded(response.iter_raw())
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            body = self._inflated(body)
        elif encoding not in ("", "identity"):
            raise FetchError(RejectionReason.NOT_A_PHOTO, f"compressed by {encoding[:20]!r}, which was not asked for")
        found = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        headers = {name: value for name, value in found.items() if len(value) <= _LONGEST_HEADER}
        if "Location" in found and "Location" not in headers:
            raise FetchError(
                RejectionReason.FORBIDDEN_ADDRESS, f"leads to an address of {len(found['Location'])} bytes"
            )
        complete = httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)
        complete.encoding = "utf-8"  # the announced encoding may be none of text, such as rot13
        return complete

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
        requested = None
        if state.outcome is not None and not state.outcome.failed:
            requested = retry_after(state.outcome.result(), self._clock.now())
        return max(requested or 0.0, self._backoff(state))

    def _is_last(self, state: RetryCallState) -> bool:
        """Whether an attempt is the last: by number, or because the next attempt would come too late."""
        (request,) = state.args
        late = self._clock.monotonic() + state.upcoming_sleep > request.extensions[_UNTIL]
        return self._attempts(state) or bool(late)


def _is_slow(answer: httpx.Response, seconds: float) -> bool:
    """Whether an answer came so slowly that its host holds the others up."""
    return seconds > _SLOW_SECONDS + len(answer.content) / _SLOW_RATE


def _certificate_fault(error: BaseException) -> str | None:
    """Describe the fault of a certificate; None for an error with another cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None
