"""Labelled folders made for cleaning, pictures of their trees, and processes that can be killed."""

import gc
import hashlib
import os
import signal
import stat
import sys
import traceback
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.data.dataset import JOURNAL
from roadclear.utils.locks import LOCK

LABELS = ("crossing", "empty")
NOBODY = 65534
STEPS = {"os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.chmod"}


def picture(seed: int, width: int = 96, height: int = 80) -> NDArray[np.uint8]:
    """[height, width, 3]: a soft pattern, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: NDArray[np.uint8], format_name: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format_name, **options)
    return file.getvalue()


def photo(seed: int, format_name: str = "PNG", width: int = 96, height: int = 80, **options: object) -> bytes:
    return encoded(picture(seed, width, height), format_name, **options)


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    """Write files by their relative paths, in a folder that has both labels."""
    for label in LABELS:
        (root / label).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def messy_folder(root: Path) -> Path:
    """A few files for every reason, of every kind, in both labels."""
    write_folder(
        root,
        {
            "crossing/good.png": photo(1),
            "empty/good.png": photo(2),
            "crossing/cut.png": photo(3)[:200],
            "crossing/nested/empty.jpg": b"",
            "empty/small.png": photo(4, width=60, height=40),
            "empty/blank.jpg": encoded(np.full((80, 80, 3), 7, np.uint8), "JPEG"),
            "crossing/same.bmp": photo(1, "BMP"),
            "crossing/both.png": photo(5),
            "empty/both.png": photo(5),
            os.fsdecode(b'empty/odd \xff\n".jpg'): b"<html>",
            "manifest.csv": b"file,scene\ncrossing/good.png,a\n",
            "sources.csv": b"file,author\n",
        },
    )
    (root / "crossing" / "link.jpg").symlink_to("nowhere")
    os.mkfifo(root / "empty" / "pipe.jpg")
    (root / "crossing" / "empty.jpg").mkdir()
    (root / "empty" / "folder.jpg").mkdir()
    (root / "empty" / "folder.jpg" / "inside.txt").write_bytes(b"inside")
    return root


def small_mess(root: Path) -> Path:
    """As little as holds a conflict, an empty folder, a deep folder and a name of any bytes."""
    write_folder(
        root,
        {
            "crossing/both.png": photo(5),
            "empty/both.png": photo(5),
            "empty/good.png": photo(6),
            os.fsdecode(b"empty/nested/odd \xff.jpg"): b"",
        },
    )
    (root / "crossing" / "folder.jpg").mkdir()
    return root


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything under a folder by its path: kind and mode, identity, and the bytes, time and size or the target."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            status = path.lstat()
            content: tuple[object, ...] = ()
            if path.is_symlink():
                content = (path.readlink(),)
            elif stat.S_ISREG(status.st_mode):
                whole = path.read_bytes() if status.st_size < 10_000_000 else b"hollow"
                content = status.st_size, status.st_mtime_ns, hashlib.sha256(whole).hexdigest()
            found[str(path.relative_to(root))] = status.st_mode, status.st_ino, *content
    return found


def files_by_identity(root: Path) -> list[int]:
    """Inodes of everything that is no folder, without what cleaning writes; sorted, so that a double shows."""
    own = {JOURNAL, LOCK}
    return sorted(
        Path(folder, name).lstat().st_ino
        for folder, _, files in os.walk(root)
        for name in files
        if not (Path(folder) == root and (name in own or name.startswith(f".{JOURNAL}.")))
    )


def run_forked(function: Callable[[], object]) -> tuple[int, str]:
    """Call a function in a process of its own: its exit status as `waitpid` gives it, and what it said or raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Engines that other tests left cannot be deleted in a process without their threads.
        gc.disable()
        said = ""
        try:
            os.close(reading)
            said = str(function())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os.write(writing, said.encode(errors="backslashreplace"))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    return os.waitpid(child, 0)[1], said


def die_before_step(number: int, action: Callable[[], object]) -> bool:
    """Run in a process of its own that kills itself before its n-th change of a folder. Whether it came so far."""

    def run() -> None:
        taken = 0

        def count(event: str, _: object) -> None:
            nonlocal taken
            if event in STEPS:
                taken += 1
                if taken == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        action()

    status, said = run_forked(run)
    assert said in ("", "None")
    return os.WIFSIGNALED(status)


def drop_privileges() -> None:
    """Root may write anywhere; tests of permissions need someone who may not."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
