"""What a request has done in a session, in a thread of its own: an answer of the model, or a run of code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.chunks import chunks_of
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.servers.encode import as_json, event
from sandbox_interpreter.servers.mailbox import Mailbox
from sandbox_interpreter.servers.results import collect, ending
from sandbox_interpreter.servers.schemas import RunRequest


class Job(Protocol):
    """Work on behalf of one request. ``run`` is called in one thread, ``interrupt`` in another."""

    def run(self, out: Mailbox) -> None:
        """Do it, putting the response out piece by piece. Raises SandboxInterpreterError, and what ``put`` raises."""

    def interrupt(self) -> None:
        """Let ``run`` come to its end soon: nobody waits for what it still has to say."""


class ChatJob:
    """One answer of the model, as a stream of its chunks and an ``end`` event."""

    def __init__(self, interpreter: Interpreter, message: str) -> None:
        self._interpreter = interpreter
        self._message = message

    def run(self, out: Mailbox) -> None:
        """Put out each chunk as it comes."""
        self._interpreter.notify = _notices(out)
        with closing(self._interpreter.chat(self._message, display=False, stream=True)) as chunks:
            for chunk in chunks:
                out.put(event(chunk))
        out.put(event({"type": "end"}, "end"))

    def interrupt(self) -> None:
        """Stop the code that runs; the next chunk then finds nobody to take it, and the answer is closed."""
        self._interpreter.interrupt()


class RunJob:
    """One run of a client's own code: a stream of chunks with a ``result`` event at the end, or one JSON result."""

    def __init__(self, interpreter: Interpreter, request: RunRequest) -> None:
        self._interpreter = interpreter
        self._request = request
        self._execution: Execution | None = None
        self._stopped = False

    def run(self, out: Mailbox) -> None:
        """Run the code and put out its outputs, or all of them at the end."""
        request = self._request
        self._interpreter.workbench.notices.listener = _notices(out) if request.stream else None
        timeout = _tighter(request.timeout, self._interpreter.settings.timeout)
        execution = self._interpreter.workbench.execute(request.language, request.code, timeout=timeout)
        with closing(execution):
            self._execution = execution
            if self._stopped:  # while the sandbox started
                execution.interrupt()
            if request.stream:
                for chunk in chunks_of(execution):
                    out.put(event(chunk))
                out.put(event(ending(execution.result), "result"))
            else:
                out.put(as_json(collect(execution)))

    def interrupt(self) -> None:
        """Stop the code: gently, then harder."""
        self._stopped = True
        if self._execution:
            self._execution.interrupt()


def _notices(out: Mailbox) -> Callable[[str], None]:
    """Return what tells the client, in between, what it waits for."""
    return lambda text: out.note(event({"type": "notice", "content": text}, "notice"))


def _tighter(wanted: float | None, limit: float) -> float:
    """Return the time limit in seconds: the client's, which may not pass the server's; 0 means none."""
    if wanted is None:
        return limit
    return min(wanted or limit, limit) if limit else wanted
