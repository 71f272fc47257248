"""Checks of a sandbox that was started from the image under the default policy: what it answers, and what it proves."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from sandbox_interpreter.sandbox.outputs import Display, Stream
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from sandbox_interpreter.verification import runtimes
from sandbox_interpreter.verification.subject import Outcome, Subject, failed, passed, some

_SECONDS = 60.0
_PROOF_SECONDS = 300.0
_KEPT = 4096
"""Bytes of each stream's end that are kept: what went wrong stands there."""

QUESTIONS: Mapping[str, str] = {
    "python": "print(20 + 2)", "shell": "echo $((20 + 2))", "javascript": "console.log(20 + 2)",
    "typescript": "const n: number = 20 + 2; console.log(n)", "r": "cat(20 + 2)", "ruby": "puts 20 + 2",
    "java": 'class Main { public static void main(String[] a) { System.out.println(20 + 2); } }',
    "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println(20 + 2) }',
    "c": '#include <stdio.h>\nint main(void) { printf("%d", 20 + 2); }',
    "c++": '#include <iostream>\nint main() { std::cout << 20 + 2; }',
    "sql": "select 20 + 2", "html": "<p>22</p>",
}
"""A program in each language whose output has 22 in it; an image's own script has to prove any other language."""


def agent_answers(subject: Subject) -> Outcome:
    """The agent starts on the image's Python and answers."""
    subject.box.start()
    if not _answers(subject.box, "python"):  # without one, blocks run all the same, but no state stays
        return failed("the image has no python3, which the agent runs on")
    return passed("it started under the default policy and answered")


def languages_answer(subject: Subject) -> Outcome:
    """A program in each language that the image is said to have prints what it should."""
    silent = [name for name in subject.languages if name in QUESTIONS and not _answers(subject.box, name)]
    return failed(f"no answer in {', '.join(silent)}") if silent else passed(", ".join(subject.languages))


def proof_passes(subject: Subject) -> Outcome:
    """The image's own verify script ends with 0."""
    if not subject.proof:
        return passed("it brings no verify script")
    subject.box.reset()  # what the languages left running, a browser for one, would take the proof's memory
    language = "python" if "python" in subject.proof.partition("\n")[0] else "shell"
    code, out, err = _run(subject.box, language, subject.proof, "verify", _PROOF_SECONDS)
    proofs = [line for line in out.splitlines() if line.startswith("ok: ")]
    if code:
        last = (err.strip() or out.strip()).rpartition("\n")[2]
        return failed(f"it ended with {code}: {last[:200]}" if last else f"it ended with {code}")
    return passed(f"{len(proofs)} proofs" if proofs else "it passed")


def packages_are_listed(subject: Subject) -> Outcome:
    """Every package is on its manager's list, with a version."""
    inventory = subject.inventory
    unknown = [each.name for each in inventory.packages if not each.version]
    if unknown:
        return failed(f"without a version: {some(unknown)}")
    if "/etc/debian_version" in subject.archive.files() and not inventory.count("deb"):
        return failed("it is a Debian, and dpkg lists no package")
    return passed(f"{inventory.count('deb')} of Debian, {inventory.count('pypi')} of Python, "
                  f"{inventory.count('npm')} of Node")


def runtimes_are_sound(subject: Subject) -> Outcome:
    """No runtime is known to be vulnerable; a warning where one is."""
    found = list(runtimes.warnings(subject.inventory, datetime.datetime.now(datetime.UTC).date()))
    return Outcome("warning", some(found)) if found else passed("none is known to be vulnerable")


def _answers(box: Sandbox, language: str) -> bool:
    code, out, _ = _run(box, language, QUESTIONS[language], None, _SECONDS)
    return code == 0 and "22" in out


def _run(box: Sandbox, language: str, source: str, name: str | None, seconds: float) -> tuple[int, str, str]:
    """Return exit code and the ends of what a program printed and showed, and of its stderr."""
    execution = box.execute(language, source, script=Script(name) if name else None, timeout=seconds)
    printed = {"stdout": b"", "stderr": b""}
    for output in execution:
        if isinstance(output, Stream):
            printed[output.name] = (printed[output.name] + output.data)[-_KEPT:]
        elif isinstance(output, Display):  # a value that is shown, as a query's rows are
            printed["stdout"] = (printed["stdout"] + output.data.get("text/plain", b""))[-_KEPT:]
    out, err = (printed[each].decode("utf-8", "replace") for each in ("stdout", "stderr"))
    return execution.result.exit_code, out, err
