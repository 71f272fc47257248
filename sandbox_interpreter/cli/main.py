"""The console entry point. It imports what the chosen command needs, and nothing else."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from sandbox_interpreter.cli import report

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "chat": "Talk to a model whose code runs in a sandbox. With PROMPT: one task, and out.",
    "run": "Run code in a throwaway sandbox, without a model.",
    "task": "Run task files with a model, or without, in throwaway sandboxes, and check what comes of them.",
    "serve": "Serve chats and runs over HTTP, each client with a sandbox of its own.",
    "sessions": "List earlier conversations, show them, go on with them, and clean up.",
    "images": "List, build, verify and share the images that sandboxes start from.",
    "config": "Show, check and edit the settings.",
    "cluster": "Say what the nodes of a Ray cluster have, on which tasks can run.",
    "doctor": "Say what works, what does not, and the command that mends it.",
}
"""Each command and what it is for. Its module is cli/NAME.py: it holds a Typer ``app``, a function NAME for Typer, or,
for ``run`` alone, a ``main`` that does without."""

_MOST_YOUNG = 50_000
"""New objects at which garbage is looked for. Loading the program makes 20,000 that stay: at Python's own 700, thirty
looks at them take a twentieth of a start."""

_CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # --max_tokens and --max-tokens are one flag, and so is every other.
    "token_normalize_func": lambda name: name.replace("_", "-"),
}


def main() -> None:
    """Run the command that the process was started with, and exit with its code. Errors go to stderr."""
    arguments = sys.argv[1:]
    gc.set_threshold(_MOST_YOUNG, *gc.get_threshold()[1:])
    _occupy_standard_descriptors()
    try:
        dispatch(arguments)
    except (Exception, KeyboardInterrupt) as error:
        # A later --debug may belong to the program of `sbi run`; a traceback too many does no harm.
        debug = not {"--debug", "-d"}.isdisjoint(arguments) or bool(os.environ.get("SBI_DEBUG"))
        sys.exit(report.failure(error, debug=debug))


def dispatch(arguments: Sequence[str]) -> None:
    """Run one command line. What names no command is a prompt: ``sbi PROMPT`` is ``sbi chat PROMPT``."""
    first = arguments[0] if arguments else ""
    if first == "run":
        from sandbox_interpreter.cli import run

        leave(run.main(arguments[1:]))
    elif first in COMMANDS:
        invoke(command(first), arguments[1:], f"sbi {first}")
    elif first in ("-h", "--help"):
        invoke(overview(), arguments, "sbi")
    elif first in ("-V", "--version"):
        sys.stdout.write(f"sbi {version()}\n")
    else:
        invoke(command("chat"), arguments, "sbi")


def leave(code: int) -> NoReturn:
    """End the process at once. Python's own tidying up takes 25 ms, and everything that needs an end has had it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it has left
            stream.flush()
    os._exit(code)


def version() -> str:
    """Return the installed version of the package."""
    from sandbox_interpreter.version import VERSION

    return VERSION


def new_app(**settings: Any) -> typer.Typer:
    """Return a Typer application of the house: plain help and errors, which scripts can read and which load no rich."""
    import typer

    return typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, **settings)


def command(name: str) -> typer.Typer:
    """Return the application of one of COMMANDS, importing its module."""
    import importlib

    module = importlib.import_module(f"sandbox_interpreter.cli.{name}")
    if hasattr(module, "app"):
        return module.app  # type: ignore[no-any-return]  # a module found by name has no types
    app = new_app()
    app.command(name, help=COMMANDS[name])(getattr(module, name))
    return app


def overview() -> typer.Typer:
    """Return an application that shows every command and imports none of them."""
    from sandbox_interpreter.cli.flags import Flag
    from sandbox_interpreter.cli.options import accept, parameter

    app = new_app(help="Talk to a language model; the code it writes runs in a hardened container, never on your host.",
                  epilog="sbi [PROMPT] is the same as sbi chat [PROMPT]. Every command has its own --help.")

    def options(version: bool = False) -> None:
        """Stand for what ``dispatch`` answers itself."""

    accept(options, [parameter(Flag("version", "", "Print the version.", short="-V"))])
    app.callback()(options)
    for name, explanation in COMMANDS.items():
        app.command(name, help=explanation)(lambda: None)
    return app


def invoke(app: typer.Typer, arguments: Sequence[str], called: str) -> None:
    """Run ``arguments`` as a command line of ``app``, which help and errors call ``called``; exits."""
    from typer.main import get_command

    try:
        get_command(app).main(list(arguments), prog_name=called, **_CONTEXT)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # which click makes a 1, as if sbi had failed
            raise end.__context__ from None
        raise


def _occupy_standard_descriptors() -> None:
    """Open /dev/null in place of each standard stream that the caller closed.

    Otherwise the next socket or file would get the number 0, 1 or 2, and a program's output would go into it; and
    Python, which found none, has no stream there that anything could be written to.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(descriptor)
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for the process
