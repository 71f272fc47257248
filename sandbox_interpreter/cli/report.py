"""What the command line says on stderr: errors as what, which, next step; and notes."""

from __future__ import annotations

import errno
import os
import sys

from sandbox_interpreter.errors import SandboxInterpreterError

INTERRUPTED = 130
"""128 + SIGINT."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: what a shell reports for a program whose reader went away."""
OUR_FAILURE = SandboxInterpreterError.exit_code


def say(text: str) -> None:
    """Write lines to stderr. Control characters are shown, not obeyed, since names and reasons may be a guest's."""
    from sandbox_interpreter.terminal.escape import reveal

    shown = "\n".join(reveal(line) for line in text.splitlines())
    try:
        sys.stderr.write(shown + "\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr.fileno())  # nobody is left to tell


def note(text: str) -> None:
    """Write lines to stderr if a person sees it; a pipe or a file holds what the program wrote and nothing else."""
    if os.isatty(2):
        say(text)


def failure(error: BaseException, *, debug: bool = False) -> int:
    """Return the exit code for what ended a command, after saying what has to be said."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        silence(1)
        return PIPE_CLOSED
    if debug:
        _traceback(error)
    if isinstance(error, SandboxInterpreterError):
        say(error.report())
        return error.exit_code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        silence(1)
        say(f"{error.filename or 'The output'} could not be written: {error.strerror}.\nMake room, or write elsewhere.")
        return OUR_FAILURE
    say(f"sbi failed in a way that it should not: {type(error).__name__}: {error}")
    say("Please report it" + ("." if debug else ", with what the same command prints with --debug."))
    return OUR_FAILURE


def silence(descriptor: int) -> None:
    """Send what is still written to ``descriptor`` nowhere, so that the interpreter's last flush cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _traceback(error: BaseException) -> None:
    import traceback

    say("".join(traceback.format_exception(error)))
