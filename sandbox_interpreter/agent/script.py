"""A script: a program that runs once in a process of its own, with arguments, stdin and an exit status."""

from __future__ import annotations

import os
import sys

from . import signals
from .kernel import Kernel
from .limits import limit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request


class ScriptKernel(Kernel):
    """One run of one program; its process ends with the request."""

    ends_with_request = True

    def submit(self, request: Request) -> None:
        """Start the program."""
        if self.language == "python":
            _load()
        run = _run_python if self.language == "python" else _run_shell
        self.spawn(lambda: run(request), stdin=request.stdin == "pipe")

    def look_again(self) -> None:
        """Wake a Python program that waits, as the Python kernel does."""
        if self.language == "python":
            self._signal_alone(signals.NUDGE, self.pid)


def _load() -> None:
    """Load what programs need in the agent, from which they are forked: the next one finds it there."""
    from . import cells, display, shell  # noqa: F401  # see above


def _path_of(request: Request, suffix: str) -> str:
    """Return the script's path: its own, if it lies in the workspace, else a file in /tmp that holds its code."""
    if request.name.startswith("/"):
        return request.name
    from .shell import cell_file

    return cell_file(request.name.removesuffix(suffix), request.code, suffix)


def _run_shell(request: Request) -> None:
    path = _path_of(request, ".sh")
    signals.restore_for_program()
    os.execvp("bash", ["bash", path, *request.argv])  # the image's bash


def _run_python(request: Request) -> None:
    """Run Python source as ``python FILE ARGS`` would, in the forked interpreter."""
    from . import cells
    from .control import Control
    from .display import Displayer

    path = _path_of(request, ".py")
    signals.let_nudges()
    cells.open_streams()
    sys.argv = [path, *request.argv]
    sys.path.insert(0, os.path.dirname(path) if request.name.startswith("/") else os.getcwd())
    namespace = cells.main_namespace()
    namespace["__file__"] = path
    channel = Control()
    displayer = Displayer(channel)
    displayer.install(namespace)
    exit_code, limit = _execute(request.code, path, namespace)
    displayer.flush_figures()
    cells.flush_streams()
    channel.send("done", exit_code=exit_code, limit=limit)
    _leave(exit_code)


def _execute(code: bytes, path: str, namespace: dict[str, object]) -> tuple[int, str | None]:
    from . import cells

    try:
        signals.let_interrupts()
        program = compile(code, path, "exec", dont_inherit=True)
        exec(program, namespace)  # running code is what a kernel is for
    except SystemExit as end:
        return cells.exit_code_of(end), None
    except BaseException as error:
        from . import sources
        from .tracebacks import render

        sources.remember(path, code.decode("utf-8", "replace"))
        sys.stderr.write(render(error, path))
        return (cells.INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1), limit_of(error)
    return 0, None


def _leave(exit_code: int) -> None:
    """End as the interpreter does: wait for threads, run atexit functions, then leave."""
    import atexit

    if threading := sys.modules.get("threading"):  # unless it is loaded, there is no thread that it would wait for
        threading._shutdown()  # what Py_FinalizeEx calls first
    atexit._run_exitfuncs()
    from .cells import flush_streams

    flush_streams()
    os._exit(exit_code)
