"""A cell or a script that is a program of its own: built if its language asks for that, then run."""

from __future__ import annotations

import os
import re
import shutil

from . import signals
from .kernel import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .main import Agent
    from .request import Request
    from .teaching import Taught

KEPT_PROGRAMS = 20  # in the home folder, which is memory; a large one is some MiB


class ProgramKernel(Kernel):
    """One run of one program; its process ends with the request."""

    ends_with_request = True

    def __init__(self, agent: Agent, taught: Taught) -> None:
        super().__init__(agent, taught.name)
        self._taught = taught

    def submit(self, request: Request) -> None:
        """Start the program."""
        self.spawn(lambda: _run(self._taught, request), stdin=request.stdin == "pipe")


def _run(taught: Taught, request: Request) -> None:
    signals.restore_for_program()  # already here: an interrupt ends a build, too
    path = _source_file(taught, request)
    folder, file = os.path.split(path)
    words = {"file": path, "folder": folder, "name": os.path.splitext(file)[0]}
    if taught.build:
        words["program"] = _built(taught, request, words)
    command = _filled(taught.program, words)
    os.execvp(command[0], [*command, *request.argv])  # the image's, which the agent has looked for


def _source_file(taught: Taught, request: Request) -> str:
    """Return the script's path: its own, if it lies in the workspace, else a file in /tmp that holds its code."""
    if request.name.startswith("/"):
        return request.name
    from .shell import cell_file

    name = request.name.removesuffix(taught.suffix) or "main"
    source = request.code.decode("utf-8", "replace")
    found = (re.search(pattern, source, re.MULTILINE | re.DOTALL) for pattern in taught.main)
    return cell_file(next((match[1] for match in found if match), name), request.code, taught.suffix)


def _filled(words: Sequence[str], values: dict[str, str]) -> list[str]:
    return [re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), word) for word in words]


# --- building ---

def _built(taught: Taught, request: Request, words: dict[str, str]) -> str:
    """Return where the built program is; ends the process with the builder's exit code if that fails."""
    import hashlib

    # What lies in the workspace may be built from its neighbours as well, which change without it.
    kept = not request.name.startswith("/") and not (
        taught.includes and re.search(taught.includes, request.code.decode("utf-8", "replace")))
    key = hashlib.sha256(repr((taught.build, words["name"], request.code)).encode()).hexdigest()
    programs = os.path.join(os.environ.get("HOME", "/tmp"), ".cache", "sbi-programs")
    home = os.path.join(programs, key[:32])
    place = os.path.join(home, "program")
    if kept and os.path.exists(place):
        os.utime(home)
        return place
    unfinished = f"{home}-{os.getpid()}"
    os.makedirs(unfinished)
    # The builder runs in the source's folder, so that its messages name the file alone.
    here = {**words, "file": os.path.basename(words["file"]), "program": os.path.join(unfinished, "program")}
    _build(_filled(taught.build, here), words["folder"], unfinished)
    if not kept:
        _forget_oldest(programs)
        return os.path.join(unfinished, "program")
    shutil.rmtree(home, ignore_errors=True)
    os.rename(unfinished, home)
    _forget_oldest(programs)
    return place


def _build(command: list[str], folder: str, unfinished: str) -> None:
    """Run the builder in ``folder``; what it says is on stderr. Ends the process if it fails."""
    pid = os.fork()
    if not pid:
        os.dup2(2, 1)  # what a program prints is its own; a build's warnings are not
        os.chdir(folder)
        os.execvp(command[0], command)
    exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if exit_code:
        shutil.rmtree(unfinished, ignore_errors=True)
        os._exit(exit_code if exit_code > 0 else 128 - exit_code)


def _forget_oldest(programs: str) -> None:
    entries = sorted(os.scandir(programs), key=lambda entry: entry.stat().st_mtime)
    for entry in entries[:-KEPT_PROGRAMS]:
        shutil.rmtree(entry.path, ignore_errors=True)
