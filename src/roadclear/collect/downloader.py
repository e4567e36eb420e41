"""Downloader: an address -> a decodable photo, or a reason for its rejection."""

import hashlib
import re
from dataclasses import dataclass

import httpx

from roadclear.collect.client import MAX_REDIRECTS, PASSING_STATUSES, ClientPolicy, open_client
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.errors import PhotoError
from roadclear.images.decode import PHOTO_FORMATS
from roadclear.images.isolated import identify_isolated

MIN_SIDE = 64
"""Least shorter side of a photo, in pixels. Smaller pictures are icons or placeholders."""

# At a reduced scale a JPEG is decoded faster, and still read to its end.
_TRIAL_SIZE = 224
# Names of pictures to which sites redirect requests for deleted pictures and from other sites.
_PLACEHOLDER = re.compile(r"(?i)unavailable|removed|placeholder|hotlink|no[-_]?(image|photo)|missing|deleted")


@dataclass(frozen=True)
class Photo:
    """A downloaded photo.

    Attributes:
        data: content of the file.
        sha256: SHA-256 of the content, in hex.
        extension: file extension of the content's format, with the dot.
        width: width of the upright photo, in pixels.
        height: height of the upright photo, in pixels.
    """

    data: bytes
    sha256: str
    extension: str
    width: int
    height: int


def download(url: str, client: httpx.Client) -> Photo:
    """Download a photo, and check it by decoding in another process.

    Args:
        url: address of the picture.
        client: HTTP client from `roadclear.collect.client.open_client`.

    Raises:
        FetchError: the photo cannot be downloaded or used.
    """
    response = _get(url, client)
    if response.status_code in PASSING_STATUSES:
        raise FetchError(RejectionReason.UNREACHABLE, f"status {response.status_code} in every attempt")
    if response.status_code != httpx.codes.OK:
        raise FetchError(RejectionReason.NOT_THERE, f"status {response.status_code}")
    if response.history and _PLACEHOLDER.search(response.url.path.rsplit("/", 1)[-1]):
        raise FetchError(RejectionReason.NOT_A_PHOTO, f"leads to a placeholder, {str(response.url)[:200]}")
    return _examined(response.content)


def fetch(url: str) -> Photo:
    """Download one photo by https alone, with the limits of `download`. A redirect must lead to https, too.

    Args:
        url: address of the picture.

    Raises:
        FetchError: the photo cannot be downloaded or used.
    """
    with open_client(ClientPolicy()) as client:
        client.event_hooks = {"request": [_check_https]}
        return download(url, client)


def _check_https(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"expected https, found {request.url.scheme!r}")


def _get(url: str, client: httpx.Client) -> httpx.Response:
    try:
        return client.get(url)
    except FetchError:
        raise
    except httpx.TooManyRedirects as error:
        raise FetchError(RejectionReason.REDIRECTS, f"more than {MAX_REDIRECTS} redirects") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"not a valid address ({_one_line(error)})") from error
    except httpx.HTTPError as error:
        message = f"no complete answer in any attempt ({_one_line(error)})"
        raise FetchError(RejectionReason.UNREACHABLE, message) from error


def _examined(data: bytes) -> Photo:
    try:
        info = identify_isolated(data, _TRIAL_SIZE)
    except PhotoError as error:
        raise FetchError(RejectionReason.NOT_A_PHOTO, error.reason) from error
    if min(info.width, info.height) < MIN_SIDE:
        size = f"{info.width:,} x {info.height:,} pixels"
        raise FetchError(RejectionReason.TOO_SMALL, f"{size}, expected at least {MIN_SIDE} on the shorter side")
    sha256 = hashlib.sha256(data).hexdigest()
    return Photo(data, sha256, PHOTO_FORMATS[info.format][0], info.width, info.height)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
