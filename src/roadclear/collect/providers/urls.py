"""Lists of addresses by the user: text files, or CSV tables.

A text file has one address per line. Empty lines and lines that begin with # are left out. A table has a column `url`
in its first line, and may have the columns `label`, `licence` and `author`. Without a label, the name of the file is
the label: `crossing.txt` lists photos of the label `crossing`.
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
    """Search in lists of addresses. The query is a label.

    Args:
        settings: settings of the providers.

    Raises:
        OptionError: there is no list, or a list is malformed.
    """

    name = NAME

    def __init__(self, settings: Settings) -> None:
        if not settings.url_files:
            raise OptionError(f"{NAME} needs a list of addresses, found none: give --urls FILE")
        self._settings = settings
        self._rows = [row for path in settings.url_files for row in _rows(path)]

    def search(self, query: str, client: "httpx.Client") -> Iterator[Candidate]:
        """See Provider. No request is sent."""
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
    """Read the rows of a list: url, label, licence and author; "" for a missing value.

    Raises:
        OptionError: the list cannot be read, or a row has no address.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        numbered = _numbered(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{path}: expected a list of addresses in UTF-8, found {error}: check the file") from None
    return [_checked(path, line, row) for line, row in numbered]


def _numbered(lines: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Number the rows by lines."""
    columns = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]
    if "url" in columns:
        table = csv.DictReader(lines[1:], columns, restval="")
        return [(table.line_num + 1, {name: row[name].strip() for name in columns}) for row in table]
    stripped = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    return [(number, {"url": line}) for number, line in stripped if line and not line.startswith("#")]


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
