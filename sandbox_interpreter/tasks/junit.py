"""Results as JUnit XML, in the form that common CI servers take: one suite, a case for each task.

There is no standard; this keeps to what the schemas in use (Ant's, Surefire's, Jenkins') have in common.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as Xml

from sandbox_interpreter.tasks.results import Report, TaskResult

_SUITE = "sbi task"
# What XML 1.0 cannot say, escaped or not: section 2.2 of its specification.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report, *, now: datetime | None = None) -> str:
    """Return the document. ``now`` is the time at which the tasks ended."""
    begun = (now or datetime.now(UTC)) - timedelta(seconds=report.seconds)
    counts = report.counts
    suites = Xml.Element("testsuites")
    suite = Xml.SubElement(suites, "testsuite", {
        "name": _SUITE, "tests": str(len(report.results)), "failures": str(counts["failed"]),
        "errors": str(counts["error"]), "skipped": str(counts["skipped"]), "time": f"{report.seconds:.3f}",
        "timestamp": begun.strftime("%Y-%m-%dT%H:%M:%S")})
    for result in report.results:
        _case(suite, result)
    Xml.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suites, "unicode") + "\n"


def _case(suite: Xml.Element, result: TaskResult) -> None:
    folder, _, name = result.name.rpartition("/")
    case = Xml.SubElement(suite, "testcase", {"classname": _clean(folder.replace("/", ".")) or _SUITE,
                                              "name": _clean(name), "time": f"{result.seconds:.3f}"})
    if result.status == "skipped":
        Xml.SubElement(case, "skipped", {"message": _clean(result.reason)})
    elif result.status != "passed":
        kind = "failure" if result.status == "failed" else "error"
        why = Xml.SubElement(case, kind, {"message": _clean(result.reason), "type": result.status})
        why.text = _clean("\n\n".join(f"{check.name}: exit code {check.exit_code}\n{check.output}".rstrip()
                                      for check in result.checks if not check.passed))
    if result.output:
        Xml.SubElement(case, "system-out").text = _clean(result.output)
    if result.lost:
        Xml.SubElement(case, "system-err").text = _clean(f"Begun anew, since nodes were lost: {', '.join(result.lost)}")


def _clean(text: str) -> str:
    """Return ``text`` as XML can hold it: a character that it cannot hold is shown, not dropped."""
    return _ILLEGAL.sub(lambda match: chr(0x2400 + ord(match[0])) if ord(match[0]) < 0x20 else "\ufffd", text)
