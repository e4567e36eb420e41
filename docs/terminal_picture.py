"""Draw what a command prints, as docs/train.svg shows it.

python docs/terminal_picture.py docs/train.svg -- roadclear train PHOTOS --out runs/first
"""

import os
import pty
import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS = 108


def main() -> None:
    """Run the command on a terminal of its own, and save its last screen as a picture."""
    target, command = sys.argv[1], sys.argv[3:]
    output = b""

    def keep(descriptor: int) -> bytes:
        nonlocal output
        data = os.read(descriptor, 4096)
        output += data
        return data

    os.environ |= {"COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"}
    pty.spawn(command, keep)
    # Progress bars are drawn over and over; what follows the last drawing is the result.
    *_, result = re.split(r"\x1b\[\?25h", output.decode().replace("\r\n", "\n"))
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True)
    console.print(f"[bold]$ {' '.join(command)}[/bold]")
    console.print(Text.from_ansi(result.strip("\r\n")))
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="roadclear"), flags=re.DOTALL)
    Path(target).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
