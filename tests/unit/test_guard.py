"""safe_mode: what is put to whoever approves, and what they are shown; the scanner itself is tested in containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter import scanner
from sandbox_interpreter.approval import Approval, Approve
from sandbox_interpreter.config import Settings
from sandbox_interpreter.conversation import Conversation
from sandbox_interpreter.findings import Finding, Scan
from sandbox_interpreter.guard import Guard
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.notices import Notices
from tests.support.fakes import ReplayBench, ReplayModel, ReplayRunner, block, text
from tests.support.terminal import Terminal, python

FOUND = Scan("bandit", (Finding("high", "Bad.", 2, "B1"),))


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the scanner by one that finds `bad` bad; give the code that it was shown."""
    seen: list[str] = []

    def scan(block: CodeBlock, inspector: object) -> Scan:
        seen.append(block.code)
        return FOUND if "bad" in block.code else Scan("bandit")

    monkeypatch.setattr(scanner, "scan", scan)
    return seen


def guard(mode: str) -> Guard:
    return Guard(Settings(safe_mode=mode), Notices())


def respond(mode: str, code: str, *approvals: Approval) -> tuple[list[CodeBlock], list[str]]:
    """Return what was put to an approver that answers so, and what ran."""
    asked: list[CodeBlock] = []
    answers = iter(approvals)

    def approve(put: CodeBlock) -> Approval:
        asked.append(put)
        return next(answers)

    runner = ReplayRunner()
    talk = Conversation([], ReplayModel([block(code), text("Done.")]), runner, approve=approve,
                        inspect=guard(mode).inspect)
    list(talk.respond())
    return asked, [code for _, code in runner.ran]


def test_off_scans_nothing(scanned: list[str]) -> None:
    [put], ran = respond("off", "bad", Approval(run=True))
    assert (put.scan, put.scanner, ran, scanned) == (None, None, ["bad"], [])


@pytest.mark.parametrize(("code", "scan"), [("bad", FOUND), ("good", Scan("bandit"))])
def test_auto_scans_before_it_asks(code: str, scan: Scan, scanned: list[str]) -> None:
    [put], ran = respond("auto", code, Approval(run=False))
    assert (put.scan, put.scanner, ran, scanned) == (scan, None, [], [code])


def test_ask_leaves_the_scan_to_the_asker(scanned: list[str]) -> None:
    [put], _ = respond("ask", "bad", Approval(run=True))
    assert (put.scan, scanned) == (None, [])
    assert put.scanner
    assert put.scanner() == FOUND


def test_changed_code_is_scanned_too_and_asked_about_if_anything_is_found(scanned: list[str]) -> None:
    asked, ran = respond("auto", "good", Approval(run=True, code="bad"), Approval(run=True))
    assert [put.code for put in asked] == ["good", "bad"]
    assert ran == ["bad"]
    asked, ran = respond("auto", "good", Approval(run=True, code="bad"), Approval(run=False))
    assert ran == []
    asked, ran = respond("auto", "good", Approval(run=True, code="bad"), Approval(run=True, code="worse: bad"),
                         Approval(run=True, code="good again"))
    assert [put.code for put in asked] == ["good", "bad", "worse: bad"]
    assert ran == ["good again"]


def test_changed_code_is_not_asked_about_twice_where_nothing_is_found(scanned: list[str]) -> None:
    asked, ran = respond("auto", "bad", Approval(run=True, code="good"))
    assert (len(asked), ran) == (1, ["good"])
    asked, ran = respond("off", "a", Approval(run=True, code="bad"))
    assert (len(asked), ran) == (1, ["bad"])


@pytest.mark.parametrize("mode", ["ask", "auto"])
@pytest.mark.parametrize("approve", [None, lambda put: Approval(run=False)])
def test_ask_and_auto_win_over_auto_run(mode: str, approve: Approve | None, scanned: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("turns: [{code: bad}, {text: So.}]")
    interpreter = Interpreter(model=f"scripted:{tmp_path / 'script.yaml'}", auto_run=True, safe_mode=mode,
                              approve=approve)
    bench: Any = ReplayBench()
    interpreter.workbench = bench
    messages = interpreter.chat("Go.", display=False)
    assert bench.ran == []
    assert "[not run: " in messages[2]["content"]
    interpreter.safe_mode = "off"
    interpreter.messages = []
    interpreter.chat("Go.", display=False)
    assert bench.ran == [("python", "bad")]


def test_a_block_is_the_same_block_with_and_without_findings() -> None:
    assert CodeBlock("python", "1", scan=FOUND) == CodeBlock("python", "1")  # or the loop guard would not know it


def test_closing_is_harmless_before_any_scan_and_when_repeated() -> None:
    made = guard("auto")
    made.close()
    made.close()
    assert made.is_on


# --- what is shown ---

ASK = '''
from sandbox_interpreter.findings import Finding, Scan
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.terminal.approve import question
scan = Scan("bandit", (Finding("high", "Bad\\x1b]52;c;x\\x07 " + "long " * 30, 2, "B1"),), "it is half Python.")
answer = question(CodeBlock("python", "x\\n", {given}), styled={styled})
print("answer:", answer.approval.run, answer.rows)
'''


@pytest.mark.parametrize("styled", [True, False])
def test_findings_stand_above_the_question_and_nothing_in_them_is_obeyed(styled: bool) -> None:
    with Terminal(python(ASK.format(given="scan=scan", styled=styled)), columns=60) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        assert "Scanned with bandit: 1 found." in terminal.text
        assert "line 2, high: Bad␛]52;c;x" in terminal.text
        assert "Not scanned: it is half Python." in terminal.text
        assert "\x1b]52" not in terminal.raw
        assert ("\x1b[33m" in terminal.raw) is styled
        terminal.send("y\n")
        assert terminal.wait_for_end() == 0
        row = next(number for number, text in enumerate(terminal.rows) if text.startswith("answer:"))
        assert terminal.text.endswith(f"answer: True {row}")  # all that stood there is counted


@pytest.mark.parametrize(("replies", "found"), [("what?\ny\nn\n", True), ("n\nn\n", False)])
def test_an_offered_scan_is_made_when_it_is_wanted(replies: str, found: bool) -> None:
    with Terminal(python(ASK.format(given="scanner=lambda: scan", styled=False))) as terminal:
        for reply in replies.splitlines():
            terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].endswith(")"))
            terminal.send(f"{reply}\n")
            terminal.watch(0.2)
        assert terminal.wait_for_end() == 0
        assert ("Scanned with bandit" in terminal.text) is found
        assert "answer: False" in terminal.text


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_end_of_input_at_the_offer_mean_not_run(key: str) -> None:
    with Terminal(python(ASK.format(given="scanner=lambda: scan", styled=False))) as terminal:
        terminal.wait_for("Scan this code first? (y/n)")
        terminal.send(key)
        assert terminal.wait_for_end() == 0
        assert "answer: False" in terminal.text
