"""Brings a weights file from its official address into the user's cache folder."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import platformdirs

from roadclear.errors import WeightsError
from roadclear.utils.files import write_file

if TYPE_CHECKING:
    import httpx

_TIMEOUT_SECONDS = 60


def cached_path(url: str) -> Path:
    """Return where the file of an address lies once it is downloaded."""
    return platformdirs.user_cache_path("roadclear") / "weights" / urlsplit(url).path.rsplit("/", 1)[-1]


def download(url: str, target: Path, most_bytes: int, check: Callable[[bytes], object]) -> None:
    """Download `url` to `target`, all of it or nothing.

    Certificates are checked against the system's authorities (or the file that ``SSL_CERT_FILE`` names), and a proxy
    named in ``https_proxy`` is used.

    Args:
        url: an https address. A redirection must lead to another one.
        target: the file to write; its folder is made.
        most_bytes: how long the file may be.
        check: called with the content before anything is written; raises where it is not the right one.

    Raises:
        WeightsError: the address is not https, does not answer, or sends too much or too little.
        OutputError: the file cannot be written.
    """
    content = _content(url, most_bytes)
    check(content)
    write_file(target, content, advice="make room there")


def _content(url: str, most_bytes: int) -> bytes:
    import httpx

    content = bytearray()
    try:
        with (
            httpx.Client(
                verify=ssl.create_default_context(),
                headers={"Accept-Encoding": "identity"},
                follow_redirects=True,
                timeout=_TIMEOUT_SECONDS,
                event_hooks={"request": [_require_https]},  # called for every redirection, too
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise WeightsError(_failed(url, f"status {response.status_code}"))
            # A body that ends too early is an error of httpx.
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > most_bytes:
                    raise WeightsError(
                        f"expected at most {most_bytes} bytes from {url}, found more: not the right file"
                    )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WeightsError(_failed(url, str(error) or type(error).__name__)) from error
    return bytes(content)


def _failed(url: str, found: str) -> str:
    return f"cannot download {url} ({found}): fetch it yourself and give the file"


def _require_https(request: "httpx.Request") -> None:
    if request.url.scheme != "https":
        raise WeightsError(f"expected an https address, found {request.url}: fetch the file yourself and give it")
