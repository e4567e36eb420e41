"""The documents agree with the code: generated pages, links, and every name of a module, a file or an option."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import write_reference

from roadclear.cli.commands import app

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "roadclear"
INDEX = ROOT / "docs" / "index.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BY_HAND = [document for document in DOCUMENTS if document.name not in ("options.md", "commands.md")]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MODULE = re.compile(r"\broadclear(?:\.[A-Za-z_]\w*)+")
FILE_AND_NAME = re.compile(r"`((?:[\w.*-]+/)+[\w{},.*<>-]+\.(?:py|md|json|npz))(?::(\w+))?`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")

METADATA = re.compile(r"^roadclear\.(size|labels|threshold)$")
"""Keys in model.onnx that a page names; they look like modules."""

FOREIGN_OPTIONS = {"--help", "--universal", "--python-version", "--no-header", "--no-annotate", "--no-emit-index-url"}
FOREIGN_OPTIONS |= {"--no-emit-find-links", "--no-emit-package", "--extra", "--output-file", "--address", "--generate"}
"""Options of uv, which makes constraints.txt, of Ray, and the one that every command has."""


def names(documents: list[Path]) -> list[str]:
    return [str(document.relative_to(ROOT)) for document in documents]


def anchors(document: Path) -> set[str]:
    """What a link to a heading may be called, as code hosts call it."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """The files that a document links to, and the heading in each."""
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "http://")):
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


@pytest.fixture(scope="module")
def options() -> frozenset[str]:
    """Every option of a command of ours, of a script or of a benchmark."""
    root = typer.main.get_command(app)
    found: set[str] = set(FOREIGN_OPTIONS)
    for name in [(), *write_reference.commands(root)]:
        command = root
        for word in name:
            command = command.commands[word]  # type: ignore[attr-defined]
        for parameter in command.params:
            found.update([*parameter.opts, *parameter.secondary_opts])
    for script in [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*.py")]:
        found.update(re.findall(r'"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    return frozenset(found)


@pytest.mark.slow
def test_generated_pages_are_those_of_this_code() -> None:
    script = ROOT / "scripts" / "write_reference.py"
    ended = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr


def test_an_old_page_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "options.md"
    assert not write_reference.is_written(page, "new", only_check=True)
    page.write_text("old")
    assert not write_reference.is_written(page, "new", only_check=True)
    assert page.read_text() == "old"
    assert write_reference.is_written(page, "new", only_check=False)
    assert write_reference.is_written(page, "new", only_check=True)


def test_every_document_is_linked_from_the_index() -> None:
    """Decisions are linked from their own list, which the index links."""
    linked = {path for path, _ in links(INDEX)} | {path for path, _ in links(ROOT / "docs/adr/README.md")}
    assert names([document for document in DOCUMENTS if document not in linked and document != INDEX]) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_lead_somewhere(document: Path) -> None:
    broken = [
        f"{path}#{anchor}"
        for path, anchor in links(document)
        if not path.exists() or (anchor and anchor not in anchors(path))
    ]
    assert broken == []


@pytest.mark.parametrize("document", BY_HAND, ids=names(BY_HAND))
def test_modules_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {name for name in MODULE.findall(text) if not METADATA.match(name)}
    assert sorted(name for name in named if not exists(name)) == []


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    if is_module(name):
        return True
    return is_module(module) and hasattr(import_module(module), attribute)


def is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("document", BY_HAND, ids=names(BY_HAND))
def test_files_exist_and_hold_what_is_said(document: Path) -> None:
    """`room/module.py:name`, from the root of the repository or of the package; <name> and * stand for any."""
    wrong = []
    for path, name in FILE_AND_NAME.findall(document.read_text(encoding="utf-8")):
        files = [file for base in (ROOT, PACKAGE) for file in base.glob(re.sub("<[^>]*>", "*", path))]
        defined = rf"^\s*(?:def|class) {name}\b|^{name}\b.* = "
        if not files or (name and not re.search(defined, files[0].read_text(encoding="utf-8"), re.MULTILINE)):
            wrong.append(f"{path}:{name}")
    assert wrong == []


@pytest.mark.parametrize("document", BY_HAND, ids=names(BY_HAND))
def test_options_exist(document: Path, options: frozenset[str]) -> None:
    named = set(OPTION.findall(document.read_text(encoding="utf-8")))
    assert sorted(named - options) == []
