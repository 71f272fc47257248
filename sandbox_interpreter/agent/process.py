"""A forked child with two output pipes, two control pipes, and nothing else of the agent's."""

from __future__ import annotations

import fcntl
import os

from . import permit as permits
from . import signals
from .limits import prefer_killing_me
from .poller import widen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FIONREAD = 0x541B  # from asm-generic/ioctls.h; the termios module, which names it, costs a shared library
# The control pipes' descriptors in every child. Pipes, since any language can open /dev/fd/4; no other kind can be.
# PERMIT is there for kernels that say when they can be interrupted (permit.py).
HEAR, TELL, PERMIT = 3, 4, 5


class Process:
    """A child as its parent holds it: its identifier and our ends of its pipes; -1 where it has no stdin or permit.

    The child is told on ``tell`` what to do, and says what it has to say on ``control``.
    """

    __slots__ = ("control", "err", "out", "permit", "pid", "stdin", "tell")

    def __init__(self, pid: int, tell: int, control: int, out: int, err: int, stdin: int, permit: int) -> None:
        self.pid = pid
        self.tell = tell
        self.control = control
        self.out = out
        self.err = err
        self.stdin = stdin
        self.permit = permit


def spawn(child: Callable[[], None], environment: dict[str, str], *, stdin: bool, guarded: bool = False) -> Process:
    """Return a new process in which ``child`` runs, which lets SIGINT in when it is ready; ``guarded`` has a permit.

    Raises OSError, having begun nothing.
    """
    parent = os.getpid()
    hear, tell, out, err = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    feed = os.pipe() if stdin else (-1, -1)
    permit = permits.pipe() if guarded else (-1, -1)
    for reader, _ in (out, err):
        widen(reader)
    signals.hold_interrupts()
    try:
        pid = os.fork()
    except OSError:
        _close(*hear, *tell, *out, *err, *feed, *permit)
        raise
    finally:
        if os.getpid() == parent:
            signals.let_interrupts()
    if not pid:
        try:
            _become_child(out[1], err[1], feed[0], environment)
            _run_child(child, hear[0], tell[1], *permit[: int(guarded)])
        finally:
            os._exit(1)  # whatever was raised: unwound any further, this process would go on as a second agent
    _close(hear[0], tell[1], out[1], err[1], feed[0], permit[0])
    for descriptor in (hear[1], tell[0], out[0], err[0], feed[1]):
        if descriptor >= 0:
            os.set_blocking(descriptor, False)
    return Process(pid, hear[1], tell[0], out[0], err[0], feed[1], permit[1])


def waiting_bytes(descriptor: int) -> int:
    """Return how many bytes stand in a pipe."""
    answer = bytearray(4)
    fcntl.ioctl(descriptor, FIONREAD, answer)
    return int.from_bytes(answer, "little")


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def _become_child(out: int, err: int, stdin: int, environment: dict[str, str]) -> None:
    """Turn the forked process into one that has nothing of the agent's but its memory."""
    os.setsid()
    signals.restore_defaults()
    if stdin >= 0:
        os.dup2(stdin, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.update(environment)
    prefer_killing_me()
    for folder in ("/workspace", os.environ.get("HOME", "/"), "/"):
        try:
            os.chdir(folder)
            break
        except OSError:
            continue


def hand_down(*, guarded: bool) -> None:
    """Let the program that is about to be executed have its control pipes."""
    for descriptor in (HEAR, TELL, PERMIT)[: 3 if guarded else 2]:
        os.set_inheritable(descriptor, True)


def _run_child(child: Callable[[], None], *controls: int) -> None:
    """Run the child's main function with nothing open but its control pipes; return only by an exception."""
    end = HEAR + len(controls)
    for number, spare in enumerate([fcntl.fcntl(each, fcntl.F_DUPFD, end) for each in controls], HEAR):
        os.dup2(spare, number, inheritable=False)
    os.closerange(end, 1024)
    child()
    os._exit(0)
