"""What the commands that move photos tell of those that they left."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.moves import NotMoved

_SHOWN = 20


def print_not_moved(left: "Sequence[NotMoved]") -> None:
    """List on stderr the files that were not moved."""
    if left:
        print(f"{len(left):,} files could not be moved:", file=sys.stderr)
        for one in left[:_SHOWN]:
            print(f"  {printable(one.file)}: {printable(one.why)}", file=sys.stderr)
        if len(left) > _SHOWN:
            print(f"  and {len(left) - _SHOWN:,} more", file=sys.stderr)
