"""Read each file named on the command line in a process of its own, and print how that ended, as JSON lines.

A process that hangs is ended by its alarm, one that wants too much memory by its limit.
"""

import json
import os
import resource
import signal
import sys

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify, read_bytes

ALARM_SECONDS = 30
ADDRESS_SPACE = 2_000_000_000


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read(path: str) -> None:
    """Whole, squashed, and the header alone."""
    try:
        data = read_bytes(path)
    except PhotoError:
        return
    for use in (decode, lambda data: decode(data, 224), identify):
        try:
            use(data)
        except PhotoError:
            continue


def guarded(path: str, report: int) -> None:
    signal.alarm(ALARM_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    before = peak()
    read(path)
    os.write(report, str((peak() - before) / 1e6).encode())


def main() -> None:
    for path in sys.argv[1:]:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            guarded(path, writer)
            os._exit(0)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reader) as pipe:
            megabytes = float(pipe.read() or "nan")
        print(json.dumps({"file": ascii(path), "status": status, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
