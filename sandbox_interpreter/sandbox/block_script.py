"""What a POSIX shell in a container without Python is told: how to run one block, and how to signal it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

NO_SUCH_COMMAND = 127
"""What a shell exits with that finds no command."""

# $1: a folder for this block, $2: the size of the script that comes on stdin, $3: the former block's folder. The script
# is read a byte at a time, since what is behind it is the program's. The shell that begins here becomes the program, so
# its number is that of the program and, as the engine starts each command in a session of its own, of its group.
BEGIN = """rm -rf "$3"; umask 077; mkdir "$1" && echo $$ >"$1/pid" && \
dd bs=1 count="$2" of="$1/run" 2>/dev/null && . "$1/run" """
# $1: the signal's name, $2: the block's folder.
SIGNAL = 'read -r pid <"$2/pid" && { kill -"$1" -"$pid" || kill -"$1" "$pid"; } 2>/dev/null'
# The main process: it says that it lives, and ends, with the container, when no line has come for $1 seconds.
KEEP = """echo; me=$$; watch() { (sleep "$1"; kill -9 "$me") & watcher=$!; }
watch "$1"; while read -r line; do kill "$watcher"; watch "$1"; done"""
COUNTERS = "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(text: str) -> str:
    """Return ``text`` as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def block(request: Mapping[str, Any], code: str, language: Mapping[str, Any], environment: Mapping[str, str],
          folder: str) -> str:
    """Return the script that becomes the program of ``request``, the header of an execute_request.

    ``language`` is the header that taught it; nothing for the shell.
    """
    lines = [f"export {name}={quoted(value)}" for name, value in environment.items() if _NAME.fullmatch(name)]
    name = str(request["name"])
    path = name if name.startswith("/") else f"{folder}/{_file_name(name, str(language.get('suffix', '.sh')))}"
    if path != name:
        lines.append(f"printf '%s\\n' {quoted(code)} >{quoted(path)}")
    lines.append("cd /workspace 2>/dev/null || cd /")
    if request["stdin"] != "pipe":
        lines.append("exec </dev/null")
    arguments = " ".join(quoted(str(each)) for each in (path, *request["argv"]))
    return "\n".join([*lines, *(_program(language, path, folder, request["argv"]) if language else (
        "if command -v bash >/dev/null; then exec bash " + arguments + "; fi", "exec sh " + arguments)), ""])


def _file_name(name: str, suffix: str) -> str:
    kept = re.sub(r"[^\w.-]", "_", name).lstrip(".") or "main"
    return kept if kept.endswith(suffix) else kept + suffix


def _program(language: Mapping[str, Any], path: str, folder: str, argv: Sequence[object]) -> list[str]:
    words = {"file": path, "folder": path.rpartition("/")[0], "name": path.rpartition("/")[2].partition(".")[0],
             "program": f"{folder}/program"}

    def filled(template: Sequence[str]) -> str:
        return " ".join(quoted(re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), word)) for word in template)

    first = str((language["build"] or language["program"])[0])
    lacking = quoted(f"This image has neither python3 nor {first}.")
    built = [f"{filled(language['build'])} 1>&2 || exit"] if language["build"] else []
    return [f"command -v {quoted(first)} >/dev/null || {{ echo {lacking} >&2; exit {NO_SUCH_COMMAND}; }}", *built,
            f"exec {filled(language['program'])} {' '.join(quoted(str(each)) for each in argv)}"]
