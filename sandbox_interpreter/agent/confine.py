"""What no process of the container may ask of the kernel, on every engine alike: a seccomp filter of the agent's own.

The engine's profile stands before it, and is as good as the engine is new. This one closes what older ones leave open:
io_uring, whose requests no filter sees; AF_VSOCK, which leads from a virtual machine to its host past every network
namespace; the calls of other architectures; namespaces of one's own, which show more of the kernel, and the kernel's
rings of keys, which Podman's profile lets code have. And what no engine closes: a setuid bit, which is without effect
in here, but not on the host, whose folder the workspace is. The rules hold for all that is started afterwards, and go
with none.

It is asked for before any code of the user is there, through the C module alone: ctypes takes 10 ms to import, this 1.
"""

from __future__ import annotations

import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h: LD|W|ABS, JMP|…, RET|K
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # linux/seccomp.h: SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # linux/seccomp.h: struct seccomp_data
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97  # of Linux, whatever the errno module is made for
AF_VSOCK = 40
SETUID = 0o4000
CREATES = 0o20000100  # O_CREAT and the bit of O_TMPFILE that O_DIRECTORY lacks: only with these is a mode looked at
NAMESPACES = 0x7E020000
"""The flags that ask clone or unshare for a new namespace (linux/sched.h), but for one of clocks, which clone lacks."""
X32 = 0x40000000
"""Bit of the numbers of x86-64's other calling convention."""

# By machine: AUDIT_ARCH_* of linux/audit.h; the numbers (asm/unistd.h) of socket; of clone and unshare; of add_key,
# request_key and keyctl; and of calls with a mode, each with the places of the mode and of flags that say whether there
# is one.
Machine = tuple[int, int, tuple[int, int], tuple[int, int, int], dict[int, tuple[int, int]]]
MACHINES: dict[str, Machine] = {
    "x86_64": (0xC000003E, 41, (56, 272), (248, 249, 250), {
        90: (1, -1), 91: (1, -1), 268: (2, -1), 452: (2, -1), 133: (1, -1), 259: (2, -1), 85: (1, -1), 2: (2, 1),
        257: (3, 2)}),
    "aarch64": (0xC00000B7, 198, (220, 97), (217, 218, 219), {
        52: (1, -1), 53: (2, -1), 452: (2, -1), 33: (2, -1), 56: (3, 2)}),
}
# The same everywhere (asm-generic/unistd.h).
IO_URING = (425, 426, 427)  # setup, enter, register
UNREADABLE = (435, 437)  # clone3 and openat2: their flags and mode stand in memory, where no filter sees them


def confine() -> bool:
    """Take these calls away from this process and all that it starts; tell whether that could be done."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None or struct.calcsize("P") != 8:
        return False
    try:
        import _ctypes
    except ImportError:  # a Python of the least size
        return False
    prctl = _function(_ctypes, "prctl")
    rules = program(machine)
    kept = _memory(_ctypes, rules)
    head = struct.pack("HxxxxxxQ", len(rules) // 8, _ctypes.addressof(kept))  # struct sock_fprog
    return bool(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0) == 0)


def program(machine: Machine) -> bytes:
    """Return the filter for a machine, as classic BPF."""
    audit, socket, spaces, keys, modes = machine
    lines = [_line(LOAD, ARCHITECTURE), _line(EQUAL, audit, 1, 0), _line(RETURN, REFUSE | ENOSYS),
             _line(LOAD, NUMBER), _line(AT_LEAST, X32, 0, 1), _line(RETURN, REFUSE | ENOSYS)]
    for number in (*IO_URING, *UNREADABLE):  # whoever uses them knows kernels without
        lines += [_line(EQUAL, number, 0, 1), _line(RETURN, REFUSE | ENOSYS)]
    for number in keys:  # of which the kernel keeps one ring for all that has the same user, in whatever container
        lines += [_line(EQUAL, number, 0, 1), _line(RETURN, REFUSE | EPERM)]
    lines += _block(socket, [*_unless(0, EQUAL, AF_VSOCK), _line(RETURN, REFUSE | EAFNOSUPPORT)])
    for number in spaces:
        lines += _block(number, [*_unless(0, ANY_BIT, NAMESPACES), _line(RETURN, REFUSE | EPERM)])
    for number, (mode, flags) in modes.items():
        looked_at = _unless(flags, ANY_BIT, CREATES) if flags >= 0 else []
        lines += _block(number, [*looked_at, *_unless(mode, ANY_BIT, SETUID), _line(RETURN, REFUSE | EPERM)])
    return b"".join([*lines, _line(RETURN, ALLOW)])


def _block(number: int, lines: list[bytes]) -> list[bytes]:
    """Return lines that one call goes through, and all others pass by."""
    return [_line(EQUAL, number, 0, len(lines)), *lines]


def _unless(argument: int, test: int, value: int) -> list[bytes]:
    """Return lines that allow a call, unless the lower half of an argument passes a test."""
    return [_line(LOAD, ARGUMENTS + 8 * argument + (4 if sys.byteorder == "big" else 0)),
            _line(test, value, 1, 0), _line(RETURN, ALLOW)]


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)  # struct sock_filter


def _function(ctypes: Any, name: str) -> Callable[..., int]:
    """Return a function of the C library that takes and returns numbers, and takes bytes for pointers."""
    kind = type("Function", (ctypes.CFuncPtr,), {"_flags_": ctypes.FUNCFLAG_CDECL})
    function: Callable[..., int] = kind(ctypes.dlsym(ctypes.dlopen(None, 0), name))
    return function


def _memory(ctypes: Any, data: bytes) -> Any:
    """Return an object whose address is that of ``data``."""
    byte = type("Byte", (ctypes._SimpleCData,), {"_type_": "b"})
    array: Any = type("Bytes", (ctypes.Array,), {"_type_": byte, "_length_": len(data)})
    return array.from_buffer_copy(data)
