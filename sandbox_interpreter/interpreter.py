"""The Python API: one object that chats with a model whose code runs in a sandbox."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from sandbox_interpreter import attachments, config, environment, messages, prompts
from sandbox_interpreter.approval import Approver
from sandbox_interpreter.attributes import Attributes
from sandbox_interpreter.config import Settings
from sandbox_interpreter.conversation import Conversation
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.guard import Guard
from sandbox_interpreter.messages import Chunk, Message
from sandbox_interpreter.models import choose
from sandbox_interpreter.models.base import Model, Preparable, Seeing
from sandbox_interpreter.models.choose import Wiring
from sandbox_interpreter.models.forecast import Forecast, forecast
from sandbox_interpreter.models.ledger import Ledger, Usage
from sandbox_interpreter.reduction import Reducer
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.watch import watch, witness
from sandbox_interpreter.workbench import Workbench

if TYPE_CHECKING:
    from sandbox_interpreter.terminal.render import Renderer

Prompt = str | Mapping[str, Any] | Iterable[Mapping[str, Any]]


class Interpreter(Attributes):
    """A conversation and the sandbox that its code runs in. It starts neither before it is needed.

    ``settings`` are copied; without them, the user's own are taken (see ``config.load``). ``overrides`` are settings
    by name: ``Interpreter(model="demo", auto_run=True)``. ``approve`` is asked before each run, instead of the person
    at the terminal. ``env`` and ``secrets`` reach the code's environment and nothing else, beside the variables that
    the settings ``env``, ``env_file`` and ``secret`` name. Raises ConfigError, UsageError.
    """

    def __init__(self, settings: Settings | None = None, *, approve: Approver | None = None,
                 env: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None,
                 **overrides: Any) -> None:
        checked = {name: config.convert(name, value) for name, value in overrides.items()}
        base = config.load(checked, handed=bool(env or secrets)) if settings is None else settings
        self.settings = dataclasses.replace(base, **checked)
        environment.check(self.settings)
        self.approve = approve
        self.notify: Callable[[str], None] | None = None
        """Told, in a sentence, what the user should know: a wait, a build. While ``chat`` displays, it shows them."""
        self.ledger = Ledger()
        """What all answers so far took, in tokens and in US dollars."""
        self.attaches = True
        """Whether pictures that a prompt names by path are read and attached. Not for prompts of strangers."""
        self.workbench = Workbench(self.settings, env=env, secrets=secrets)
        self._guard = Guard(self.settings, self.workbench.notices)
        self._reducer = Reducer(self.settings, self.workbench.notices)
        self._messages: list[Message] = []
        self._answering: Generator[Chunk, None, None] | None = None
        self._running: Message | None = None

    def extend_config(self, config_path: str | os.PathLike[str]) -> None:
        """Lay a settings file (YAML) over the current settings, for what comes after.

        A bare name is looked up in the folder of the user's settings, then here. What the file says to no effect is
        told to ``notify``, else it is a warning. Raises ConfigError that names every line that is wrong; an unknown key
        with the nearest known one. Then nothing is changed.
        """
        for notice in config.extend(self.settings, config_path):
            if self.notify:
                self.notify(notice)
            else:
                warnings.warn(notice, stacklevel=2)

    @property
    def usage(self) -> Usage:
        """Tokens of all answers so far."""
        return self.ledger.usage

    def tokens(self, prompt: str = "") -> Forecast:
        """Return what the next request would take, as it stands and with ``prompt``, and what was spent so far."""
        model = choose.choose(self.settings, Wiring(self.ledger))
        return forecast(model, self._messages, system=prompts.system_prompt(self.settings), prompt=prompt,
                        ledger=self.ledger)

    # --- the conversation ---

    @property
    def messages(self) -> list[Message]:
        """The conversation so far: a list of JSON-serialisable dicts, yours to change."""
        return self._messages

    @messages.setter
    def messages(self, value: Iterable[Mapping[str, Any]]) -> None:
        self._messages = messages.as_messages(value)

    @property
    def system_message(self) -> str:
        """What the model is told first; ``+=`` adds to it from the next turn on."""
        return self.settings.system_message or prompts.SYSTEM_MESSAGE

    @system_message.setter
    def system_message(self, text: str) -> None:
        self.settings.system_message = config.convert("system_message", text)

    @overload
    def chat(self, message: Prompt | None = None, display: bool = True,
             stream: Literal[False] = False) -> list[Message]: ...

    @overload
    def chat(self, message: Prompt, display: bool = True, *, stream: Literal[True]) -> Generator[Chunk, None, None]: ...

    def chat(self, message: Prompt | None = None, display: bool = True,
             stream: bool = False) -> list[Message] | Generator[Chunk, None, None]:
        """Return all messages of the conversation, after the answer to ``message``.

        ``message`` is a text, a message dict (its role is the user's unless it says otherwise), or a list of them that
        replaces the conversation; without one, an interactive chat opens. ``display`` shows everything as it comes.
        With ``stream``, return a generator of chunks instead; nothing happens before it is iterated, and closing it
        stops the code that runs.

        Code runs once it is approved: by ``approve``, else by whoever sits at the terminal that it is displayed on.
        Where there is nobody to ask, it does not run, unless ``auto_run`` is set.
        Raises UsageError, ModelError, EngineError, WorkspaceError; the conversation is kept in any case.
        """
        if message is None:
            return self._chat_at_the_terminal(display=display, stream=stream)
        chunks = self._respond(message, display=display)
        if stream:
            return chunks
        for _ in chunks:
            pass
        return self._history()

    def _chat_at_the_terminal(self, *, display: bool, stream: bool) -> list[Message]:
        if stream or not display:
            raise UsageError("There is nothing to answer: chat() was called without a message.",
                             next_step="Pass one: chat(\"…\"). At a terminal, chat() by itself opens a chat.")
        from sandbox_interpreter.terminal import opening, repl

        repl.loop(opening.Opening(self.settings, lambda: self))
        return self._history()

    def _history(self) -> list[Message]:
        # A copy, so that what the caller keeps does not change with the next turn.
        return [message.copy() for message in self._messages]

    def _respond(self, prompt: Prompt, *, display: bool) -> Generator[Chunk, None, None]:
        self._stop_answering()
        self._accept(prompt)
        self.settings.check()
        renderer = self._renderer() if display else None
        notify = renderer.notify if renderer else self.notify
        self.workbench.notices.show_to(notify, renderer.wait if renderer else None,
                                       renderer.allow if renderer and _is_somebody_there() else None)
        model = choose.choose(self.settings, self._wiring(notify, renderer))
        if isinstance(prompt, str):
            self._attach(prompt, model)
        conversation = Conversation(
            self._messages, model, self.workbench, system=prompts.system_prompt(self.settings),
            approve=witness(self.workbench.journal, self._approver(renderer)), inspect=self._guard.inspect,
            auto_run=self.auto_run and not self._guard.is_on)
        if conversation.may_run:
            self.prepare(conversation.model)
        self.workbench.journal.describe(model=choose.choice(self.settings).name)
        chunks = watch(self.workbench.journal, conversation.respond(), self._messages)
        self._answering = renderer.show(chunks) if renderer else chunks
        try:
            yield from self._answering
        finally:
            # Let go of the renderer: it may hold the last reference.
            self.workbench.notices.show_to(self.notify)

    def _wiring(self, notify: Callable[[str], None] | None, renderer: Renderer | None) -> Wiring:
        show = None
        if self.debug:  # on a screen that is drawn anew, only the renderer can write
            show = notify if renderer and not renderer.is_plain else _to_stderr
        return Wiring(self.ledger, notify, show, self._reducer, tuple(environment.secrets(self.settings).values()))

    def _attach(self, prompt: str, model: Model) -> None:
        """Put the pictures that a prompt names behind it, if the model sees."""
        if self.attaches and attachments.names_any(prompt):
            self._messages += attachments.attached(
                prompt, workspace=self.workbench.workspace, sees=isinstance(model, Seeing) and model.sees(),
                notify=self.workbench.notices)

    def _accept(self, prompt: Prompt) -> None:
        """Take what was said into the conversation. Raises UsageError."""
        if prompt == [] or (isinstance(prompt, str) and not prompt.strip()):
            raise UsageError("There is nothing to answer: the message is empty.", next_step="Say something.")
        messages.complete(self._messages)
        if isinstance(prompt, str):
            prompt = {"content": prompt}
        if isinstance(prompt, Mapping):
            self._messages.append(messages.as_message(prompt))
        else:
            self._messages = messages.as_messages(prompt)
        said = next((each["content"] for each in self._messages if each["role"] == "user"), "")
        self.workbench.journal.title = self.workbench.journal.title or said

    def _renderer(self) -> Renderer:
        from sandbox_interpreter.terminal.render import Renderer

        return Renderer(self.settings, save=self._save_picture)

    def _save_picture(self, data: bytes, suffix: str) -> Path:
        return self.workbench.session.save_picture(data, suffix)  # not sooner: the session is made for what comes

    def _approver(self, renderer: Renderer | None) -> Approver | None:
        if self.approve or renderer is None:
            return self.approve
        return renderer.approve if _is_somebody_there() else None

    # --- life ---

    def prepare(self, model: Model | None = None) -> None:
        """Begin, in the background, what the first answer would wait for: the sandbox, and the model's client.

        Raises ModelNotConfigured, WorkspaceError.
        """
        model = model or choose.choose(self.settings)
        if isinstance(model, Preparable):
            model.prepare()
        self.workbench.prepare()

    def interrupt(self) -> bool:
        """Ask the code that runs now to stop, and tell whether any does. The conversation goes on with its output."""
        return self.workbench.interrupt()

    def reset(self) -> None:
        """Forget the conversation and what its code has set up. Settings and files stay; a new session begins."""
        self._stop_answering()
        self._messages = []
        self.workbench.reset()

    def resume(self, session: str = "last", *, keep: Collection[str] = ()) -> list[Message]:
        """Return all messages of an earlier session, which goes on from here, on its files.

        ``session`` is its name, a part of it, or ``last``. Its sandbox is taken up if it lives; else the model is told
        that variables are gone. The settings of its sandbox come with it, but for those named in ``keep``. What its
        code has said meanwhile comes from ``catch_up``. Raises UsageError if it is not there or open in another
        program, WorkspaceError; the current conversation is kept then.
        """
        self._stop_answering()
        resumed = self.workbench.resume(store.find(session), keep=keep)
        self._messages = resumed.history.messages
        self._running = resumed.history.running
        if resumed.history.has_run and not resumed.lives:
            self._messages.append(messages.NOTICE.message(prompts.STATE_IS_LOST))
        for problem in resumed.history.problems:
            self.workbench.notices(problem)
        return self._history()

    def catch_up(self) -> Generator[Chunk, None, None]:
        """Yield the output of code that went on while its session was not open, until it ends; closing this stops it.

        It is a part of the conversation. Raises EngineError.
        """
        chunks = messages.transcribed(self.workbench.catch_up(self._running, self._messages), self._messages)
        self._answering = watch(self.workbench.journal, chunks, self._messages)
        yield from self._answering

    def close(self) -> None:
        """Stop what runs and end the sandbox. The conversation stays; the next code gets a new sandbox."""
        self._stop_answering()
        self._guard.close()
        self.workbench.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop_answering(self) -> None:
        """Close an answer that somebody has begun to read and not finished. Raises UsageError in another thread."""
        answering, self._answering = self._answering, None
        if answering is None:
            return
        try:
            answering.close()
        except ValueError:  # "generator already executing"
            self._answering = answering
            raise UsageError("This interpreter is in the middle of an answer.",
                             next_step="Use one Interpreter for each thread.") from None


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # what debug is for


def _is_somebody_there() -> bool:
    """Tell whether a person can see the code and answer."""
    streams = (sys.stdout, sys.stderr)
    return sys.stdin is not None and sys.stdin.isatty() and any(each is not None and each.isatty() for each in streams)
