"""What is watched: a video file, a folder of frames, a camera of this machine, or an address.

Passwords stay in `Source.place`, which only PyAV is given. Everything that is printed or stored has `Source.name`.
"""

import re
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from roadclear.errors import DatasetError, OptionError
from roadclear.utils.text import printable

_SCHEMES = ("rtsp", "rtsps", "http", "https")
_HIDDEN = "***"


class SourceKind(StrEnum):
    """Kinds of sources."""

    FILE = "video file"
    FOLDER = "folder of frames"
    CAMERA = "camera"
    ADDRESS = "address"
    REMOTE_FILE = "video file at an address"


@dataclass(frozen=True)
class Source:
    """What is watched.

    Attributes:
        kind: kind of the source.
        name: how the source is named in messages and files, without passwords.
        place: path, device or address that is opened. May hold a password.
    """

    kind: SourceKind
    name: str
    place: str = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether frames come by themselves, at their own pace."""
        return self.kind in (SourceKind.CAMERA, SourceKind.ADDRESS)


def find_source(word: str) -> Source:
    """Say what a word of the command line names.

    Args:
        word: path, camera number from 0, or address that starts with rtsp://, rtsps://, http:// or https://.

    Raises:
        OptionError: the address is of another kind, or has no host.
        DatasetError: nothing is at the path.
    """
    scheme, separator, _ = word.partition("://")
    if separator:
        return _address(scheme.lower(), word)
    path = Path(word)
    if path.is_dir():
        return Source(SourceKind.FOLDER, word, word)
    if path.exists():
        return Source(SourceKind.FILE, word, word)
    if word.isdecimal() and word.isascii():
        return Source(SourceKind.CAMERA, f"camera {int(word)}", _device(int(word)))
    raise DatasetError(
        f"expected a video, a folder of frames, a camera number or an address, found nothing at {printable(word)!r}: "
        "check the name"
    )


def without_password(address: str) -> str:
    """Return an address without user, password, query, and what follows a "=" in its path: all may be secret.

    Example:
        >>> without_password("rtsp://me:secret@camera.example:554/one?key=secret")
        'rtsp://***@camera.example:554/one***'
    """
    scheme, _, rest = address.partition("://")
    # Some cameras take a password with "/" or "?" in front of the last "@", or as NAME=VALUE in the path.
    _, at, rest = rest.rpartition("@")
    open_part = re.split(r"[?#]|(?<=/)[^/?#]*=", rest, maxsplit=1)[0]
    hidden = _HIDDEN if len(open_part) < len(rest) else ""
    return f"{scheme}://{f'{_HIDDEN}@' if at else ''}{open_part}{hidden}"


def _address(scheme: str, word: str) -> Source:
    if scheme not in _SCHEMES:
        raise OptionError(f"expected an address with {', '.join(_SCHEMES)}, got one with {printable(scheme)}")
    try:
        parts = urlsplit(word)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise OptionError(
            f"expected {scheme}://HOST/PATH, got an address without a host or with an impossible port: write / in a "
            "password as %2F"
        )
    return Source(SourceKind.ADDRESS, without_password(word), word)


def _device(number: int) -> str:
    """Return what PyAV calls a camera of this machine; `roadclear.deploy.watch.video` knows the format."""
    if sys.platform.startswith("linux"):
        return f"/dev/video{number}"
    if sys.platform == "darwin":
        return str(number)
    raise OptionError("camera numbers are known on Linux and macOS only: give the address of the camera")
