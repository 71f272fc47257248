"""The shell kernel: one long-lived bash, told what to run on a pipe of its own.

A cell is a file that bash sources, so errors carry its line numbers and state stays. To be interrupted, bash itself
gets a signal of its own, whose trap makes every function and file that bash is in return, which ends the cell and keeps
the shell; what it has started gets SIGINT. What the trap does ends with the cell: bash takes its permit back first, so
that no signal comes behind that, and ends the next one.

Not SIGINT for bash: it has another handler for that while it waits for a child, which sends it the same again, and does
so for ever where the signal finds bash in the midst of installing it (bash 5.2, wait_sigint_handler). It sends itself
one after a command substitution that SIGINT has ended, which the trap takes as well.
"""

from __future__ import annotations

import os

from . import process, signals
from .frames import Frame, FrameError
from .kernel import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .main import Agent
    from .request import Request

# set -T hands the DEBUG trap down into functions; it costs nothing while no such trap is set. BASH_SOURCE is empty
# only in the loop itself, where there is nothing to return from. Each cell gets the trap anew, since the one before may
# have set another.
# The numbers are high, since scripts take low ones for themselves: exec 3>&1.
HEAR, TELL, PERMIT = 250, 251, 252
ROUNDS = 4
"""How often those are looked for who have begun meanwhile; code that forks without end is left to the next step."""
_LOOP = r"""
set -T
while IFS= builtin read -r -d '' -u 250 SBI_CELL; do
  trap "trap '((\${#BASH_SOURCE[@]})) && return 130' DEBUG" URG INT
  builtin printf . >&252
  . "$SBI_CELL"
  SBI_CELL=$?
  until builtin read -r -N 1 -u 252 SBI_USED; do :; done
  trap - DEBUG
  builtin printf '%s\0' "$SBI_CELL" >&251
done
"""


class ShellKernel(Kernel):
    """Runs cells in one bash."""

    guarded = True

    def __init__(self, agent: Agent, language: str) -> None:
        super().__init__(agent, language)
        self._unread = b""
        self._count = 0
        self._cell = ""
        self._interrupted: set[int] = set()
        self.spawn(_serve)

    def submit(self, request: Request) -> None:
        """Write the cell to a file and have bash source it."""
        self._count += 1
        if self._cell:
            remove_cell_file(self._cell)  # bash reads a file whole before it runs it; /tmp is memory
        self._cell = cell_file(f"cell-{self._count}", request.code)
        assert self.outbox is not None
        self.outbox.push(self._cell.encode() + b"\0")

    def interrupt(self) -> None:
        """Have bash return from all it is in, and interrupt what it has started."""
        self._interrupted.clear()
        self._signal_alone(signals.NUDGE, self.pid)
        self._interrupt_others()

    def _interrupt_others(self) -> None:
        """Send SIGINT to every process of the group that has had none yet."""
        for _ in range(ROUNDS):
            others = [pid for pid in signals.members(self.pid) if pid not in self._interrupted]
            for pid in others:
                self._signal_alone(signals.SIGINT, pid)
            self._interrupted.update(others)
            if not others:
                break

    def look_again(self) -> None:
        """Interrupt what bash was about to start: between fork and exec it takes the signal as bash does, and loses it.

        Bash itself waits for it. Nobody gets a second one who could have had the first.
        """
        for pid in [pid for pid in self._interrupted if signals.ends_by_interrupt(pid)]:
            self._interrupted.discard(pid)  # it lives all the same, or has ended
        self._interrupt_others()

    def decode(self, data: bytes) -> list[Frame]:
        """Return a done frame for each exit status that bash has written."""
        *statuses, self._unread = (self._unread + data).split(b"\0")
        if len(self._unread) > 16:
            raise FrameError("an exit status has at most three digits")
        return [Frame("done", {"exit_code": _status(text), "limit": None}) for text in statuses]


def _status(text: bytes) -> int:
    if not text.isdigit():
        raise FrameError("not an exit status")
    return int(text)


def cell_file(name: str, code: bytes, suffix: str = ".sh") -> str:
    """Return the path of a new file in /tmp that holds ``code``; the container's own /tmp, seen by its user only."""
    folder = f"/tmp/sbi-{os.urandom(6).hex()}"
    os.mkdir(folder, 0o700)
    path = os.path.join(folder, name + suffix)
    try:
        with open(path, "wb") as file:
            file.write(code if code.endswith(b"\n") else code + b"\n")
    except OSError:
        remove_cell_file(path)  # half a file would take what little space there is
        raise
    return path


def remove_cell_file(path: str) -> None:
    """Remove what ``cell_file`` made, unless the program has done so."""
    try:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass


def _serve() -> None:
    for low, high in ((process.HEAR, HEAR), (process.TELL, TELL), (process.PERMIT, PERMIT)):
        os.dup2(low, high)  # to be inherited; the low ones are not
    signals.restore_for_program()
    os.execvp("bash", ["bash", "--noprofile", "--norc", "-c", _LOOP])  # the image's bash
