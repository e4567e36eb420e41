"""Answers of providers over HTTP: a JSON object, or an error message of one line."""

from collections.abc import Mapping
from typing import Any

import httpx

from roadclear.errors import ProviderError

_MOST_QUOTED = 160


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
        ProviderError: the provider cannot be reached, or the answer has a status other than 200 or is not a JSON
            object.
    """
    response = get(client, provider, url, params, headers)
    check_status(provider, response, refused)
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        kind = response.headers.get("Content-Type", "no type")
        raise ProviderError(
            f"{provider}: expected a JSON object, found {len(response.content)} bytes of {kind} that begin with "
            f"{_quoted(response.text, 40)}: try again later, or use another provider"
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
        ProviderError: no answer came.
    """
    try:
        return client.get(url, params=params, headers=headers)
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ProviderError(
            f"{provider}: expected an answer, found none ({reason}): check the connection, or try again later"
        ) from None


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
    """Read a list of objects under nested keys of an answer.

    Raises:
        ProviderError: there is no list of objects.
    """
    found: Any = answer
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise ProviderError(
            f"{provider}: expected a list of objects under {'.'.join(keys)!r}, found {_quoted(str(found), 40)}: "
            "the interface may have changed, use another provider"
        )
    return found


def text(value: object) -> str:
    """Put a text of an answer on one line; "" for null and for other types."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Read a whole number of an answer, written as a number or a string; None for null and for other values."""
    digits = str(value) if isinstance(value, int | str) else ""
    return int(digits) if digits.isdecimal() else None


def _wait(response: httpx.Response) -> str:
    seconds = response.headers.get("Retry-After", "")
    return f"wait {seconds} seconds" if seconds.isdigit() else "wait some minutes"


def _detail(response: httpx.Response) -> str:
    """Quote the provider's error message in a JSON answer."""
    try:
        answer = response.json()
    except ValueError:
        return ""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return f" ({_quoted(str(detail), _MOST_QUOTED)})" if detail else ""


def _quoted(text: str, most: int) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[:most] + "…")
