"""Commands that are typed in the place of a prompt: ``%help`` and its like, and ``%% COMMAND`` for the sandbox's shell.

Each answers in chunks, like a model does, so whatever shows a conversation shows them too. Nothing of it is stored in
the conversation.
"""

from __future__ import annotations

import difflib
import platform
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sandbox_interpreter.exports import files, messages_file
from sandbox_interpreter.exports.markdown import markdown
from sandbox_interpreter.exports.notebook import notebook
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import NOTICE, Chunk, Message
from sandbox_interpreter.models.choose import choice
from sandbox_interpreter.models.ledger import dollars
from sandbox_interpreter.sandbox.artifacts import parts_below
from sandbox_interpreter.sandbox.launch import WORKSPACE
from sandbox_interpreter.sessions.session import numbered
from sandbox_interpreter.sessions.store import slug
from sandbox_interpreter.values import as_type
from sandbox_interpreter.version import VERSION

_MESSAGES = "messages.json"
_COMMAND = re.compile(r"%(?P<name>%|\w[\w-]*(?!\S))\s*(?P<argument>.*)", re.DOTALL)
"""A percent sign with a word on it, or two of them; ``% of`` and ``%-d`` begin prompts.

Underscores of a name may be written as dashes, as those of flags may.
"""


@dataclass(frozen=True)
class Magic:
    """One command: its name, what may follow it, what it is for, and the function that yields its answer."""

    name: str
    argument: str
    purpose: str
    answer: Callable[[Interpreter, str], Iterator[Chunk]]

    @property
    def usage(self) -> str:
        """Return the command as it is typed."""
        return f"%{self.name} {self.argument}".rstrip()


def is_magic(text: str) -> bool:
    """Tell whether ``text`` is a command, known or not, and no prompt."""
    return _COMMAND.fullmatch(text.strip()) is not None


def is_shell(text: str) -> bool:
    """Tell whether ``text`` is a command that runs a line of shell in the sandbox."""
    return is_magic(text) and text.lstrip().startswith("%%")


def run(interpreter: Interpreter, text: str) -> Iterator[Chunk]:
    """Yield the answer to a command, which also tells if it was mistyped. Raises what ``Interpreter.chat`` raises."""
    match = _COMMAND.fullmatch(text.strip())
    name = match["name"].lower() if match else text.strip().removeprefix("%")
    magic = find(name)
    if match is None or magic is None:
        yield from _say(_unknown(name))
    else:
        yield from magic.answer(interpreter, match["argument"].strip())


def every() -> Iterable[Magic]:
    """Return all commands, in the order in which ``%help`` lists them."""
    return _MAGICS.values()


def find(name: str) -> Magic | None:
    """Return the command of that name, which is without its percent sign; None if there is none."""
    return _MAGICS.get(name.lower().replace("-", "_"))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _MAGICS, n=1, cutoff=0.5)
    hint = f"Did you mean `{_MAGICS[near[0]].usage}`? " if near else ""
    return f"Unknown command `%{name}`. {hint}`%help` lists all."


def _say(text: str) -> Iterator[Chunk]:
    yield NOTICE.chunk(start=True)
    yield NOTICE.chunk(content=text)
    yield NOTICE.chunk(end=True)


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}**: {value}" for name, value in rows)


def _help(_: Interpreter, __: str) -> Iterator[Chunk]:
    yield from _say("\n".join(f"- `{magic.usage}` {magic.purpose}" for magic in _MAGICS.values()))


def _reset(interpreter: Interpreter, _: str) -> Iterator[Chunk]:
    interpreter.reset()
    yield from _say("Forgotten: the conversation, and what its code has set up. Files and settings stay.")


def _undo(interpreter: Interpreter, _: str) -> Iterator[Chunk]:
    from sandbox_interpreter.terminal.rows import cropped  # loads rich, as whatever shows the answer does

    prompts = [at for at, message in enumerate(interpreter.messages)
               if message["role"] == "user" and message["type"] == "message"]
    if not prompts:
        yield from _say("There is nothing to undo.")
        return
    said = cropped(interpreter.messages[prompts[-1]]["content"].split("\n")[0], 60)  # enough to recognise it
    del interpreter.messages[prompts[-1]:]
    interpreter.workbench.journal.sync(interpreter.messages)
    yield from _say(f"Undone: “{said}” and all after it. What code did in the sandbox stays done.")


def _switch(setting: str, on: str, off: str) -> Callable[[Interpreter, str], Iterator[Chunk]]:
    """Return the answer of a command that turns ``setting`` on, without argument or with true, or off, with false."""
    def answer(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
        try:
            value = as_type(bool, argument or "true")
        except ValueError as error:
            yield from _say(f"{error}: write `%{setting}`, `%{setting} true` or `%{setting} false`.")
            return
        setattr(interpreter.settings, setting, value)
        yield from _say(on if value else off)

    return answer


def _info(interpreter: Interpreter, _: str) -> Iterator[Chunk]:
    settings = interpreter.settings
    tokens = interpreter.usage
    yield from _say(_table([
        ("sbi", f"{VERSION}, Python {platform.python_version()}, {platform.system()} {platform.release()}"),
        ("model", choice(interpreter.settings).reason),
        ("code", "runs without asking" if settings.auto_run else "runs once you approve it"),
        ("messages", str(len(interpreter.messages))),
        ("tokens so far", f"{tokens.prompt_tokens} read, {tokens.completion_tokens} written"),
    ]))


def _tokens(interpreter: Interpreter, prompt: str) -> Iterator[Chunk]:
    rows = interpreter.tokens(prompt).rows()
    if interpreter.max_budget is not None:
        rows.append(("budget", dollars(interpreter.max_budget)))
    yield from _say(_table(rows))


_ACCESS = {"ro": "read-only", "rw": "code may write to it",
           "copy": "a copy; what changes on either side is copied before and after each run"}


def _sandbox(interpreter: Interpreter, _: str) -> Iterator[Chunk]:
    settings, workbench = interpreter.settings, interpreter.workbench
    policy = settings.policy()
    folder = workbench.workspace or settings.workspace or "a private folder of the session, made when code first runs"
    yield from _say(_table([
        ("image", f"`{settings.image}`"),
        ("container", _container(interpreter)),
        ("/workspace", f"{folder} ({_ACCESS[policy.access]})"),
        ("network", policy.network),
        ("memory", _size(policy.memory)),
        ("processors", f"{policy.cpus:g}"),
        ("processes", str(policy.pids)),
        ("time per run", _seconds(policy.timeout)),
        ("output per run", _size(policy.output)),
        ("added to the disk", _size(policy.disk)),
        ("idle", f"ends itself {_seconds(policy.idle)} after the last client has left"),
        ("runtime", policy.runtime or "the engine's default"),
    ]))


def _container(interpreter: Interpreter) -> str:
    identifier = interpreter.workbench.sandbox.container_id if interpreter.workbench.workspace else None
    return identifier[:12] if identifier else "none yet; the first code starts it"


def _size(size: int) -> str:
    if not size:
        return "no limit"
    return f"{size / 2**30:g} GiB" if size >= 2**30 else f"{size / 2**20:g} MiB"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds else "no limit"


def _save(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
    data = messages_file.dump(_without_secrets(interpreter))
    path = _written(interpreter, _path(argument or _MESSAGES), lambda name: {name: data})
    yield from _say(f"Saved {len(interpreter.messages)} messages: `{path}`")


def _load(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
    path = _path(argument or _MESSAGES)
    with files.open_to_read(path, workspace=interpreter.workbench.workspace) as file:
        interpreter.messages = messages_file.load(file.read(), str(path))
    interpreter.workbench.journal.keep(interpreter.messages)
    yield from _say(f"The conversation is now that of `{path}`: {len(interpreter.messages)} messages.")


def _export(suffix: str, make: Callable[[list[Message], str], Mapping[str, bytes]],
            ) -> Callable[[Interpreter, str], Iterator[Chunk]]:
    """Return the answer of a command that writes the conversation as files, named after it unless told otherwise."""
    def answer(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
        named = Path.cwd() / f"{slug(interpreter.workbench.journal.title) or 'conversation'}{suffix}"
        path = _path(argument) if argument else next(path for path in numbered(named) if not path.exists())
        written = _written(interpreter, path, lambda name: make(_without_secrets(interpreter), name))
        yield from _say(f"Exported {len(interpreter.messages)} messages: `{written}`")

    return answer


def _path(argument: str) -> Path:
    return Path(argument.strip("'\"")).expanduser().absolute()


def _without_secrets(interpreter: Interpreter) -> list[Message]:
    messages: list[Message] = interpreter.workbench.journal.redactor.data(interpreter.messages)
    return messages


def _written(interpreter: Interpreter, path: Path, make: Callable[[str], Mapping[str, bytes]]) -> Path:
    """Write the files of an export, and return the path of the one that was asked for. Raises TransferError."""
    return files.write(path.parent, make(path.name), workspace=interpreter.workbench.workspace)[-1]


def _upload(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
    words = _words(argument)
    if not 1 <= len(words) <= 2:
        yield from _say("Name a file of yours, and what it is called there if that differs: `%upload data.csv in.csv`.")
        return
    path, target = _path(words[0]), words[-1] if len(words) == 2 else Path(words[0]).name
    sandbox = interpreter.workbench.sandbox
    if sandbox.workspace and parts_below(path, sandbox.workspace) is not None:
        yield from _say(f"`{path}` is in the workspace already: code finds it in /workspace.")
        return
    sandbox.upload(path, target)
    interpreter.workbench.journal.note("upload", file=str(path), target=target)
    yield from _say(f"Copied to `{PurePosixPath(WORKSPACE) / target}`. The model is not told of it.")


def _download(interpreter: Interpreter, argument: str) -> Iterator[Chunk]:
    words = _words(argument)
    if not 1 <= len(words) <= 2:
        yield from _say("Name files of /workspace, and where to if not here: `%download '*.png' pictures`.")
        return
    folder = _path(words[1] if len(words) == 2 else interpreter.settings.out or ".")
    paths = interpreter.workbench.sandbox.download(words[0], folder)
    interpreter.workbench.journal.note("download", files=[str(path) for path in paths])
    yield from _say("\n".join(f"- `{path}`" for path in paths) or f"No file in /workspace matches `{words[0]}`.")


def _words(argument: str) -> list[str]:
    try:
        return shlex.split(argument)
    except ValueError:  # a quotation mark without another
        return argument.split()


def _shell(interpreter: Interpreter, command: str) -> Iterator[Chunk]:
    if command:
        yield from interpreter.workbench.run("shell", command)
    else:
        yield from _say("Write the command behind it: `%% ls -l`. It runs in the sandbox, never on your machine.")


_MAGICS = {magic.name: magic for magic in (
    Magic("help", "", "lists these commands", _help),
    Magic("%", "COMMAND", "runs a shell command in the sandbox; the model is not told", _shell),
    Magic("sandbox", "", "shows the sandbox: image, limits, network, workspace", _sandbox),
    Magic("info", "", "shows version, model and tokens", _info),
    Magic("tokens", "[PROMPT]", "shows tokens and cost of the next request, of a prompt, and of all so far", _tokens),
    Magic("reset", "", "forgets the conversation and the sandbox's variables; files stay", _reset),
    Magic("undo", "", "drops your last message and all after it", _undo),
    Magic("save_message", "[PATH]", "saves the conversation as JSON, in messages.json unless you say so", _save),
    Magic("load_message", "[PATH]", "loads it again, in place of this one", _load),
    Magic("jupyter", "[PATH]", "exports the conversation as a Jupyter notebook", _export(
        ".ipynb", lambda messages, name: {name: notebook(messages)})),
    Magic("markdown", "[PATH]", "exports the conversation as Markdown, pictures beside it", _export(".md", markdown)),
    Magic("upload", "FILE [NAME]", "copies a file of yours into the sandbox", _upload),
    Magic("download", "PATTERN [FOLDER]", "copies files of the sandbox out", _download),
    Magic("auto_run", "[true|false]", "runs code without asking, or asks again", _switch(
        "auto_run", "Code runs without asking from now on.", "You are asked before code runs from now on.")),
    Magic("debug", "[true|false]", "shows tracebacks, or not", _switch(
        "debug", "Tracebacks are shown from now on.", "Tracebacks are not shown any more.")),
)}
