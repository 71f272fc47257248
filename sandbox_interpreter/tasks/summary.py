"""Results as Markdown, for the page of a CI job. What guests and models wrote can mark nothing up in it."""

from __future__ import annotations

import html
from collections.abc import Iterator

from sandbox_interpreter.models.ledger import dollars
from sandbox_interpreter.models.request import fenced
from sandbox_interpreter.tasks.results import Report, TaskResult

MOST_ROWS = 500
"""Of the table; the page of a job takes 1 MiB."""
_MOST_FAILURES = 30
_MOST_DETAIL = 4000
_SIGNS = {"passed": "✅", "failed": "❌", "error": "⚠️", "skipped": "⏭️"}
_SPECIAL = str.maketrans({letter: f"&#{ord(letter)};" for letter in "\\`*_{}[]()#+-.!|~@:$"})


def summary(report: Report) -> str:
    """Return the page: the counts, a table with the tasks that did not pass first, and what went wrong with those."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    cost = f", {dollars(report.cost)}" if report.cost else ""
    yield f"## sbi task: {report.headline()}{cost}\n"
    ordered = sorted(report.results, key=lambda result: result.status == "passed")
    if ordered:
        yield "| | task | seconds | tries | why |\n|---|---|---|---|---|"
    for result in ordered[:MOST_ROWS]:
        yield (f"| {_SIGNS[result.status]} | {_inert(result.name)} | {result.seconds:.1f} | {result.attempts} "
               f"| {_inert(result.reason + _lost(result))} |")
    if len(ordered) > MOST_ROWS:
        yield f"\n… and {len(ordered) - MOST_ROWS} more."
    for result in [each for each in ordered if each.status in ("failed", "error")][:_MOST_FAILURES]:
        yield from _failure(result)


def _failure(result: TaskResult) -> Iterator[str]:
    yield f"\n### {_inert(result.name)}\n\n{_inert(result.reason)}"
    for check in result.checks:
        if not check.passed:
            yield f"\nThe check {_inert(check.name)} exited with {check.exit_code}:\n"
            yield fenced(_printable(check.output[-_MOST_DETAIL:]), "text")
    if result.output:
        yield f"\n<details><summary>output</summary>\n\n{fenced(_printable(result.output[-_MOST_DETAIL:]), 'text')}\n"
        yield "</details>"


def _lost(result: TaskResult) -> str:
    return f" (begun anew: lost {', '.join(result.lost)})" if result.lost else ""


def _inert(text: str) -> str:
    """Return ``text`` on one line as entities, so that no reader of Markdown finds markup, a link or a name in it."""
    return html.escape(_printable(" ".join(text.split()))).translate(_ENTITIES)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text).strip("\n")


_ENTITIES = {key: value for key, value in _SPECIAL.items() if chr(key) != "#"}  # what escape() wrote has its own
