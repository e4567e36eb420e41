"""Files here and in object stores, by one name: a path, or an address that begins with s3://, gs://, http:// or https://.

S3 and Google Cloud Storage are reached by the file systems of pyarrow (extra `parquet`), web servers by httpx. A store
may refuse a request now and then, so every request is repeated before the file counts as unavailable.
"""

import contextlib
import hashlib
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from roadclear.errors import DatasetError, OptionError, OutputError
from roadclear.utils.files import CHOOSE_ANOTHER, as_output_error, write_file
from roadclear.utils.temporary import temporary_folder
from roadclear.utils.text import printable

Place = str | os.PathLike[str]
"""A path, or an address of an object store or a web server."""

Result = TypeVar("Result")

_ADDRESS = re.compile(r"(?P<scheme>s3|gs|https?):/{1,2}(?=[^/])", re.IGNORECASE)
_WEB = ("http", "https")
_CHUNK_BYTES = 2**23
_ATTEMPTS = 6
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0
_TIMEOUT_S = 60.0
_ATTEMPTS_BELOW = 2  # of the file system itself, of which each repetition waits up to a second
_SET_TMPDIR = "set TMPDIR to a folder that has space"


class UnavailableError(DatasetError):
    """A file cannot be read, also after several attempts.

    Attributes:
        reason: what was answered, without the name of the file.
    """

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"cannot read {printable(repr(name_of(place)))}: {reason}; check the name and the permissions")
        self.reason = reason


def address_of(place: Place) -> str | None:
    """Return the address of a remote file or folder; None for a local path.

    `Path` takes one slash of an address away. The slash is put back here.

    Example:
        >>> address_of(Path("s3://bucket/roads"))
        's3://bucket/roads'
        >>> address_of("photos/roads") is None
        True
    """
    text = os.fspath(place)
    found = _ADDRESS.match(text)
    return f"{found['scheme'].lower()}://{text[found.end() :]}" if found else None


def name_of(place: Place) -> str:
    """Name a place as the user wrote it: an address with both slashes, or the path."""
    return address_of(place) or os.fspath(place)


def join(place: Place, *parts: str) -> str:
    """Append relative names to a place."""
    return "/".join((name_of(place).rstrip("/") or "/", *parts))


def is_folder(place: Place) -> bool:
    """Whether a place is a folder. Web servers have files only.

    Raises:
        UnavailableError: the store does not answer.
        OptionError: pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        return os.path.isdir(place)  # noqa: PTH112, any name may be given
    if _is_web(address):
        return False
    system, path = _store(address)
    fs = _arrow_fs()
    return bool(_patiently(address, lambda: system.get_file_info(path).type == fs.FileType.Directory))


def list_files(place: Place) -> list[str]:
    """List all files under a folder: relative paths with forward slashes, in order. A missing folder has none.

    Raises:
        UnavailableError: the folder cannot be listed.
        OptionError: the folder is on a web server, which lists no files, or pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        root = Path(place)
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    if _is_web(address):
        raise OptionError(f"expected the address of a file, found a folder at {address!r}: a web server lists no files")
    system, path = _store(address)
    fs = _arrow_fs()
    selector = fs.FileSelector(path, allow_not_found=True, recursive=True)
    infos = _patiently(address, lambda: system.get_file_info(selector))
    start = len(path.rstrip("/")) + 1
    return sorted(info.path[start:] for info in infos if info.type == fs.FileType.File)


def is_file(place: Place) -> bool:
    """Whether there is a file.

    Raises:
        UnavailableError: the store does not answer.
        OptionError: pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        return os.path.isfile(place)  # noqa: PTH113, any name may be given
    if _is_web(address):
        return False
    system, path = _store(address)
    fs = _arrow_fs()
    return bool(_patiently(address, lambda: system.get_file_info(path).type == fs.FileType.File))


def with_file(place: Place, use: Callable[[Any], Result]) -> Result:
    """Call a function with what pyarrow can read parts of a file from, and return the function's result.

    Args:
        place: file here, or in an object store.
        use: function of a path or of an open file. The function is called again where the store refuses a request.

    Raises:
        UnavailableError: the file cannot be read.
        OptionError: pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        try:
            return use(os.fspath(place))
        except OSError as error:
            raise UnavailableError(place, " ".join(str(error).split())[:200]) from error
    system, path = _store(address)

    def attempt() -> Result:
        with system.open_input_file(path) as file:
            return use(file)

    return _patiently(address, attempt)


def read(place: Place) -> bytes:
    """Read a file whole.

    Raises:
        UnavailableError: the file cannot be read.
        OptionError: pyarrow is not installed.
    """
    parts: list[bytes] = []

    def restart() -> Callable[[bytes], object]:
        parts.clear()
        return parts.append

    _fetch(place, restart)
    return b"".join(parts)


def arrow_store(place: Place) -> tuple[Any, str]:
    """Return pyarrow's file system of a folder, and the folder's absolute path inside.

    Raises:
        OptionError: the folder is on a web server, or pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        return _arrow_fs().LocalFileSystem(), str(Path(place).absolute())
    if _is_web(address):
        raise OptionError(f"expected a folder, s3:// or gs:// to write to, found {address!r}")
    return _store(address)


@contextlib.contextmanager
def local_copy(place: Place) -> Iterator[tuple[Path, str]]:
    """Give a local file of the content of a place, and the SHA-256 of the content in hex.

    A remote file is copied into a temporary file, which is removed at the end. Memory does not grow with the file.

    Raises:
        UnavailableError: the file cannot be read.
        OptionError: pyarrow is not installed.
        OutputError: the temporary file cannot be written.
    """
    if address_of(place) is None:
        yield Path(place), _hash_file(Path(place))
        return
    with _temporary_file() as file:
        digest = hashlib.sha256()

        def restart() -> Callable[[bytes], object]:
            nonlocal digest
            digest = hashlib.sha256()
            file.seek(0)
            file.truncate()

            def take(chunk: bytes) -> None:
                digest.update(chunk)
                _write(file, chunk)

            return take

        _fetch(place, restart)
        file.flush()
        yield Path(file.name), digest.hexdigest()


def download(place: Place, name: str) -> Path:
    """Copy a remote file into a temporary folder that lasts as long as the program; a local file stays where it is.

    Args:
        place: the file.
        name: name of the copy.

    Raises:
        UnavailableError, OptionError, OutputError: see `local_copy`.
    """
    if address_of(place) is None:
        return Path(place)
    target = temporary_folder() / name
    with local_copy(place) as (copy, _), as_output_error(target, _SET_TMPDIR):
        shutil.copyfile(copy, target)
    return target


def write_whole(place: Place, data: bytes | mmap.mmap, advice: str = CHOOSE_ANOTHER) -> None:
    """Write a file whole or not at all.

    An object store shows an upload when the upload is complete. A local file is renamed when the file is complete.

    Args:
        place: file to write.
        data: content of the file, or a view of another file, which is then not read into memory.
        advice: what the error message tells the user to do about a local file.

    Raises:
        OutputError: the file cannot be written.
        OptionError: the place is on a web server, or pyarrow is not installed.
    """
    address = address_of(place)
    if address is None:
        write_file(place, data, advice)
        return
    system, path = arrow_store(address)

    def upload() -> None:
        with system.open_output_stream(path) as stream:
            stream.write(data)

    try:
        _patiently(address, upload)
    except UnavailableError as error:
        raise OutputError(f"cannot write {address!r}: {error.reason}; check the name and the permissions") from error


def _fetch(place: Place, restart: Callable[[], Callable[[bytes], object]]) -> None:
    """Read a file in chunks. `restart` is called before every attempt, and returns what takes the chunks."""
    address = address_of(place)
    if address is None:
        try:
            with Path(place).open("rb") as file:
                _pump(file, restart())
        except OSError as error:
            raise UnavailableError(place, error.strerror or str(error)) from error
    elif _is_web(address):
        _patiently(address, lambda: _fetch_web(address, restart()))
    else:
        system, path = _store(address)

        def attempt() -> None:
            with system.open_input_stream(path) as stream:
                _pump(stream, restart())

        _patiently(address, attempt)


def _pump(stream: Any, take: Callable[[bytes], object]) -> None:
    while chunk := stream.read(_CHUNK_BYTES):
        take(chunk)


def _fetch_web(address: str, take: Callable[[bytes], object]) -> None:
    import httpx

    try:
        with httpx.stream("GET", address, follow_redirects=True, timeout=_TIMEOUT_S) as response:
            if response.status_code != httpx.codes.OK:
                raise OSError(f"the server answered {response.status_code} {response.reason_phrase}")
            for chunk in response.iter_raw(_CHUNK_BYTES):
                take(chunk)
    except httpx.HTTPError as error:
        raise OSError(str(error) or type(error).__name__) from error


def _patiently(address: str, request: Callable[[], Result]) -> Result:
    """Make a request, and repeat a request that fails, with longer and longer pauses."""
    import tenacity

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, OSError)),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_random_exponential(_FIRST_WAIT_S, _LONGEST_WAIT_S),
        reraise=True,
    )
    try:
        return attempts(request)
    except OSError as error:
        raise UnavailableError(address, " ".join(str(error).split())[:200]) from error


def _is_web(address: str) -> bool:
    return urlsplit(address).scheme in _WEB


def _store(address: str) -> tuple[Any, str]:
    """File system and path of an address in an object store."""
    scheme, _, path = address.partition("://")
    return _file_system(scheme, os.getpid()), path.rstrip("/")


@lru_cache
def _file_system(scheme: str, process: int) -> Any:
    """File system of a scheme. A process opens its own: connections do not survive a fork."""
    fs = _arrow_fs()
    if scheme == "gs":
        return fs.GcsFileSystem()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    given = urlsplit(endpoint) if endpoint else None
    return fs.S3FileSystem(
        anonymous=os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("1", "yes", "true"),
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        request_timeout=_TIMEOUT_S,
        connect_timeout=10,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS_BELOW),  # requests are repeated here
        **({"endpoint_override": given.netloc, "scheme": given.scheme} if given else {}),
    )


def _arrow_fs() -> Any:
    try:
        import pyarrow.fs
    except ImportError as error:
        raise OptionError("object stores need pyarrow: pip install 'roadclear[parquet]'") from error
    return pyarrow.fs


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnavailableError(path, error.strerror or str(error)) from error


@contextlib.contextmanager
def _temporary_file() -> Iterator[Any]:
    try:
        file = tempfile.NamedTemporaryFile(prefix="roadclear-")  # noqa: SIM115, closed below
    except OSError as error:
        raise _no_room(error) from error
    with file:
        yield file


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> OutputError:
    return OutputError(f"cannot write a temporary file: {error.strerror}; {_SET_TMPDIR}")
