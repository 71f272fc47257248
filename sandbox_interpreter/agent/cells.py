"""Cells of a Python kernel: one namespace, plain Python at once, IPython only when a cell asks for it."""

from __future__ import annotations

import builtins
import os
import sys

from . import signals, sources
from .control import CLIPPED, Control
from .limits import limit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .activity import Activity
    from .frames import Frame
    from .ipython import Shell

# Values of ast.PyCF_ONLY_AST and ast.PyCF_ALLOW_TOP_LEVEL_AWAIT; the ast module itself costs 7 ms.
ONLY_AST, TOP_LEVEL_AWAIT = 0x400, 0x2000
COROUTINE_FLAGS = 0x80 | 0x100 | 0x200  # inspect's CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class CellRunner:
    """Runs one cell after another and tells the agent how each went."""

    def __init__(self) -> None:
        from .display import Displayer

        self.control = Control()
        self.displayer = Displayer(self.control)
        self.namespace = main_namespace()
        self._count = 0
        self._running = self._missed = False
        self._activity: Activity | None = None
        self._ask = False
        self._shell: Shell | None = None
        self._loop: Any = None

    def serve(self) -> None:
        """Run cells until the agent is gone."""
        signals.on_interrupt(self._on_interrupt)
        signals.let_nudges()
        signals.let_interrupts()
        open_streams()
        self.displayer.install(self.namespace)
        builtins.input = self._input
        while frame := self._next():
            self._serve_one(frame)

    def _next(self) -> Frame | None:
        while True:
            frame = self.control.receive()
            if frame is None or frame.type == "execute":
                return frame

    def _on_interrupt(self, *_: object) -> None:
        if self._running:
            if not self.control.defer_interrupt():
                raise KeyboardInterrupt
            return
        # It came before its cell began, and the agent sends it again; or after, and then nobody minds.
        self._missed = True
        self._tell_missed()

    def _tell_missed(self) -> None:
        # The agent may be so quick that it sends the next one while this is still being said.
        while self._missed and not self.control.sending:
            self._missed = False
            self.control.send("missed")

    def _serve_one(self, frame: Frame) -> None:
        self._count += 1
        self._ask = frame.header["ask"]
        name = f"<cell {self._count}>"
        exit_code, limit = 1, None
        try:
            self._watch(name, report=frame.header["active_line"])
            self._running = True
            try:
                exit_code = self.run(frame.payload.decode("utf-8", "replace"), name)
                self.displayer.flush_figures()
            finally:
                self._running = False
                self.control.interrupted = False
        except SystemExit as end:
            exit_code = exit_code_of(end)
        except KeyboardInterrupt as error:
            exit_code = INTERRUPTED
            self.report(error, name)
        except BaseException as error:
            limit = limit_of(error)
            self.report(error, name)
        finally:
            if self._activity:
                self._activity.stop()
            flush_streams()
            self.control.send("done", exit_code=exit_code, limit=limit)
            self._tell_missed()  # what came while that was being said may be meant for the next cell

    def _watch(self, name: str, *, report: bool) -> None:
        if self._activity is None:
            from .activity import Activity

            self._activity = Activity(self.control)
        self._activity.begin(name, report=report)

    # --- running ---

    def run(self, source: str, name: str) -> int:
        """Return the exit code of a cell, whose output has been shown; ``name`` is its file name. Raises anything."""
        codes = None if "get_ipython" in source or "IPython" in source else _compiled(source, name)
        if codes is None:
            return self._run_in_ipython(source, name)
        body, expression = codes
        sources.remember(name, source, body, expression)
        self._evaluate(body)
        if expression is not None:
            self.displayer.show_result(self._evaluate(expression), self.namespace)
        return 0

    def _evaluate(self, code: CodeType) -> Any:
        value = eval(code, self.namespace)  # running code is what a kernel is for
        if code.co_flags & COROUTINE_FLAGS:
            value = self._await(value)
        return value

    def _await(self, coroutine: Any) -> Any:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    def _run_in_ipython(self, source: str, name: str) -> int:
        from .ipython import Shell

        if self._shell is None:
            self._shell = Shell(self.namespace, self.displayer)
        self._shell.run(source, name)
        return 0

    # --- talking ---

    def report(self, error: BaseException, name: str) -> None:
        """Send an exception with the user's own frames only."""
        from .tracebacks import render

        text = render(error, name)
        try:
            evalue = str(error)[:CLIPPED]
        except Exception:
            evalue = ""  # its own text cannot be made, as the traceback says
        self.control.send("error", text.encode("utf-8", "replace"), ename=type(error).__name__[:CLIPPED],
                          evalue=evalue)

    def _input(self, prompt: object = "", /) -> str:
        """Stand in for the built-in input: the question goes to whoever runs the cell."""
        if not self._ask:
            raise EOFError("this run has no one to answer input(); pass the value in the code")
        flush_streams()
        self.control.send("input_request", prompt=str(prompt)[:CLIPPED], password=False)
        while frame := self.control.receive():
            if frame.type == "reply":
                return frame.payload.decode("utf-8", "replace")
        os._exit(0)


def _compiled(source: str, name: str) -> tuple[CodeType, CodeType | None] | None:
    """Return a cell's code, or None where it is not Python but may be IPython. Raises SyntaxError."""
    try:
        return compile_cell(source, name)
    except SyntaxError:
        from .ipython import looks_like_ipython

        if not looks_like_ipython(source):
            raise
    return None


def compile_cell(source: str, name: str) -> tuple[CodeType, CodeType | None]:
    """Return the code of a cell's statements, and that of its last expression if it ends in one.

    Raises SyntaxError.
    """
    import _ast

    tree = compile(source, name, "exec", ONLY_AST | TOP_LEVEL_AWAIT, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    if last is not None and source.rstrip().endswith(";"):
        tree.body.append(last)  # a trailing semicolon hides the value, as in every notebook
        last = None
    body = compile(tree, name, "exec", TOP_LEVEL_AWAIT, dont_inherit=True)
    if last is None:
        return body, None
    return body, compile(_ast.Expression(last.value), name, "eval", TOP_LEVEL_AWAIT, dont_inherit=True)


def exit_code_of(end: SystemExit) -> int:
    """Return the exit status that Python itself would give, printing a message as it would."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    print(end.code, file=sys.stderr)  # noqa: T201  # what the interpreter does with sys.exit("text")
    return 1


def open_streams() -> None:
    """Give the program text streams on the new pipes: UTF-8, a line at a time."""
    import io

    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(descriptor, "rb" if name == "stdin" else "wb", closefd=False)
        raw.name = f"<{name}>"
        buffer = io.BufferedReader(raw) if name == "stdin" else io.BufferedWriter(raw, 64 * 1024)
        errors = "strict" if name != "stderr" else "backslashreplace"
        errors = "surrogateescape" if name == "stdin" else errors
        stream = io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=name != "stdin")
        stream.mode = "r" if name == "stdin" else "w"  # type: ignore[misc]  # as the interpreter itself sets it
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def flush_streams() -> None:
    """Write out what the program printed, if its streams still take it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # the program closed or replaced it


def main_namespace() -> dict[str, Any]:
    """Return the namespace of a fresh __main__ module, so that pickling and typing find what cells define."""
    module = type(sys)("__main__")  # types.ModuleType, whose module each program would load anew
    module.__builtins__ = builtins  # type: ignore[attr-defined]  # what the interpreter does for __main__
    sys.modules["__main__"] = module
    return module.__dict__
