"""The runtime of the page: two files of the npm package onnxruntime-web, of one version and with known contents."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roadclear.errors import EngineError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SHA256: Mapping[str, str] = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}

_PATIENCE_S = 300


@dataclass(frozen=True)
class Runtime:
    """Files of the runtime.

    Attributes:
        script: content of the module that gives `InferenceSession` and `Tensor`.
        wasm: content of the WebAssembly module.
    """

    script: bytes
    wasm: bytes


def get_runtime(folder: Path | None) -> Runtime:
    """Read the runtime from a folder, or get it by npm. Both contents are compared with their SHA-256.

    Args:
        folder: folder with both files, or of the unpacked npm package; None to run `npm pack`.

    Raises:
        EngineError: npm is missing or fails, a file is missing, or its content is another.
    """
    files = _packed() if folder is None else _read(folder)
    for name, digest in SHA256.items():
        found = hashlib.sha256(files[name]).hexdigest()
        if found != digest:
            raise EngineError(
                f"expected {name} of {PACKAGE} {VERSION}, found another content (SHA-256 {found[:12]}...): "
                f"name a folder with that version by --runtime"
            )
    return Runtime(files[SCRIPT], files[WASM])


def node() -> str:
    """Find Node.js, which checks the page.

    Raises:
        EngineError: Node.js is not installed.
    """
    return _program("node")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise EngineError(f"expected the program {name!r} for --to web, found none: install Node.js 20 or later")
    return found


def _read(folder: Path) -> dict[str, bytes]:
    files = {}
    for name in SHA256:
        places = [folder / name, folder / "dist" / name, folder / "package" / "dist" / name]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise EngineError(
                f"expected {name} in {str(folder)!r}, found none: unpack {PACKAGE} {VERSION} there, or leave out "
                "--runtime"
            )
        files[name] = found.read_bytes()
    return files


def _packed() -> dict[str, bytes]:
    """Get the package by npm into a temporary folder. No script of the package is run."""
    command = [_program("npm"), "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_PATIENCE_S)  # noqa: S603
            archive = next(Path(folder).glob("*.tgz"))
            with tarfile.open(archive) as package:
                return {name: _member(package, name) for name in SHA256}
        except (subprocess.SubprocessError, StopIteration, OSError, KeyError, tarfile.TarError) as error:
            raise EngineError(
                f"expected {PACKAGE} {VERSION} from npm, found none ({type(error).__name__}): check the connection, or "
                "name a folder with its files by --runtime"
            ) from error


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/dist/{name}")
    if file is None:
        raise KeyError(name)
    return file.read()
