"""CREDITS.md: authors, pages and licences of the collected photos.

Every photo has the four parts that Creative Commons recommends: title, author, source and licence, each with its link
(https://wiki.creativecommons.org/wiki/Recommended_practices_for_attribution). The file also says what was changed, as
the licences ask (CC BY 4.0, section 3(a)(1)).
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from roadclear.collect.licences import UNKNOWN
from roadclear.collect.records import SourceRecord, read_sources
from roadclear.collect.shard_index import read_shard_sources
from roadclear.errors import DatasetError, OutputError
from roadclear.utils.files import check_free_file, write_file
from roadclear.utils.storage import Place, address_of, is_file, join, name_of, read, write_whole

CREDITS = "CREDITS.md"

_MOVE_AWAY = "move the file away, or add --overwrite"

_MARKUP = re.compile(r"([\\`*_\[\]<>&|~$#])")
_IN_AN_ADDRESS = "%!#$&'()*+,/:;=?@[]~"
_CHANGES = (
    "The files are as they were received, nothing in them was changed. Where a source serves large photos scaled down, "
    "they are such copies."
)
_UNKNOWN_NOTE = (
    "No one says under which licence these photos are. They may be protected: do not publish them, or a copy of them, "
    "without asking their authors."
)


def write_credits(folder: Path, overwrite: bool = False) -> Path:
    """Write CREDITS.md from the sources.csv in the same folder.

    Photos that were moved or removed since are credited too. The file may credit too many photos, never too few.

    Args:
        folder: folder of collected photos.
        overwrite: whether a CREDITS.md with other content is replaced, which a person may have edited.

    Returns:
        Path of the file.

    Raises:
        DatasetError: sources.csv is missing, empty or cannot be read.
        OutputError: the file cannot be written, or is there and must not be replaced.
    """
    return Path(_write(folder, read_sources(folder), overwrite))


def write_shard_credits(place: Place, overwrite: bool = False) -> str:
    """Write CREDITS.md beside tar shards, from the tables beside the shards.

    Args:
        place: folder or address of the shards.
        overwrite: whether a CREDITS.md with other content is replaced, which a person may have edited.

    Returns:
        Path or address of the file.

    Raises:
        DatasetError: there is no shard, or a table cannot be read.
        OutputError: the file cannot be written, or is there and must not be replaced.
        OptionError: the object store cannot be used.
    """
    return _write(place, read_shard_sources(place), overwrite)


def _write(place: Place, sources: Sequence[SourceRecord], overwrite: bool) -> str:
    if not sources:
        raise DatasetError(
            f"expected collected photos in {name_of(place)!r}, found none: collect some first, or name another place"
        )
    path, data = join(place, CREDITS), credits_of(sources).encode()
    if is_file(path) and read(path) == data:
        return path
    if address_of(path) is None:
        check_free_file(path, overwrite, advice=_MOVE_AWAY)
        write_file(path, data, overwrite=overwrite)
        return path
    if is_file(path) and not overwrite:
        raise OutputError(f"{path!r} is already there: {_MOVE_AWAY}")
    write_whole(path, data)
    return path


def credits_of(sources: Sequence[SourceRecord]) -> str:
    """Return the credits in Markdown (CommonMark with tables), by licence. Photos of unknown licence come last."""
    counts = Counter(source.licence or UNKNOWN for source in sources)
    licences = sorted(counts, key=lambda licence: (licence == UNKNOWN, licence))
    table = "\n".join(f"| {_plain(licence)} | {counts[licence]} |" for licence in licences)
    sections = [_section(licence, sources) for licence in licences]
    return "\n\n".join(["# Credits", _CHANGES, f"| licence | photos |\n|---|---:|\n{table}", *sections]) + "\n"


def _section(licence: str, sources: Sequence[SourceRecord]) -> str:
    entries = sorted(_entry(source) for source in sources if (source.licence or UNKNOWN) == licence)
    if licence == UNKNOWN:
        return "\n\n".join(["## Licence unknown", _UNKNOWN_NOTE, "\n".join(entries)])
    return "\n\n".join([f"## {_plain(licence)}", "\n".join(entries)])


def _entry(source: SourceRecord) -> str:
    title = _link(f"“{source.title}”" if source.title else "Untitled", source.page_url or source.image_url)
    author = _link(source.author, source.author_url) if source.author else "an unknown author"
    licence = _link(source.licence or UNKNOWN, source.licence_url)
    known = f"licence: {licence}" if source.licence not in ("", UNKNOWN) else "licence unknown"
    return f"- **{_plain(source.file)}**: {title} by {author}, {known}"


def _link(text: str, url: str) -> str:
    """Return the text, with a link if the address is http or https."""
    if not url.lower().startswith(("http://", "https://")):
        return _plain(text)
    return f"[{_plain(text)}](<{quote(url, safe=_IN_AN_ADDRESS)}>)"


def _plain(text: str) -> str:
    """Return the text, escaped so that Markdown shows it unchanged."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
