"""The few signals the agent needs, from the C module: the signal module imports enum, 4 ms of a cold start."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # a C module that has no stubs
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGINT = _signal.SIGINT
SIGTERM = _signal.SIGTERM
SIGKILL = _signal.SIGKILL

# It does nothing by itself, and nobody else sends it; a call that waits comes back for it, and what is due runs.
NUDGE = _signal.SIGURG

# One step of the ladder each: SIGINT lets state survive, SIGTERM lets user code flush, SIGKILL ends it.
LADDER = (SIGINT, SIGTERM, SIGKILL)


def wake_on_child(descriptor: int) -> None:
    """Have a byte written to ``descriptor`` whenever a child ends."""
    _signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)


def ignore_all() -> None:
    """Have no handler of Python's own."""
    _signal.signal(SIGINT, _signal.SIG_DFL)


def hold_interrupts() -> None:
    """Keep SIGINT waiting: a child that is being made ready must not lose or misunderstand one."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (SIGINT,))


def let_interrupts() -> None:
    """Take SIGINT again, the one that waited first."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (SIGINT,))


def restore_defaults() -> None:
    """Undo, in a forked child, what the agent set."""
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)


def restore_for_program() -> None:
    """Give a program that is about to be executed the signals it expects: Python ignores SIGPIPE, programs do not."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(SIGINT, _signal.SIG_DFL)
    let_interrupts()


def let_nudges() -> None:
    """Come back from a call that waits when the agent asks for it."""
    _signal.signal(NUDGE, lambda *_: None)


def on_interrupt(handler: Callable[..., object]) -> None:
    """Have ``handler`` called on SIGINT."""
    _signal.signal(SIGINT, handler)


def members(group: int) -> Iterator[int]:
    """Yield the processes of a group, other than its leader."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == group:
            continue
        try:
            if os.getpgid(int(name)) == group:
                yield int(name)
        except OSError:
            continue  # it has ended


def ends_by_interrupt(pid: int) -> bool:
    """Tell whether SIGINT ends a process, or, as far as that goes, has: it blocks, ignores and handles none.

    Source: proc_pid_status(5), masks in hexadecimal. gVisor tells none: there a process is taken to have heard the one
    that it was sent.
    """
    try:
        with open(f"/proc/{pid}/status") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:"))]
    except OSError:
        return True
    return bool(masks) and not any(mask >> (SIGINT - 1) & 1 for mask in masks)
