"""Write the pages of the documentation that are generated from the code: python scripts/write_reference.py [--check].

docs/options.md comes from the settings classes, docs/commands.md from the commands' own help. With --check nothing is
written, and the script fails if a page differs from the code.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import typer

from roadclear.cli.commands import app
from roadclear.cli.options import PANELS
from roadclear.training.config import TrainSettings
from roadclear.utils.settings import Option, Settings, options_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 100
START = (sys.executable, "-c", "from roadclear.cli.app import main; main()")
NOTE = "<!-- Written by scripts/write_reference.py from the code: edit the code, not this page. -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a page differs")
    only_check = parser.parse_args().check
    old = [name for name, page in pages() if not is_written(DOCS / name, page, only_check)]
    if old:
        sys.exit(f"expected docs/{' and docs/'.join(old)} as the code has them: run python scripts/write_reference.py")


def pages() -> Iterator[tuple[str, str]]:
    """Names and texts of the generated pages."""
    yield "options.md", options_page()
    yield "commands.md", commands_page()


def is_written(file: Path, page: str, only_check: bool) -> bool:
    """Whether a file holds its page; it does after this, unless the page is only checked."""
    if only_check:
        return file.is_file() and file.read_text(encoding="utf-8") == page
    file.write_text(page, encoding="utf-8", newline="\n")
    return True


def options_page() -> str:
    """Every option of a training."""
    return "\n".join(
        [
            "# Options of a training",
            NOTE,
            "",
            "An option has one name everywhere: `--learning-rate` on the command line, `learning_rate` in",
            "`config.toml`, `TrainSettings` and `RoadClassifier`. `validate`, `triage` and `split` take some of these",
            "options, as their [help](commands.md) says.",
            "",
            option_table(TrainSettings),
        ]
    )


def option_table(kind: type[Settings]) -> str:
    """The options of a settings class as Markdown tables, one for each panel of the help.

    Args:
        kind: a settings class.

    Returns:
        Tables with the columns option, type, default, range and meaning.
    """
    panels: dict[str, list[Option]] = {}
    for option in options_of(kind):  # type: ignore[arg-type]
        panels.setdefault(option.panel, []).append(option)
    known = [name for name in PANELS if name in panels]
    lines: list[str] = []
    for panel in [*known, *sorted(set(panels) - set(known))]:
        lines += [f"## {panel}", "", "| option | type | default | range | meaning |", "|---|---|---|---|---|"]
        lines += [_row(option) for option in panels[panel]]
        lines.append("")
    return "\n".join(lines)


def _row(option: Option) -> str:
    default = "" if option.default is None else f"`{option.default}`"
    cells = (f"`{option.name}`", _type(option.type), default, option.setting.expected, option.setting.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(kind: Any) -> str:
    """A type in words: "int or str"; None is not named, since the missing default says it."""
    kinds = [one for one in get_args(kind) if one is not type(None)] if isinstance(kind, UnionType) else [kind]
    return " or ".join(one.__name__ for one in kinds)


def commands_page() -> str:
    """Every command with its help, as a terminal of a fixed width shows it."""
    names = [(), *commands(typer.main.get_command(app))]
    with ThreadPoolExecutor() as pool:
        helps = list(pool.map(command_help, names))
    lines = [
        "# Commands",
        NOTE,
        "",
        "Each command prints its help with `--help`. [Options](options.md) lists the options of a training.",
        "",
    ]
    for name, text in zip(names, helps, strict=True):
        lines += [f"## {' '.join(('roadclear', *name))}", "", "```text", text, "```", ""]
    return "\n".join(lines)


def commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of all commands, those of groups of commands included."""
    for name, command in group.commands.items():
        yield (*above, name)
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))


def command_help(name: tuple[str, ...]) -> str:
    """The help of a command, printed by a process whose terminal has a fixed width and no colours."""
    terminal = {"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH), "NO_COLOR": "1", "PYTHONUTF8": "1"}
    kept = {
        key: value for key, value in os.environ.items() if not re.match("FORCE_COLOR|PY_COLORS|GITHUB_|_TYPER", key)
    }
    ended = subprocess.run(
        [*START, *name, "--help"], env={**kept, **terminal}, capture_output=True, check=True, encoding="utf-8"
    )
    text = ended.stdout.replace(" -c ", " roadclear ")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


if __name__ == "__main__":
    main()
