"""sbi serve: chats and runs over HTTP."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sandbox_interpreter import environment
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.flags import Flag
from sandbox_interpreter.cli.options import CONFIG_FILE, MODEL, SandboxOptions, flag, sandbox_options
from sandbox_interpreter.errors import UsageError

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.servers.tokens import Tokens

_PACKAGES = ("fastapi", "uvicorn")
_HOST = flag("--host", "ADDRESS", "Listen here, not on 127.0.0.1; anything but this machine alone needs a token.")
_PORT = flag("--port", "NUMBER", "Listen on this port, 8000 unless you say so; 0 takes any that is free.")
_TOKEN_FILE = flag("--token-file", "FILE", "Take tokens from here, NAME TOKEN on each line; or set SBI_TOKEN to one.")
_ALLOW_ORIGIN = Flag("allow_origin", "ORIGIN", "Let web pages of this origin use the server. Repeatable.", many=True)
_ALLOW_HOST = Flag("allow_host", "NAME", "Answer to this name, too. Repeatable.", many=True)
_MAX_SESSIONS = flag("--max-sessions", "NUMBER", "Sessions at once, 8 unless you say so; one more client is refused.")
_RATE = flag("--rate", "NUMBER", "Refuse more requests a minute of one client; 120 unless you say so, 0 for no limit.")
_AUTO_RUN = typer.Option("--auto-run/--ask", "-y", show_default=False,
                         help="Run the model's code in the sandbox. Without it none runs: nobody can be asked here.")
_DEBUG = typer.Option("--debug", "-d", show_default=False, help="Show tracebacks of errors at the start.")


@sandbox_options
def serve(*, host: Annotated[str | None, _HOST] = None, port: Annotated[str | None, _PORT] = None,
          token_file: Annotated[str | None, _TOKEN_FILE] = None,
          allow_origin: Annotated[list[str] | None, _ALLOW_ORIGIN.option()] = None,
          allow_host: Annotated[list[str] | None, _ALLOW_HOST.option()] = None,
          max_sessions: Annotated[str | None, _MAX_SESSIONS] = None, rate: Annotated[str | None, _RATE] = None,
          model: Annotated[str | None, MODEL.option()] = None, auto_run: Annotated[bool | None, _AUTO_RUN] = None,
          debug: Annotated[bool, _DEBUG] = False, config_file: Annotated[str | None, CONFIG_FILE.option()] = None,
          sandbox: SandboxOptions) -> None:
    """Serve chats and runs over HTTP."""
    _check_packages()
    if sandbox.given.keys() & {"artifact", "out"}:
        raise UsageError("A server copies nothing out, so --artifact and --out say nothing.",
                         next_step="Name a folder that files go to as they are written: --workspace DIR")
    settings = sandbox.settings(
        config_file=config_file, host=host, port=port, token_file=token_file, allow_origin=allow_origin or None,
        allow_host=allow_host or None, max_sessions=max_sessions, rate=rate, model=model, auto_run=auto_run,
        debug=debug or None)
    _serve(settings)


def _check_packages() -> None:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"sbi serve needs packages that are not installed: {', '.join(missing)}.",
                         next_step="Install them: pip install 'sandbox-interpreter[serve]'")


def _serve(settings: Settings) -> NoReturn:
    from sandbox_interpreter.cli.main import leave
    from sandbox_interpreter.interpreter import Interpreter
    from sandbox_interpreter.servers import app, server
    from sandbox_interpreter.sessions.reaper import prune_soon

    _heed_signals()
    environment.check(settings)
    with server.listen(settings.host, settings.port) as bound:
        tokens = _tokens(settings, bound)
        _check_workspace(settings, tokens)
        _provide_image(settings)
        reason = _prepare_model(settings)
        application = app.create_app(lambda: Interpreter(settings), settings, tokens)
        http = server.HttpServer(application, lambda: _announce(settings, server.url_of(bound), reason))
        prune_soon(settings)  # what an earlier server left, if it was killed
        http.run([bound])
    # At once: a thread that hangs in a model's answer would be waited for otherwise.
    leave(128 + http.ended_by if http.ended_by else 0)


def _heed_signals() -> None:
    """Let SIGTERM end this process with its code, and a terminal that is closed do the same; nohup stays nohup."""
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _tokens(settings: Settings, bound: socket.socket) -> Tokens:
    """Return the tokens that clients show; where one is needed and none is set, a new one, which is printed once."""
    from sandbox_interpreter.servers import server, tokens

    known = tokens.of(settings)
    if settings.token_file and tokens.is_open_to_others(Path(settings.token_file)):
        report.say(f"Other users of this machine can read {settings.token_file}. To end that: chmod 600")
    if known or server.is_local(bound):
        return known
    if not os.isatty(2):  # it would be in a log for ever
        raise UsageError(f"Serving on {settings.host} needs a token, and none is set.",
                         next_step="Set SBI_TOKEN, or write tokens to a file: --token-file FILE")
    token = tokens.generate()
    report.say(f"No token is set. The one of this start, shown only now: {token}")
    return tokens.collect([(tokens.DEFAULT, token, "")])


def _check_workspace(settings: Settings, tokens: Tokens) -> None:
    """Raise UsageError where clients would change each other's files."""
    if settings.workspace and not settings.workspace.endswith(":ro") and len(tokens.digests) > 1:
        raise UsageError(f"{len(tokens.digests)} clients would share the workspace {settings.workspace!r}.",
                         next_step="Let them read it only, with :ro behind it; or leave it away: each then has a "
                                   "private folder.")


def _provide_image(settings: Settings) -> None:
    """See to it, while somebody watches, that no client waits for an image to be built. Raises EngineError."""
    from contextlib import closing

    from sandbox_interpreter.cli.provision import provide_image
    from sandbox_interpreter.engines.docker import DockerEngine

    with closing(DockerEngine(settings.engine)) as engine:
        provide_image(settings.image, engine.images(), settings)


def _prepare_model(settings: Settings) -> str:
    """Return which model answers and why; its client is loaded now, not with the first request.

    Raises ModelNotConfigured.
    """
    from sandbox_interpreter.models.base import Preparable
    from sandbox_interpreter.models.choose import choice, choose

    model = choose(settings)
    if isinstance(model, Preparable):
        model.prepare()
    return choice(settings).reason


def _announce(settings: Settings, url: str, reason: str) -> None:
    report.say(f"Serving on {url} with the image {settings.image}. {reason}")
    if not settings.auto_run:
        report.say("Code that the model writes is not run: over HTTP nobody can be asked. To run it: --auto-run")
