"""What became of tasks, written for others: JUnit, Markdown, JSON, lines. All texts in it are hostile."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.tasks import history
from sandbox_interpreter.tasks.junit import junit
from sandbox_interpreter.tasks.results import CheckResult, Report, Status, TaskResult, tail
from sandbox_interpreter.tasks.summary import summary
from sandbox_interpreter.terminal.tasks import LineBoard, lines

SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[1] / "support" / "schemas" / "junit.xsd")
HOSTILE = ("<b>&\"']]> \x1b]52;c;aGk=\x07 \x9b2J \ud800 \ufffe a|b `x` [l](http://e) @all ![p](x)\n::set-output::x\n"
           "##[add-mask]y\n</details><script>")


def result(status: Status, name: str = "tasks/one", text: str = "", **facts: object) -> TaskResult:
    check = CheckResult("check " + text, status == "passed", 3, text, 0.1)
    return TaskResult(name, "/x/one.yaml", status, text or "why", 1.5, checks=(check,), output=text,
                      **facts)  # type: ignore[arg-type]  # fields by name


ALL = Report([result("passed"), result("failed", "two", HOSTILE), result("error", "deep/er/three", HOSTILE),
              result("skipped", "four", HOSTILE)], 4.25)


def test_junit_is_what_ci_servers_take() -> None:
    text = junit(ALL, now=datetime(2026, 11, 22, 12, 0, 4, tzinfo=UTC))
    SCHEMA.validate(text)
    suite = Xml.fromstring(text)[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time", "timestamp")] == [
        "4", "1", "1", "1", "4.250", "2026-11-22T11:59:59"]
    assert [(case.get("classname"), case.get("name")) for case in suite] == [
        ("tasks", "one"), ("sbi task", "two"), ("deep.er", "three"), ("sbi task", "four")]
    assert [[part.tag for part in case] for case in suite] == [
        [], ["failure", "system-out"], ["error", "system-out"], ["skipped", "system-out"]]


def test_the_schema_of_this_test_refuses_what_servers_refuse() -> None:
    for wrong in (junit(ALL).replace("<failure", "<fault").replace("</failure", "</fault"),
                  junit(ALL).replace('time="1.500"', 'time="soon"'), junit(ALL).replace('name="two"', "")):
        with pytest.raises(xmlschema.XMLSchemaException):
            SCHEMA.validate(wrong)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_junit_holds_any_text(text: str) -> None:
    SCHEMA.validate(junit(Report([result("failed", "n", text)], 1)).encode("utf-8").decode())


def test_the_summary_shows_hostile_text_and_marks_nothing_up() -> None:
    page = summary(ALL)
    assert page.startswith("## sbi task: 1 passed, 1 failed, 1 could not be run, 1 not run in 4.2 s\n")
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    for harmful in ("<b>", "<script", "](http", "@all", "`x`", "![p]", "a|b", "\x1b", "\x9b", "\ud800"):
        assert harmful not in outside
    assert len([line for line in page.splitlines() if line.startswith("| ")]) == 5
    assert "\x1b" not in page
    page.encode("utf-8")


def test_a_fence_in_an_output_does_not_end_its_block() -> None:
    page = summary(Report([result("failed", "n", "```\n# out\n````\n<b>")], 1))
    assert "`````text\n" in page


def test_a_long_table_is_cut_with_what_failed_first() -> None:
    page = summary(Report([result("passed", f"p{number}") for number in range(600)] + [result("failed", "bad")], 1))
    assert page.index("bad") < page.index("p0")
    assert "… and 101 more." in page
    assert len(page.encode()) < 2**20


def test_json_is_ascii_and_whole() -> None:
    text = ALL.as_json()
    assert text.isascii()
    data = json.loads(text)
    assert (data["exit_code"], data["passed"], data["failed"], data["error"], data["skipped"]) == (1, 1, 1, 1, 1)
    assert data["tasks"][1]["checks"][0]["exit_code"] == 3


@pytest.mark.parametrize(("statuses", "code"), [
    ((), 0), (("passed",), 0), (("passed", "failed"), 1), (("failed", "error"), 1), (("passed", "error"), 125),
    (("passed", "skipped"), 0)])
def test_the_exit_code_says_what_came_of_all(statuses: tuple[Status, ...], code: int) -> None:
    assert Report([result(status) for status in statuses], 1).exit_code == code


def test_a_signal_is_the_exit_code() -> None:
    assert Report([result("failed")], 1, ended_by=15).exit_code == 143


def test_lines_of_a_log_give_a_server_nothing_to_obey() -> None:
    file = io.StringIO()
    with LineBoard(file) as board:
        board.started("two")
        board.ended(result("failed", "::error::x", HOSTILE))
    for line in file.getvalue().splitlines():
        assert line.startswith(("FAIL  ", "      | "))
        assert "##[" not in line
        assert not {"\x1b", "\x07", "\x9b", "\ud800"} & set(line)
    assert list(lines(result("passed", attempts=2))) == ["PASS  tasks/one (1.5 s, 2 tries)"]


def test_only_the_end_of_long_output_is_kept() -> None:
    kept = tail("x" * 100_000 + "end")
    assert kept.endswith("xend")
    assert kept.startswith("[… 83619 characters are left out here …]")
    assert len(kept) < 17_000


def test_what_was_not_run_stays_as_it_was_the_last_time() -> None:
    history.remember([result("failed")])
    history.remember([result("skipped", attempts=0)])
    assert history.statuses() == {"/x/one.yaml": "failed"}
    history.path().write_text("nonsense")
    assert history.statuses() == {}


def test_a_task_that_began_anew_since_its_node_was_lost_says_so_everywhere() -> None:
    again = result("passed", attempts=2, node="10.0.0.3", lost=("10.0.0.1", "<b>10.0.0.2"))
    report = Report([again], 1.0)
    assert next(lines(again)).endswith("(1.5 s, 2 tries, begun anew as nodes 10.0.0.1, <b>10.0.0.2 went)")
    assert "lost 10.0.0.1, <b>10.0.0.2)" in html.unescape(summary(report))
    assert "<b>" not in summary(report)
    SCHEMA.validate(junit(report))
    assert Xml.fromstring(junit(report))[0][0].findtext("system-err") == (
        "Begun anew, since nodes were lost: 10.0.0.1, <b>10.0.0.2")
    told = json.loads(report.as_json())["tasks"][0]
    assert (told["node"], told["lost"]) == ("10.0.0.3", ["10.0.0.1", "<b>10.0.0.2"])
