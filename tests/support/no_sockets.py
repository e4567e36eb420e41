"""Run a command that dies by SIGSYS if any of its code, native libraries included, asks the kernel for a socket.

    python no_sockets.py [--with-processes] COMMAND ARGUMENT ...

It dies as well if it starts another process, which could open a socket in its place and die unseen. With
--with-processes it may start processes, for a command that ends with an error where one of them dies. The filter is
seccomp's (Linux: Documentation/userspace-api/seccomp_filter.rst), in the classic BPF that it takes; it outlives exec.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """A machine's name in the audit ABI (linux/audit.h), and the numbers of its system calls.

    Attributes:
        name: AUDIT_ARCH_...
        sockets: socket, connect, socketpair, io_uring_setup (through which all of them can be asked for).
        forks: fork and vfork where there are any.
        clone: starts a thread or a process, as its flags say.
        clone3: does too, but its flags cannot be seen; without it the C library uses clone.
    """

    name: int
    sockets: tuple[int, ...]
    forks: tuple[int, ...]
    clone: int
    clone3: int = 435


WITH_PROCESSES = "--with-processes"

MACHINES = {
    "x86_64": Machine(0xC000003E, (41, 42, 53, 425), (57, 58), clone=56),
    "aarch64": Machine(0xC00000B7, (198, 203, 199, 425), (), clone=220),
}

_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL, _ALLOW, _NO_SUCH_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | errno.ENOSYS
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD = 0x10000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38


def supported() -> bool:
    return sys.platform == "linux" and platform.machine() in MACHINES


def forbid_sockets(with_processes: bool) -> None:
    """From here on, for all that this process runs."""
    program = _program(MACHINES[platform.machine()], with_processes)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count and a pointer, aligned as the compiler would.
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(described, len(described)), 0, 0),
    ):
        if prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "seccomp cannot be set up")


def _program(machine: Machine, with_processes: bool) -> bytes:
    """Each step: what to do, how many steps to skip if so and if not, and a value."""
    steps = [(_LOAD, 0, 0, _MACHINE), (_IF_EQUAL, 1, 0, machine.name), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER)]
    for number in (*machine.sockets, *(() if with_processes else machine.forks)):
        steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _KILL)]
    steps += [(_IF_EQUAL, 0, 1, machine.clone3), (_RETURN, 0, 0, _NO_SUCH_CALL)]
    if not with_processes:
        steps += [(_IF_EQUAL, 0, 3, machine.clone), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
        steps += [(_IF_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _KILL)]
    steps += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    command = [word for word in sys.argv[1:2] if word != WITH_PROCESSES] + sys.argv[2:]
    forbid_sockets(with_processes=sys.argv[1] == WITH_PROCESSES)
    os.execvp(command[0], command)
