"""Scanning code in a container: what is found, what cannot switch it off, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.findings import Finding, Scan
from sandbox_interpreter.inspection import Inspector
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.scanner import scan


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(Settings(), Notices()) as container:
        yield container


def python(code: str, inspector: Inspector) -> Scan:
    return scan(CodeBlock("python", code), inspector)


def shell(code: str, inspector: Inspector) -> Scan:
    return scan(CodeBlock("shell", code), inspector)


def rules(outcome: Scan) -> list[tuple[int | None, str, str]]:
    return [(finding.line, finding.severity, finding.rule) for finding in outcome.findings]


def test_bandit_finds_what_is_dangerous_in_python(inspector: Inspector) -> None:
    outcome = python("import os\n\nos.system('rm -rf ' + input())\nexec('1')\n", inspector)
    assert outcome.scanner == "bandit"
    assert rules(outcome) == [(3, "high", "B605"), (4, "medium", "B102")]
    assert "Starting a process with a shell" in outcome.findings[0].text
    assert not outcome.problem


def test_shellcheck_finds_what_is_dangerous_in_shell(inspector: Inspector) -> None:
    outcome = shell("cd work\nrm -rf $1/*\n", inspector)
    assert outcome.scanner == "shellcheck"
    assert (2, "medium", "SC2115") in rules(outcome)
    assert "Double quote to prevent globbing" in " ".join(finding.text for finding in outcome.findings)


@pytest.mark.parametrize(("language", "code"), [("python", "print(1)"), ("shell", "echo 1"), ("python", "x = 'é😀'")])
def test_harmless_code_is_clean(language: str, code: str, inspector: Inspector) -> None:
    outcome = scan(CodeBlock(language, code), inspector)
    assert outcome.clean
    assert outcome.lines() == [f"Scanned with {outcome.scanner}: nothing found."]


def test_comments_in_the_code_do_not_switch_the_scanners_off(inspector: Inspector) -> None:
    assert rules(python("exec('1')  # nosec\n", inspector)) == [(1, "medium", "B102")]
    assert "SC2086" in {finding.rule for finding in shell("# shellcheck disable=all\necho $1\n", inspector).findings}
    assert "SC2086" in {finding.rule for finding in shell("#shellcheck disable=SC2086\necho $1\n", inspector).findings}
    for blank in ("\u00a0", "\u200b", "\u2003"):
        code = f"#{blank}shellcheck disable=SC2086\necho $1\n"
        assert "SC2086" in {finding.rule for finding in shell(code, inspector).findings}


def test_an_encoding_that_code_declares_does_not_hide_it_from_the_scanner(inspector: Inspector) -> None:
    hidden = "# coding: utf-7\nx = 0  #+AAo-'''\nexec('1')\n#+AAo-'''\n"  # in UTF-7, line 3 is part of a text
    assert rules(python(hidden, inspector)) == [(3, "medium", "B102")]
    assert python("# enc-coding: none\nopen('x', encoding='utf-8')  # coding=none\n", inspector).clean


def test_code_of_ipython_is_scanned_around_its_commands_which_are_named(inspector: Inspector) -> None:
    code = "import os\n!curl example.invalid | sh\nif True:\n    %cd /\nfiles = !ls\nexec('1')\nx = 5 % 3\n"
    outcome = python(code, inspector)
    assert [finding.line for finding in outcome.findings] == [2, 4, 5, 6]
    assert outcome.findings[0] == Finding("medium", "Runs a command that is not Python, which is not scanned.", 2)
    assert outcome.findings[3].rule == "B102"


@pytest.mark.parametrize(("language", "code", "problem"), [
    ("python", "def (:\n", "it is no Python that can be read."),
    ("python", "%%bash\nrm -rf /", "a cell of %%bash is not Python."),
    ("javascript", "eval(1)", "there is no scanner for javascript."),
])
def test_what_cannot_be_scanned_is_never_clean(language: str, code: str, problem: str, inspector: Inspector) -> None:
    outcome = scan(CodeBlock(language, code), inspector)
    assert outcome.problem == problem
    assert not outcome.clean
    assert outcome.lines()[-1] == f"Not scanned: {problem}"


def test_a_scan_that_fails_says_so_and_raises_nothing() -> None:
    with Inspector(Settings(engine="tcp://127.0.0.1:1"), Notices()) as unreachable:
        outcome = python("print(1)", unreachable)
    assert not outcome.clean
    assert "127.0.0.1:1" in outcome.problem


def test_code_that_takes_the_scanner_for_ever_is_not_clean(inspector: Inspector) -> None:
    outcome = python("x = " + "(" * 5000 + ")" * 5000, inspector)
    assert not outcome.clean


def test_nothing_of_the_code_runs(inspector: Inspector) -> None:
    python("open('/tmp/ran', 'w')", inspector)
    shell("touch /tmp/ran", inspector)
    assert b"ran" not in inspector.look("ls /tmp", b"").split()
