"""What workers of tests do with a request: answer, loop, crash, fill the memory, or speak out of turn."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

_requests = 0


def answer(values: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    global _requests
    _requests += 1
    print("libraries print things")
    match values["work"]:
        case "loop":
            while True:
                pass
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "fill":
            return {"filled": len(bytearray(4_000_000_000))}, b""
        case "write a file":
            Path(values["path"]).write_bytes(bytes(1000))
        case "answer too much":
            return {}, bytes(2_000_000)
        case "crash the second time" if _requests == 2:
            sys.exit(1)
    return {"process": os.getpid(), "requests": _requests}, data[::-1]


def loop(values: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    while True:
        pass
