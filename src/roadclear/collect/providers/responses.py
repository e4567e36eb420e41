"""Answers of providers over HTTP: a JSON object, or an error message of one line.

Every value of an answer is hostile input. Values are bounded here, and a value that is out of bounds is left out.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from roadclear.collect.rate_limit import retry_after
from roadclear.errors import ProviderError

LARGEST_ANSWER = 8_000_000
"""Most bytes of an answer that lists photos. Documented pages of results have less than 1 MB."""

MOST_RECORDS = 500
"""Most objects of a list that are read. No provider documents more results per page."""

LARGEST_NUMBER = 999_999_999
LONGEST_TEXT = 10_000
LONGEST_LINK = 2_000

_LONGEST_DIGITS = 18
_MOST_QUOTED = 160
_LONGEST_WAIT = 86_400


def get_json(
    client: httpx.Client,
    provider: str,
    url: str,
    params: Mapping[str, str | int],
    headers: Mapping[str, str] | None = None,
    refused: str = "use another provider",
) -> dict[str, Any]:
    """Request a JSON object from a provider.

    Args:
        client: HTTP client with rate limit and retries.
        provider: name of the provider, for messages.
        url: address of the request.
        params: query parameters of the request.
        headers: headers in addition to the client's headers.
        refused: advice for the user when access is refused (401, 403).

    Raises:
        ProviderError: the provider cannot be reached, or the answer has a status other than 200, is too large or is
            not a JSON object.
    """
    response = get(client, provider, url, params, headers)
    check_status(provider, response, refused)
    answer = _parsed(response.content)
    if not isinstance(answer, dict):
        kind = response.headers.get("Content-Type", "no type")[:80]
        raise ProviderError(
            f"{provider}: expected a JSON object, found {len(response.content)} bytes of {kind} that begin with "
            f"{_beginning(response.content)}: try again later, or use another provider"
        )
    return answer


def get(
    client: httpx.Client,
    provider: str,
    url: str,
    params: Mapping[str, str | int] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Request an answer of any status.

    Args:
        client: HTTP client with rate limit and retries.
        provider: name of the provider, for messages.
        url: address of the request.
        params: query parameters of the request.
        headers: headers in addition to the client's headers.

    Raises:
        ProviderError: no answer came, or the answer is too large.
    """
    try:
        response = client.get(url, params=params, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        reason = excerpt(str(error) or type(error).__name__)
        raise ProviderError(
            f"{provider}: expected an answer, found none ({reason}): check the connection, or try again later"
        ) from None
    if len(response.content) > LARGEST_ANSWER:
        raise ProviderError(
            f"{provider}: expected at most {LARGEST_ANSWER / 1e6:g} MB, found {len(response.content) / 1e6:.1f} MB: "
            "use another provider"
        )
    return response


def check_status(provider: str, response: httpx.Response, refused: str) -> None:
    """Refuse every status except 200.

    Raises:
        ProviderError: the status is not 200. The message says what to do.
    """
    status = response.status_code
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        advice = f"{_wait(response)}, or use another provider"
        raise ProviderError(f"{provider}: expected results, found its rate limit (429): {advice}")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        advice = refused
    elif response.is_server_error:
        advice = "try again later, or use another provider"
    else:
        advice = "change the query, or use another provider"
    raise ProviderError(f"{provider}: expected results, found status {status}{_detail(response)}: {advice}")


def records(provider: str, answer: Mapping[str, Any], *keys: str) -> list[dict[str, Any]]:
    """Read a list of objects under nested keys of an answer: the first MOST_RECORDS.

    Raises:
        ProviderError: there is no list of objects.
    """
    found: Any = answer
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise ProviderError(
            f"{provider}: expected a list of objects under {'.'.join(keys)!r}, found {_described(found)}: "
            "the interface may have changed, use another provider"
        )
    return found[:MOST_RECORDS]


def text(value: object, most: int = LONGEST_TEXT) -> str:
    """Put a text of an answer on one line, at most `most` characters; "" for null and for other types."""
    return " ".join(value[: 4 * most].split())[:most] if isinstance(value, str) else ""


def link(value: object) -> str:
    """Read the address of a page; "" for null, for other types and for what is no http(s) address."""
    address = text(value)
    is_http = address.lower().startswith(("http://", "https://"))
    return address if is_http and address.isprintable() and len(address) <= LONGEST_LINK else ""


def number(value: object) -> int | None:
    """Read a whole number of an answer, written as a number or a string.

    Returns:
        The number, from 0 to LARGEST_NUMBER; None for null and for other values.
    """
    if isinstance(value, int):
        return value if 0 <= value <= LARGEST_NUMBER and not isinstance(value, bool) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(LARGEST_NUMBER)):
        return int(value)
    return None


def identifier(value: object, most: int = 100) -> str:
    """Read the name or number of a thing in an answer, at most `most` characters; "" for null and for other types."""
    return str(value) if isinstance(value, int) and abs(value) < 10**_LONGEST_DIGITS else text(value, most)


def quoted(value: object, most: int = _MOST_QUOTED) -> str:
    """Quote the beginning of a text of an answer for a message; "''" for other types."""
    line = text(value, most + 1)
    return repr(line if len(line) <= most else line[:most] + "…")


def excerpt(value: object) -> str:
    """Return the beginning of a text of an answer for a message, without quotation marks; "" for other types."""
    return quoted(value)[1:-1]


def _parsed(content: bytes) -> object:
    """Parse JSON; None for what is no JSON. Numbers of more digits than any measure become None."""
    try:
        return json.loads(content, parse_int=_whole, parse_constant=lambda name: None)
    except (RecursionError, ValueError):
        return None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_DIGITS else None


def _wait(response: httpx.Response) -> str:
    seconds = retry_after(response, datetime.now(UTC))
    if seconds is None:
        return "wait some minutes"
    return f"wait {seconds:.0f} seconds" if seconds <= _LONGEST_WAIT else "wait more than a day"


def _detail(response: httpx.Response) -> str:
    """Quote the provider's error message in a JSON answer."""
    answer = _parsed(response.content)
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return f" ({_described(detail)})" if detail else ""


def _beginning(content: bytes) -> str:
    """Quote the beginning of an answer, whatever encoding the answer announces."""
    return quoted(content[:400].decode("utf-8", "replace"), 40)


def _described(value: object) -> str:
    """Describe a value of an answer. Nested values are counted, not shown: these may be nested without end."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping | list):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return str(value)
