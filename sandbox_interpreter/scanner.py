"""Scanning code before it runs (safe_mode): bandit for Python, shellcheck for the shell, in a container."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.findings import Finding, Scan, Severity
from sandbox_interpreter.inspection import Inspector
from sandbox_interpreter.messages import CodeBlock

_MOST_FINDINGS = 50
_LONGEST = 300
"""Characters of a finding that are shown."""

# Comments in the code cannot switch the scanners off; no settings file is read: the folder they run in is empty.
_BANDIT = "exec bandit --quiet --ignore-nosec --format json -"
_SHELLCHECK = "exec shellcheck --norc --format=json --shell=bash -"
_COMMENT = re.compile(r"#[^\r\n]*")
_FOUND = (0, 1)
"""Exit codes of both: nothing found, something found."""

_SHELL_LINE = re.compile(r"(?P<indent>\s*)(?:[\w, ]+=\s*)?(?P<mark>[!%])")
_LEVELS: Mapping[str, Severity] = {"error": "high", "warning": "medium", "info": "low", "style": "low"}
_SEVERITIES: Mapping[str, Severity] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}


def scan(block: CodeBlock, inspector: Inspector) -> Scan:
    """Return what is found in a block. A scan that fails is no error here: it says so, and a person decides."""
    reader = {"python": _python, "shell": _shell}.get(block.language)
    if reader is None:
        return Scan("nothing", problem=f"there is no scanner for {block.language}.")
    try:
        return reader(block.code, inspector)
    except SandboxInterpreterError as error:
        return Scan(_NAMES[block.language], problem=error.report().replace("\n", " "))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Scan(_NAMES[block.language], problem="the scanner's answer makes no sense.")


_NAMES = {"python": "bandit", "shell": "shellcheck"}


def _python(code: str, inspector: Inspector) -> Scan:
    if code.lstrip().startswith("%%"):
        return Scan("bandit", problem=f"a cell of {code.split()[0]} is not Python.")
    answer = _bandit(code, inspector)
    if answer["errors"]:  # no plain Python; in IPython's, lines may be commands
        plain, commands = _without_commands(code)
        answer = _bandit(plain, inspector)
        problem = "it is no Python that can be read." if answer["errors"] else ""
        return Scan("bandit", _limited((*commands, *_of_bandit(answer))), problem)
    return Scan("bandit", _limited(_of_bandit(answer)))


def _bandit(code: str, inspector: Inspector) -> Any:
    # Declared encodings (PEP 263) have no effect on a cell, whose text bandit would read as another by them.
    return json.loads(inspector.look(_BANDIT, _without_orders(code, "coding"), accept=_FOUND))


def _without_orders(code: str, word: str) -> bytes:
    """Return the code as bytes, with ``word`` broken up behind every #, whatever kind of blank is between the two."""
    return _COMMENT.sub(lambda match: match[0].replace(word, f"{word[0]}_{word[1:]}"), code).encode("utf-8", "replace")


def _of_bandit(answer: Any) -> Iterator[Finding]:
    for each in answer["results"]:
        yield Finding(_SEVERITIES[each["issue_severity"]], _short(each["issue_text"]), int(each["line_number"]),
                      _short(each["test_id"]))


def _without_commands(code: str) -> tuple[str, list[Finding]]:
    """Return the code with its ``!`` and ``%`` lines as ``pass``, and a finding for each that runs a command."""
    lines, findings = code.split("\n"), []
    for number, line in enumerate(lines, 1):
        if match := _SHELL_LINE.match(line):
            lines[number - 1] = f"{match['indent']}pass"
            findings.append(Finding("medium", "Runs a command that is not Python, which is not scanned.", number))
    return "\n".join(lines), findings


def _shell(code: str, inspector: Inspector) -> Scan:
    answer = json.loads(inspector.look(_SHELLCHECK, _without_orders(code, "shellcheck"), accept=_FOUND))
    return Scan("shellcheck", _limited(_of_shellcheck(answer)))


def _of_shellcheck(answer: Any) -> Iterator[Finding]:
    for each in answer:
        yield Finding(_LEVELS[each["level"]], _short(each["message"]), int(each["line"]), f"SC{int(each['code'])}")


def _limited(findings: Any) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.line or 0))[:_MOST_FINDINGS]


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "…"


Scanner = Callable[[CodeBlock], Scan]
