"""What the commands that work on shards share."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from roadclear.cli.console import SOME_UNREADABLE, console
from roadclear.errors import OptionError
from roadclear.utils.executors import LOCAL, check_place
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.data.shards.mapping import MappedShard
    from roadclear.training.from_shards import FeatureShards

_LISTED = 20


def feature_shards(features: str | None, on: str) -> "FeatureShards | None":
    """Say where the features of a training are; None for the feature cache.

    Raises:
        OptionError: the place of the work is unknown, or a cluster is named without a folder of features.
    """
    check_place(on)
    if features is None:
        if on != LOCAL:
            raise OptionError(f"--on {on} needs a folder that all machines can write: add --features DIR")
        return None
    from roadclear.training.from_shards import FeatureShards

    return FeatureShards(features, on)


def end_with_shards(mapped: "Iterable[MappedShard]", target: str, json: bool) -> NoReturn:
    """Print what became of shards, and end the command: with 3 where photos could not be read, else with 0.

    Args:
        mapped: what became of every shard.
        target: folder or address of the files.
        json: whether the counts are printed as JSON on stdout.
    """
    found = sorted(mapped, key=lambda shard: shard.name)
    files = [shard for shard in found if shard.file]
    counts: dict[str, Any] = {
        "shards": len(found),
        "computed": sum(shard.computed for shard in files),
        "failed": len(found) - len(files),
        "photos": sum(shard.photos for shard in files),
        "unreadable": sum(shard.unreadable for shard in files),
    }
    if json:
        print(to_json({**counts, "files": [shard.file for shard in files]}))
    else:
        there = len(files) - counts["computed"]
        line = f"{counts['photos']:,} photos in {len(files):,} files"
        console().print(f"{line}: {counts['computed']:,} written, {there:,} were there. Folder: {printable(target)}")
    _print_examples(found, counts["unreadable"], counts["failed"])
    sys.exit(SOME_UNREADABLE if counts["unreadable"] or counts["failed"] else 0)


def _print_examples(found: "Iterable[MappedShard]", unreadable: int, failed: int) -> None:
    """List on stderr what could not be read, the first 20."""
    if not unreadable and not failed:
        return
    parts = [f"{failed:,} shard{'' if failed == 1 else 's'}"] if failed else []
    parts += [f"{unreadable:,} row{'' if unreadable == 1 else 's'}"] if unreadable else []
    print(f"{' and '.join(parts)} could not be used:", file=sys.stderr)
    examples = [example for shard in found for example in shard.examples]
    for name, reason in examples[:_LISTED]:
        print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)
    if (more := unreadable + failed - len(examples[:_LISTED])) > 0:
        print(f"  and {more:,} more; the column error has all reasons", file=sys.stderr)
