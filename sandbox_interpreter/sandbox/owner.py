"""Whose a container or a folder is, written so that another program can tell later whether that process still lives.

An owner is five facts: the machine's boot, the process, when it began (process numbers are used again), the process
namespace that the number counts in, and the user. Who stands elsewhere, on another machine of the same engine or in
another container, cannot judge, and so leaves alone what it finds.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

State = Literal["alive", "dead", "unknown"]

_PROCESSES = Path("/proc")


def owner_label() -> str:
    """Return this process as an owner: ``boot/pid/start/namespace/uid``."""
    here = f"{_namespace()}/{os.geteuid()}"
    return f"{_boot()}/{os.getpid()}/{_start(os.getpid()) or int(time.time())}/{here}"


def here() -> str:
    """Return what all owners of this user have in common on this machine, since its boot, in this namespace."""
    return f"{_boot()}/{_namespace()}/{os.geteuid()}"


def owner_state(label: str) -> State:
    """Return whether the process that ``label`` names still lives.

    Unknown: it is another user's, of another machine or process namespace, or the label is none of this form.
    """
    boot, pid, start, *place = label.split("/") if label.count("/") == 4 else ("",) * 5
    if place != [_namespace(), str(os.geteuid())] or not pid.isdecimal() or "unknown" in (boot, *place):
        return "unknown"
    if boot != _boot():
        return "unknown"
    return "alive" if _lives(int(pid), start) else "dead"


def has_rebooted(label: str) -> bool:
    """Tell whether ``label`` names an owner of before this machine's boot, where it can only have been this machine."""
    return label.count("/") == 4 and label.partition("/")[0] not in ("unknown", _boot())


def _lives(pid: int, start: str) -> bool:
    try:
        os.kill(pid, 0)  # answers also where /proc hides other users' processes
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return _start(pid) in (start, None) and _fields(pid)[:1] != ["Z"]  # it has ended, and its parent has not looked


def _boot() -> str:
    return _read(_PROCESSES / "sys/kernel/random/boot_id") or "unknown"  # not Linux: the process and its start must do


def _namespace() -> str:
    with suppress(OSError):
        return str((_PROCESSES / "self/ns/pid").stat().st_ino)
    return "unknown"


def _start(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks since the boot; None where that cannot be read."""
    fields = _fields(pid)
    return fields[19] if len(fields) > 19 else None  # field 22 of proc(5)'s stat


def _fields(pid: int) -> list[str]:
    """Return a process's stat behind its name, which may hold spaces: from field 3, its state, on."""
    return _read(_PROCESSES / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
