"""An address becomes a photo that can be decoded, or a reason why not."""

import hashlib
import re
from dataclasses import dataclass

import httpx

from roadclear.collect.client import MAX_REDIRECTS, PASSING_STATUSES
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.errors import PhotoError
from roadclear.images.decode import PHOTO_FORMATS, decode, identify

MIN_SIDE = 64
"""The shorter side of a photo has at least so many pixels; what is smaller is an icon or a placeholder."""

# JPEGs are decoded at a reduced scale, and still read to their end.
_TRIAL_SIZE = 224
# Where sites send whoever asks for a picture that is gone or that they show on their own pages only.
_PLACEHOLDER = re.compile(r"(?i)unavailable|removed|placeholder|hotlink|no[-_]?(image|photo)|missing|deleted")


@dataclass(frozen=True)
class Photo:
    """A photo that was fetched.

    Attributes:
        data: its bytes.
        sha256: of the bytes, in hex.
        extension: that its content calls for, with the dot.
        width: of the upright photo, in pixels.
        height: of the upright photo, in pixels.
    """

    data: bytes
    sha256: str
    extension: str
    width: int
    height: int


def download(url: str, client: httpx.Client) -> Photo:
    """Fetch a photo, and decode it to see that it is one.

    Args:
        url: of the picture.
        client: from `roadclear.collect.client.open_client`.

    Raises:
        FetchError: there is no such photo, or it cannot be used.
    """
    response = _get(url, client)
    if response.status_code in PASSING_STATUSES:
        raise FetchError(RejectionReason.UNREACHABLE, f"status {response.status_code}, also when asked again")
    if response.status_code != httpx.codes.OK:
        raise FetchError(RejectionReason.NOT_THERE, f"status {response.status_code}")
    if response.history and _PLACEHOLDER.search(response.url.path.rsplit("/", 1)[-1]):
        raise FetchError(RejectionReason.NOT_A_PHOTO, f"leads to a placeholder, {str(response.url)[:200]}")
    return _examined(response.content)


def _get(url: str, client: httpx.Client) -> httpx.Response:
    try:
        return client.get(url)
    except FetchError:
        raise
    except httpx.TooManyRedirects as error:
        raise FetchError(RejectionReason.REDIRECTS, f"more than {MAX_REDIRECTS} redirects") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise FetchError(RejectionReason.FORBIDDEN_ADDRESS, f"no possible address ({_one_line(error)})") from error
    except httpx.HTTPError as error:
        message = f"no whole answer, also when asked again ({_one_line(error)})"
        raise FetchError(RejectionReason.UNREACHABLE, message) from error


def _examined(data: bytes) -> Photo:
    try:
        info = identify(data)
        decode(data, _TRIAL_SIZE)
    except PhotoError as error:
        raise FetchError(RejectionReason.NOT_A_PHOTO, error.reason) from error
    if min(info.width, info.height) < MIN_SIDE:
        size = f"{info.width:,} x {info.height:,} pixels"
        raise FetchError(RejectionReason.TOO_SMALL, f"{size}, expected at least {MIN_SIDE} on the shorter side")
    sha256 = hashlib.sha256(data).hexdigest()
    return Photo(data, sha256, PHOTO_FORMATS[info.format][0], info.width, info.height)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
