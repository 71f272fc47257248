"""The commands of the documentation: found in its pages, and run as a reader would, one shell a page.

A command is a line of a block that is fenced as ``sh``, with its continuations and its here-document.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path
         for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))}
"""Each page by its path from the root of the repository."""

_SECONDS = 100
_HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_PROGRAM = re.compile(r"(?: {4})?(\$|(sudo |\$ )?(sbi|make|pip|curl|docker|apt-get|jq|echo|export|cat|mkdir)) ")
_PRELUDE = """
make() { command make --no-print-directory -C "$ROOT" "$@"; }
curl() { command curl --noproxy '*' -sS --fail-with-body "${@/127.0.0.1:8000/127.0.0.1:$SBI_PORT}"; }
end_server() { if [ -n "${server-}" ]; then kill "$server"; wait "$server"; fi; server=; }
trap end_server EXIT
"""
_COMMAND = """
{{
{command}
}} <"$IO/in" >"$IO/{number}.out" 2>"$IO/{number}.err"
echo $? >"$IO/{number}.code"
"""
_SERVER = """
end_server
(exec {command}
) <"$IO/in" >"$IO/{number}.out" 2>"$IO/{number}.err" & server=$!
until grep -q 'Serving on' "$IO/{number}.err"; do kill -0 $server || break; sleep 0.05; done
kill -0 $server; echo $? >"$IO/{number}.code"
"""


@dataclass(frozen=True)
class Ended:
    """What a command came to; ``code`` is None if it was never reached."""

    command: str
    code: int | None
    said: str


def blocks(page: Path, language: str) -> list[str]:
    """Return what stands in a page's fences of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return a page's commands in their order, without the comments behind them."""
    return [command for block in blocks(page, "sh") for command in _commands(block.splitlines())]


_NO_TYPING = {"sh", "dockerfile", "bash"}
"""Fences that hold commands which are run as they stand, or files which a test writes where their page says."""


def hidden(page: Path) -> list[str]:
    """Return the lines that look like commands and stand outside the fences where they would be found and run."""
    language, found = "", []
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("```"):
            language = "" if language else line.removeprefix("```") or "text"
        elif language not in _NO_TYPING and _PROGRAM.match(line) and (language or line.startswith("    ")):
            found.append(line)
    return found


def _commands(lines: Sequence[str]) -> Iterator[str]:
    rest = iter(lines)
    for line in rest:
        command = re.sub(r"(^|\s+)# .*", "", line)
        if here := _HERE.search(command):
            for more in rest:
                command += f"\n{more}"
                if more == here[2]:
                    break
        while command.endswith("\\"):
            command += f"\n{next(rest)}"
        if command:
            yield command


def run(wanted: Sequence[str], folder: Path, *, stdin: str, env: Mapping[str, str]) -> list[Ended]:
    """Return what each of ``wanted`` came to, run one after the other by one shell in ``folder``.

    Each reads ``stdin`` anew. What begins with ``sbi serve`` runs until the next server or the end; ``curl`` finds it
    on the port that SBI_PORT names, whatever the page says. ``make`` works in the repository.
    """
    io = folder.with_name(f"{folder.name}-io")
    io.mkdir()
    (io / "in").write_text(stdin)
    forms = [(_SERVER if command.startswith("sbi serve") else _COMMAND).format(command=command, number=number)
             for number, command in enumerate(wanted)]
    environment = {**env, "ROOT": str(ROOT), "IO": str(io), "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}
    shell = subprocess.Popen(["bash", "-c", _PRELUDE + "".join(forms)], cwd=folder, env=environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    try:
        shell.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait()
    return [_ended(command, io, number) for number, command in enumerate(wanted)]


def _ended(command: str, io: Path, number: int) -> Ended:
    code, out, err = (io / f"{number}.{what}" for what in ("code", "out", "err"))
    said = "".join(path.read_text("utf-8", "replace")[-2000:] for path in (out, err) if path.exists())
    return Ended(command, int(code.read_text()) if code.exists() else None, said)
