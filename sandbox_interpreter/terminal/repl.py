"""The interactive chat, and one task without it.

What draws an answer is loaded while the first prompt waits; the prompt is there sooner by that.
"""

from __future__ import annotations

import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from wcwidth import wrap

from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.messages import Chunk
from sandbox_interpreter.models import choose
from sandbox_interpreter.models.base import Model, Preparable
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.interrupts import Interrupts
from sandbox_interpreter.terminal.opening import Opening
from sandbox_interpreter.terminal.plainness import is_plain
from sandbox_interpreter.terminal.reader import Reader, reader
from sandbox_interpreter.terminal.triple_quotes import unquoted
from sandbox_interpreter.version import VERSION

if TYPE_CHECKING:
    from sandbox_interpreter.interpreter import Interpreter
    from sandbox_interpreter.terminal.render import Renderer

_LEAVE = {"exit", "exit()", "quit", "quit()", "%exit", "%quit"}


def loop(opening: Opening, *, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Talk with the person at the terminal until they leave. Errors are told, and the conversation goes on.

    ``meanwhile`` is called in another thread, once the first prompt waits.
    """
    chat = _Chat(opening, meanwhile)
    chat.greet()
    while True:
        try:
            text = chat.read()
            if text is None:
                return
            if text:
                chat.answer(text)
        except KeyboardInterrupt:  # at the prompt it clears the line; between two turns it does nothing
            continue


def resume(opening: Opening, session: str, *, keep: Collection[str] = (), replay: bool = True) -> None:
    """Take up an earlier session, show it again, and what its code has said since; it goes on in ``opening``.

    Raises what ``Interpreter.resume`` raises.
    """
    _Chat(opening).resume(session, keep=keep, replay=replay)


def task(opening: Opening, prompt: str) -> None:
    """Show the answer to one prompt, or what one command says. Raises what ``Interpreter.chat`` raises."""
    with Interrupts(opening.interpreter.interrupt):
        for _ in _Chat(opening).chunks(prompt):
            pass


class _Chat:
    def __init__(self, opening: Opening, meanwhile: Callable[[], object] = lambda: None) -> None:
        self._opening = opening
        self._meanwhile = meanwhile
        self._model: Model | None = None

    @property
    def _interpreter(self) -> Interpreter:
        return self._opening.interpreter

    @cached_property
    def _renderer(self) -> Renderer:
        from sandbox_interpreter.terminal.render import Renderer

        return Renderer(self._opening.settings, save=self._save)

    @cached_property
    def _reader(self) -> Reader:
        return reader(self._opening, when_shown=self._prepare)

    def greet(self) -> None:
        """Say what answers, where code runs, and how to leave. Raises ModelNotConfigured."""
        settings = self._opening.settings
        self._model = choose.choose(settings)
        chosen = choose.choice(settings)
        network = "no network" if settings.network == "none" else f"network {settings.network}"
        asked = "at once" if settings.auto_run and settings.safe_mode == "off" else "once you approve it"
        self.say(f"sbi {VERSION} · model {chosen.name} · image {settings.image} · {network}", style="1")
        self.say(chosen.reason)
        self.say(f"Code runs {asked}, in a container. %help lists commands, Ctrl-C interrupts, Ctrl-D leaves.")
        self.say()

    def _prepare(self) -> None:
        """Begin to load what the first answer needs, in the background."""
        def prepare() -> None:
            self._meanwhile()
            _load()
            self._ready_model()

        threading.Thread(target=prepare, name="sbi-prepare", daemon=True).start()

    def _ready_model(self) -> None:
        """Begin what its next answer, and the next %tokens, would wait for: a long conversation takes time to count."""
        if isinstance(self._model, Preparable):
            made = self._opening.made
            self._model.prepare(made.messages if made else ())

    def resume(self, session: str, *, keep: Collection[str], replay: bool) -> None:
        """Take up an earlier session; its code, if any still runs, is followed to its end."""
        from sandbox_interpreter.terminal.replay import replay as show_again

        self._listen()
        messages = self._interpreter.resume(session, keep=keep)
        if replay:
            show_again(messages, self._renderer)
        with Interrupts(self._interpreter.interrupt):
            for _ in self._renderer.show(self._interpreter.catch_up(), waiting=""):
                pass

    def read(self) -> str | None:
        """Return what was typed, without the blanks around it; None if the person wants to leave."""
        try:
            text = unquoted(self._reader.read())
        except EOFError:
            return None
        return None if text.lower() in _LEAVE else text

    def answer(self, text: str) -> None:
        """Show the answer to ``text``, or the error that it ended with."""
        self.say()
        try:
            with Interrupts(self._interpreter.interrupt):
                for _ in self.chunks(text):
                    pass
        except KeyboardInterrupt:
            self.say("Stopped.", style="2")
        except SandboxInterpreterError as error:
            self._complain(str(error), error.next_step)
        except Exception as error:  # a fault of ours must not cost anybody their conversation
            self._complain(f"sbi failed in a way that it should not: {type(error).__name__}: {error}",
                           "Please report it, with what `%debug` and the same prompt show.")
        self._ready_model()
        self.say()

    def say(self, text: str = "", *, style: str = "", stream: TextIO | None = None) -> None:
        """Print ``text``, wrapped between words; ``style`` is the parameter of an SGR sequence."""
        width = shutil.get_terminal_size().columns
        shown = "\n".join(part for line in text.splitlines() for part in _wrapped(reveal(line), width))
        is_terminal = (stream or sys.stdout).isatty()
        plain = is_plain(self._opening.settings, is_terminal=is_terminal)
        styled = f"\x1b[{style}m{shown}\x1b[0m" if style and not plain else shown
        print(styled, file=stream, flush=True)

    def chunks(self, text: str) -> Iterator[Chunk]:
        """Yield the answer to a prompt or a command while it is shown."""
        from sandbox_interpreter import magics
        from sandbox_interpreter.terminal.render import STARTING, WORKING

        if not magics.is_magic(text):
            return self._interpreter.chat(text, stream=True)
        self._listen()
        waiting = STARTING if magics.is_shell(text) else WORKING
        return self._renderer.show(magics.run(self._interpreter, text), waiting=waiting)

    def _listen(self) -> None:
        shown = self._renderer
        self._interpreter.workbench.notices.show_to(shown.notify, shown.wait, shown.allow)

    def _complain(self, what: str, next_step: str) -> None:
        if self._opening.settings.debug:
            self.say(traceback.format_exc(), stream=sys.stderr)
        self.say(what, style="31", stream=sys.stderr)
        if next_step:
            self.say(next_step, stream=sys.stderr)

    def _save(self, data: bytes, suffix: str) -> Path:
        return self._interpreter.workbench.session.save_picture(data, suffix)


def _load() -> None:
    from sandbox_interpreter import interpreter, magics  # noqa: F401  # loaded for later
    from sandbox_interpreter.terminal import render  # noqa: F401  # the same


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
