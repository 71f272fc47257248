"""sbi chat: an interactive chat, or one task."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.options import CONFIG_FILE, MODEL, SandboxOptions, flag, sandbox_options
from sandbox_interpreter.errors import UsageError

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.interpreter import Interpreter

_WORDS = typer.Argument(metavar="PROMPT", show_default=False,
                        help="One task, and out. Without it a chat opens, or stdin is the task if it is a pipe.")
_LOCAL = typer.Option("--local", "-l", show_default=False, help=(
    "Let a model on this machine answer: LM Studio, Ollama or llama.cpp, found by asking their ports."))
_FAST = typer.Option("--fast", "-f", show_default=False, help="Let the provider's fast model answer.")
_VISION = typer.Option("--vision", "-v", show_default=False, help=(
    "Let a model answer that sees pictures: those named in the prompt, and those that code draws."))
_AUTO_RUN = typer.Option("--auto-run/--ask", "-y", show_default=False,
                         help="Run code in the sandbox without asking; --ask asks before every block.")
_TEMPERATURE = flag("--temperature", "NUMBER", "Sample at this temperature; 0 unless you say so.")
_API_BASE = flag("--api-base", "URL", "Ask the model's server at this address.")
_API_KEY = flag("--api-key", "KEY", "Show this key to the model's server. Whoever lists processes sees it, so rather "
                                    "set SBI_API_KEY, or the provider's own variable.")
_MAX_TOKENS = flag("--max-tokens", "NUMBER", "Limit the tokens of one answer.")
_CONTEXT_WINDOW = flag("--context-window", "NUMBER", "Send no more tokens than this; what is older is left out.")
_MAX_BUDGET = flag("--max-budget", "DOLLARS", "Stop before the session costs more US dollars than this.")
_MAX_OUTPUT = flag("--max-output", "NUMBER", "Show the model so many characters of one run's output; you see it all.")
_SAFE_MODE = flag("--safe-mode", "off|ask|auto", "Scan code before it runs: ask offers it, auto always does. Both ask "
                                                "before every run, also with --auto-run.")
_PLAIN = typer.Option("--plain", show_default=False, help="Write plain text: no colour, no live display.")
_CONFIG = typer.Option("--config", show_default=False, help=(
    "Open the settings file in $EDITOR instead, made first if need be; --config-file names another."))
_CONVERSATIONS = typer.Option("--conversations", show_default=False,
                              help="Choose an earlier conversation, see it again, and go on with it.")
_RESUME = typer.Option("--resume", hidden=True)
_SHOW_PROMPT = typer.Option("--show-prompt", show_default=False,
                            help="Print what the model is told before the conversation, and leave.")
_DEBUG = typer.Option("--debug", "-d", show_default=False, help="Show tracebacks, and what is sent to the model.")


@sandbox_options
def chat(*, prompt: Annotated[list[str] | None, _WORDS] = None,
         model: Annotated[str | None, MODEL.option()] = None,
         local: Annotated[bool, _LOCAL] = False, fast: Annotated[bool, _FAST] = False,
         vision: Annotated[bool, _VISION] = False,
         auto_run: Annotated[bool | None, _AUTO_RUN] = None,
         safe_mode: Annotated[str | None, _SAFE_MODE] = None,
         temperature: Annotated[str | None, _TEMPERATURE] = None,
         api_base: Annotated[str | None, _API_BASE] = None,
         api_key: Annotated[str | None, _API_KEY] = None,
         max_tokens: Annotated[str | None, _MAX_TOKENS] = None,
         context_window: Annotated[str | None, _CONTEXT_WINDOW] = None,
         max_budget: Annotated[str | None, _MAX_BUDGET] = None,
         max_output: Annotated[str | None, _MAX_OUTPUT] = None,
         plain: Annotated[bool, _PLAIN] = False,
         debug: Annotated[bool, _DEBUG] = False, show_prompt: Annotated[bool, _SHOW_PROMPT] = False,
         conversations: Annotated[bool, _CONVERSATIONS] = False, resume: Annotated[bool, _RESUME] = False,
         config: Annotated[bool, _CONFIG] = False,
         config_file: Annotated[str | None, CONFIG_FILE.option()] = None,
         sandbox: SandboxOptions) -> None:
    """Open a chat, or do one task."""
    if config:
        from sandbox_interpreter.cli.config import edit

        edit(config_file)
        return
    settings = sandbox.settings(
        config_file=config_file, model=model, auto_run=auto_run, temperature=temperature, api_base=api_base,
        api_key=api_key, max_tokens=max_tokens, context_window=context_window, max_output=max_output,
        max_budget=max_budget, local=local or None, fast=fast or None, vision=vision or None, safe_mode=safe_mode,
        plain=plain or None, debug=debug or None)
    if show_prompt:
        from sandbox_interpreter.prompts import system_prompt

        typer.echo(system_prompt(settings))
        return
    words = list(prompt or ())
    earlier = None
    if resume:  # what sbi sessions resume comes to: the first word is a session's name
        earlier = Earlier(words.pop(0) if words else "last", sandbox.given)
    elif conversations:
        name = _chosen()
        if name is None:
            return
        earlier = Earlier(name, sandbox.given, replay=True)
    _talk(settings, " ".join(words) if words else _piped(optional=conversations), earlier)


@dataclass(frozen=True)
class Earlier:
    """A session to go on with: its name, and the settings that were given anew. ``replay``: even before a task."""

    name: str
    given: Mapping[str, object]
    replay: bool = False


def _chosen() -> str | None:
    """Return the name of the conversation that is chosen from a list; None if none is."""
    from sandbox_interpreter.sessions import store
    from sandbox_interpreter.terminal.picker import pick

    session = pick(store.every())
    return session.name if session else None


def _piped(*, optional: bool = False) -> str | None:
    """Return the prompt on stdin, or None if a person sits there. Raises UsageError for an empty one.

    ``optional``: an empty one is "".
    """
    if sys.stdin.isatty():
        return None
    text = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not text and not optional:
        raise UsageError("There is no prompt: standard input is empty.",
                         next_step="For example: echo 'count the words in notes.txt' | sbi chat -w . --auto-run")
    return text


def _talk(settings: Settings, task: str | None, earlier: Earlier | None) -> None:
    from sandbox_interpreter import environment
    from sandbox_interpreter.terminal import repl
    from sandbox_interpreter.terminal.opening import Opening

    _be_lenient_with_text()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    environment.check(settings)  # the interpreter does so too, but is made when the first prompt was typed
    with Opening(settings, lambda: _interpreter(settings)) as opening:
        if earlier:
            repl.resume(opening, earlier.name, keep=earlier.given, replay=earlier.replay or task is None)
        if task is None:
            repl.loop(opening, meanwhile=lambda: _tidy_up(settings))
        elif task:
            from sandbox_interpreter.magics import is_magic

            _tidy_up(settings)
            if not is_magic(task):
                _warn_if_nothing_will_run(settings)
            repl.task(opening, task)
        if opening.made:
            _copy_artifacts(opening.made)
        workspace = opening.made.workbench.workspace if opening.made else None
    if task is None and workspace is not None and workspace.is_dir():
        report.note(f"The files are in {workspace}")


def _interpreter(settings: Settings) -> Interpreter:
    from sandbox_interpreter.interpreter import Interpreter

    return Interpreter(settings)


def _tidy_up(settings: Settings) -> None:
    from sandbox_interpreter.sessions.reaper import prune_soon

    prune_soon(settings)


def _be_lenient_with_text() -> None:
    # A terminal that cannot show a character shows a question mark; it must not end the conversation.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)  # the sandbox is closed on the way out


def _warn_if_nothing_will_run(settings: Settings) -> None:
    somebody = sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())
    if somebody or (settings.auto_run and settings.safe_mode == "off"):
        return
    how = "--auto-run" if settings.safe_mode == "off" else "--auto-run --safe-mode off"
    report.say(f"Nobody can be asked whether code may run here, so none will. To run it without asking: {how}")


def _copy_artifacts(interpreter: Interpreter) -> None:
    """Copy the files that --artifact asks for, if there is a sandbox to have made them. Raises TransferError."""
    settings = interpreter.settings
    if settings.out is None or interpreter.workbench.workspace is None:
        return
    for pattern in settings.artifact:
        if not interpreter.workbench.sandbox.download(pattern, Path(settings.out).expanduser()):
            report.note(f"No file in /workspace matches {pattern!r}.")
