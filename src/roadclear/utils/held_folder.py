"""A folder that is held open while files are moved in it. No link leads a move out of the folder.

A name such as "crossing/a.jpg" is resolved step by step below the handle of the folder. Each folder on the way is
opened without following links, and files are moved between open folders. So whoever swaps a folder for a link meanwhile
sends no file elsewhere. The idea is that of `openat` in POSIX.

Systems without such handles (Windows) look at each folder on the way before the move. There a swap at the right moment
is not noticed.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from roadclear.utils.renames import rename_new

HAS_HANDLES = {os.open, os.mkdir, os.rmdir, os.stat, os.unlink, os.rename} <= os.supports_dir_fd
"""Whether the system resolves names below the handle of a folder."""

# A handle for resolving names needs no permission to list the folder.
_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_PATH", 0)
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
# Names of empty folders beyond this length, in characters, are not looked for.
_LONGEST_NAME = 8192


class LinkError(OSError):
    """A folder on the way to a file is a link. `filename` is the name of the link."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ELOOP, "a folder on the way is a link", name)


class HeldFolder:
    """A folder that is held open, see `hold`. Names are relative to the folder, with forward slashes.

    The methods raise `LinkError` where a folder on the way is a link. The last part of a name may be a link; the
    link itself is looked at, moved or removed.

    Attributes:
        path: path of the folder, for messages.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        self._handle = handle

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a file, a folder or a link, or None where there is nothing.

        Raises:
            OSError: the status cannot be read.
        """
        try:
            with self._parent(name) as (folder, last):
                return os.stat(last, dir_fd=folder, follow_symlinks=False)
        except LinkError:
            raise
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            return None

    def exists(self, name: str) -> bool:
        """Whether there is a file, a folder or a link."""
        return self.status(name) is not None

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder, and no link to one."""
        status = self.status(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def make_parents(self, name: str) -> None:
        """Make the folders that a file will lie in.

        Raises:
            NotADirectoryError: a file is in the way.
            OSError: a folder cannot be made.
        """
        with self._parent(name, make=True):
            pass

    def move(self, source: str, target: str) -> None:
        """Move a file, a folder or a link. Missing folders are made. Nothing is overwritten.

        Raises:
            FileExistsError: there is something at the new place.
            OSError: the file cannot be moved.
        """
        with self._parent(source) as (from_folder, name), self._parent(target, make=True) as (to_folder, new_name):
            rename_new(name, new_name, from_folder, to_folder)

    def remove_empty_folders(self, top: str, keep: set[str]) -> None:
        """Remove empty folders under a folder, and the folder itself if it is then empty.

        Args:
            top: name of the folder.
            keep: names of folders to leave alone, with everything in them.
        """
        found = [top] if self.is_folder(top) else []
        for folder in found:  # grows while it is read
            found += [name for name in self._folders_in(folder) if name not in keep and len(name) <= _LONGEST_NAME]
        for name in reversed(found):
            with suppress(OSError), self._parent(name) as (folder_handle, last):
                os.rmdir(last, dir_fd=folder_handle)

    def _folders_in(self, name: str) -> list[str]:
        """Name the folders in a folder. A folder that cannot be listed is taken for one without folders."""
        with suppress(OSError), self._parent(f"{name}/.") as (folder, _):
            listed = folder if folder is None else os.open(".", os.O_RDONLY, dir_fd=folder)
            try:
                with os.scandir(self.path / name if listed is None else listed) as entries:
                    return [f"{name}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
            finally:
                if listed is not None:
                    os.close(listed)
        return []

    @contextmanager
    def _parent(self, name: str, make: bool = False) -> Iterator[tuple[int | None, str]]:
        """Open the folder that a file lies in.

        Args:
            name: name of the file.
            make: whether missing folders are made.

        Yields:
            The handle of the folder, and the last part of the name. Without handles: None, and the whole path.
        """
        *folders, last = name.split("/")
        if PurePath(name).is_absolute() or "\0" in name or any(part in ("", "..") for part in (*folders, last)):
            raise OSError(errno.EINVAL, "the name leads out of the folder", name)
        if self._handle is None:
            yield None, self._checked_path(folders, last, make)
            return
        handle = os.dup(self._handle)
        try:
            for number, folder in enumerate(folders, start=1):
                try:
                    deeper = _open_folder(folder, handle, make)
                except OSError as error:
                    raise _explained(error, folder, handle, "/".join(folders[:number])) from error
                os.close(handle)
                handle = deeper
            yield handle, last
        finally:
            os.close(handle)

    def _checked_path(self, folders: list[str], last: str, make: bool) -> str:
        """Return the path of a file, after a look at each folder on the way."""
        place = self.path
        for number, folder in enumerate(folders, start=1):
            place /= folder
            if make:
                with suppress(FileExistsError):
                    place.mkdir()
            status = place.lstat()
            # A junction of Windows is no symbolic link to Python, and leads elsewhere all the same.
            if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", None):
                raise LinkError("/".join(folders[:number]))
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        return str(place / last)


@contextmanager
def hold(path: Path) -> Iterator[HeldFolder]:
    """Hold a folder open. The path itself may lead through links: the user has named it.

    Raises:
        OSError: the folder cannot be opened.
    """
    if not HAS_HANDLES:
        yield HeldFolder(path, None)
        return
    handle = os.open(path, _FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        yield HeldFolder(path, handle)
    finally:
        os.close(handle)


def _open_folder(name: str, handle: int, make: bool) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=handle)
    return os.open(name, _FLAGS, dir_fd=handle)


def _explained(error: OSError, name: str, handle: int, whole: str) -> OSError:
    """Return the error for a folder that could not be opened: a link has an error of its own."""
    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
        return error
    try:
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return LinkError(whole)
    # A folder that could not be opened as one a moment ago is being swapped for a link.
    return LinkError(whole) if stat.S_ISLNK(status.st_mode) or stat.S_ISDIR(status.st_mode) else error
