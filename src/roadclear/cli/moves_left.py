"""What the commands that move photos tell of those that they left."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from roadclear.cli.console import shown

if TYPE_CHECKING:
    from roadclear.curation.moves import Left

_SHOWN = 20


def tell_left(left: "Sequence[Left]") -> None:
    """List on stderr the files that were not moved."""
    if left:
        print(f"{len(left):,} files could not be moved:", file=sys.stderr)
        for one in left[:_SHOWN]:
            print(f"  {shown(one.file)}: {shown(one.why)}", file=sys.stderr)
        if len(left) > _SHOWN:
            print(f"  and {len(left) - _SHOWN:,} more", file=sys.stderr)
