"""The runtime of the page: pinned contents, from a folder or from npm."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from roadclear.deploy.export.web import runtime
from roadclear.deploy.export.web.runtime import SCRIPT, WASM, get_runtime
from roadclear.errors import EngineError


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small contents in the place of the real ones."""
    import hashlib

    files = {SCRIPT: b"script", WASM: b"wasm"}
    monkeypatch.setattr(runtime, "SHA256", {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    return files


@pytest.mark.parametrize("below", ["", "dist", "package/dist"])
def test_a_folder_with_the_files_is_read(below: str, pinned: dict[str, bytes], tmp_path: Path) -> None:
    place = tmp_path / below
    place.mkdir(parents=True, exist_ok=True)
    for name, data in pinned.items():
        (place / name).write_bytes(data)
    found = get_runtime(tmp_path)
    assert (found.script, found.wasm) == (b"script", b"wasm")


def test_another_content_and_a_missing_file_are_refused(pinned: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / SCRIPT).write_bytes(b"script")
    with pytest.raises(EngineError, match=f"expected {WASM}"):
        get_runtime(tmp_path)
    (tmp_path / WASM).write_bytes(b"other")
    with pytest.raises(EngineError, match="found another content"):
        get_runtime(tmp_path)


def fake_npm(folder: Path, body: str) -> None:
    (folder / "npm").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "npm").chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a shell script")
def test_npm_is_asked_for_the_pinned_version_without_scripts(
    pinned: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, data in pinned.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    fake_npm(tmp_path, f'echo "$@" > {tmp_path}/asked; cp {package} there.tgz')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert get_runtime(None).wasm == b"wasm"
    assert (tmp_path / "asked").read_text().split() == [
        "pack",
        f"onnxruntime-web@{runtime.VERSION}",
        "--ignore-scripts",
        "--silent",
    ]
    fake_npm(tmp_path, "exit 1")
    with pytest.raises(EngineError, match="--runtime"):
        get_runtime(None)


def test_without_npm_the_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="'npm'"):
        get_runtime(None)
    with pytest.raises(EngineError, match="'node'"):
        runtime.node()
