"""Brings a weights file from its official address into the user's cache folder."""

import http.client
import ssl
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import platformdirs

from roadclear.errors import OutputError, WeightsError

_TIMEOUT_SECONDS = 60


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to another https address."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def cached_path(url: str) -> Path:
    """Where the file of this address lies once it is downloaded."""
    return platformdirs.user_cache_path("roadclear") / "weights" / urlsplit(url).path.rsplit("/", 1)[-1]


def download(url: str, target: Path, most_bytes: int, check: Callable[[bytes], object]) -> None:
    """Download `url` to `target`, all of it or nothing.

    Certificates are checked against the system's authorities (or those of ``SSL_CERT_FILE``), and a proxy
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
    _require_https(url)
    content = _content(url, most_bytes)
    check(content)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)
    except OSError as error:
        raise OutputError(f"cannot write {target} ({error.strerror}): make room there") from error


def _content(url: str, most_bytes: int) -> bytes:
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(https, _HttpsOnly)
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as response:
            content: bytes = response.read(most_bytes + 1)
            length = response.headers.get("Content-Length")
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"cannot download {url} ({error}): fetch it yourself and give the file") from error
    if len(content) > most_bytes:
        raise WeightsError(f"expected at most {most_bytes} bytes from {url}, found more: not the right file")
    if length is not None and length != str(len(content)):
        raise WeightsError(f"expected {length} bytes from {url}, found {len(content)}: try again")
    return content


def _write(target: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
        try:
            part.write(content)
            part.close()
            Path(part.name).replace(target)
        except OSError:
            Path(part.name).unlink(missing_ok=True)
            raise


def _require_https(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise WeightsError(f"expected an https address, found {url}: fetch the file yourself and give it")
