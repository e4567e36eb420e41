"""Renames that overwrite nothing, and renames that swap two names in one step.

Linux has a call for both, `renameat2`, which Python does not offer. Elsewhere, and on file systems without the call, a
hard link stands in: unlike a rename, a hard link never replaces a file.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

_NO_REPLACE, _EXCHANGE = 1, 2
_AT_CWD = -100
# What the kernel or the file system answers where the call or one of its flags is missing.
_MISSING = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def rename_new(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    source_folder: int | None = None,
    target_folder: int | None = None,
) -> None:
    """Rename a file or a folder. Nothing is overwritten. A link is renamed itself and not followed.

    Without `renameat2` a file has both names for a moment. A kill at that moment loses nothing: a further call, in
    either direction, removes the name that is left over.

    Args:
        source: present name.
        target: new name on the same file system.
        source_folder: descriptor of the folder that `source` is relative to; None for the current folder.
        target_folder: descriptor of the folder that `target` is relative to; None for the current folder.

    Raises:
        FileExistsError: the new name is taken.
        OSError: the file cannot be renamed.
    """
    # The event of `os.rename`, so that programs that watch renames see this one.
    sys.audit(
        "os.rename", source, target, *(-1 if folder is None else folder for folder in (source_folder, target_folder))
    )
    try:
        done = _renameat2(source, target, source_folder, target_folder, _NO_REPLACE)
    except FileExistsError:
        if not _same_file(source, target, source_folder, target_folder):
            raise
        os.unlink(source, dir_fd=source_folder)
        return
    if not done:
        _rename_by_link(source, target, source_folder, target_folder)


def exchange(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Swap two names in one step. At every moment, both names exist.

    Returns:
        Whether the names were swapped. False where the system or the file system cannot swap names.

    Raises:
        OSError: the names cannot be swapped.
    """
    return _renameat2(first, second, None, None, _EXCHANGE)


def _rename_by_link(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    source_folder: int | None,
    target_folder: int | None,
) -> None:
    """Rename without `renameat2`: a file by a hard link, and a folder by a rename, which replaces no file."""
    status = os.stat(source, dir_fd=source_folder, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        try:
            os.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
        except FileExistsError:
            if not _same_file(source, target, source_folder, target_folder):
                raise
        except NotImplementedError:  # a system that can only link what a link points to
            pass
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
        if _same_file(source, target, source_folder, target_folder):
            os.unlink(source, dir_fd=source_folder)
            return
    if _exists(target, target_folder):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)


def _same_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    source_folder: int | None,
    target_folder: int | None,
) -> bool:
    """Whether two names are hard links of one file."""
    try:
        one = os.stat(source, dir_fd=source_folder, follow_symlinks=False)
        other = os.stat(target, dir_fd=target_folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(one, other) and not stat.S_ISDIR(one.st_mode) and one.st_nlink > 1


def _exists(name: str | os.PathLike[str], folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _renameat2(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    source_folder: int | None,
    target_folder: int | None,
    flags: int,
) -> bool:
    """Call `renameat2`. Return False where there is no such call."""
    call = _system_call()
    if call is None:
        return False
    folders = [_AT_CWD if folder is None else folder for folder in (source_folder, target_folder)]
    code = call(folders[0], os.fsencode(source), folders[1], os.fsencode(target), flags)
    if code == 0:
        return True
    if code in _MISSING:
        return False
    raise OSError(code, os.strerror(code), os.fspath(source), None, os.fspath(target))


@cache
def _system_call() -> Callable[..., int] | None:
    """Return a function that calls `renameat2` and returns 0 or the error number, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    function: Any = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int

    def call(*arguments: object) -> int:
        return 0 if function(*arguments) == 0 else ctypes.get_errno()

    return call
