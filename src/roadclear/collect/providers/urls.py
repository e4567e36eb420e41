"""Lists of addresses that the user wrote: text files, or CSV tables.

A text file has an address a line; empty lines and lines that begin with # are passed over. A table is told by a first
line that names a column `url`; it may also have `label`, `licence` and `author`. Where a photo's label is not given, it
is the name of its file: `crossing.txt` lists photos of the label `crossing`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from roadclear.collect.candidate import Candidate
from roadclear.collect.licences import UNKNOWN, Licence
from roadclear.collect.providers.settings import Settings
from roadclear.errors import OptionError, ProviderError

if TYPE_CHECKING:
    import httpx

NAME = "urls"
SCHEMES = ("http://", "https://")


class Urls:
    """Finds what the lists have for a label: here the query is the label."""

    name = NAME

    def __init__(self, settings: Settings) -> None:
        if not settings.url_files:
            raise OptionError(f"{NAME} wants a list of addresses, found none: give --urls FILE")
        self._settings = settings
        self._rows = [row for path in settings.url_files for row in _rows(path)]

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider; nothing is asked of the network."""
        labels = {row["label"] for row in self._rows}
        if query not in labels:
            raise ProviderError(
                f"{NAME}: expected addresses for the label {query!r}, found the labels "
                f"{', '.join(sorted(labels)) or 'of an empty list'}: correct the column `label`, or the file's name"
            )
        rows = [row for row in self._rows if row["label"] == query]
        for rank, row in enumerate(rows, start=1):
            licence = Licence.called(row["licence"])
            if self._settings.allows(licence.code if licence else None):
                yield Candidate(
                    provider=NAME,
                    query=query,
                    rank=rank,
                    image_url=row["url"],
                    author=row["author"],
                    licence=licence.name if licence and licence.version else row["licence"] or UNKNOWN,
                    licence_url=licence.url if licence else "",
                )


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a list: url, label, licence and author, "" where one is not given.

    Raises:
        OptionError: it cannot be read, or has something else where an address should be.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        numbered = _numbered(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{path}: expected a list of addresses in UTF-8, found {error}: check the file") from None
    return [_checked(path, at, row) for at, row in numbered]


def _numbered(lines: list[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows with the numbers of their lines."""
    columns = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]
    if "url" in columns:
        table = csv.DictReader(lines[1:], columns, restval="")
        return [(table.line_num + 1, {name: row[name].strip() for name in columns}) for row in table]
    listed = [(at, line.strip()) for at, line in enumerate(lines, start=1)]
    return [(at, {"url": line}) for at, line in listed if line and not line.startswith("#")]


def _checked(path: Path, line: int, row: dict[str, str]) -> dict[str, str]:
    if not row["url"].lower().startswith(SCHEMES):
        raise OptionError(
            f"{path}, line {line}: expected an address that begins with http:// or https://, "
            f"found {row['url'][:80]!r}: correct it"
        )
    return {
        "url": row["url"],
        "label": row.get("label") or path.stem,
        "licence": row.get("licence", ""),
        "author": row.get("author", ""),
    }
