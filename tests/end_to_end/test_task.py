"""sbi task as CI runs it: whole processes, real containers."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema
import yaml

from tests.support.sbi_process import SBI, SECONDS, Commands
from tests.support.terminal import Terminal

SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[1] / "support" / "schemas" / "junit.xsd")
TURNS = {"turns": [{"text": "I write it.", "code": "open('sum.txt', 'w').write('42'); print('done')"},
                   {"text": "There it is."}]}
FOREVER = "import time; print('up', flush=True)\nwhile True: time.sleep(0.05)"


def write(sbi: Commands, **tasks: object) -> None:
    """Write task files into the current folder, by their names."""
    for name, task in tasks.items():
        (sbi.folder / f"{name}.yaml").write_text(yaml.safe_dump(task))


@pytest.fixture
def model(sbi: Commands) -> str:
    """Give the name of a model that writes 42 into sum.txt."""
    (sbi.folder / "model.script").write_text(yaml.safe_dump(TURNS))
    return "scripted:model.script"


def test_tasks_pass_and_fail_each_in_a_sandbox_of_its_own_and_all_reports_say_so(sbi: Commands, model: str) -> None:
    (sbi.folder / "in.txt").write_text("given")
    (sbi.folder / "summary.md").write_text("before\n")
    write(sbi,
          a_prompt={"prompt": "Write 42 into sum.txt.", "checks": ["grep -qx 42 sum.txt"], "artifacts": "sum.txt"},
          b_code={"code": "print(open('in.txt').read()); import os; assert os.listdir() == ['in.txt']",
                  "inputs": "in.txt", "checks": {"name": "still there", "code": "assert open('in.txt').read()"}},
          c_exit={"code": "print('\x1b]0;title\x07'); raise SystemExit(3)", "checks": ["true"]},
          d_check={"code": "pass", "checks": ["true", "echo why >&2; exit 7", "false"]},
          e_missing={"code": "open('other.txt', 'w')", "artifacts": ["*.txt", "*.csv"]},
          f_limit={"code": "import time; time.sleep(60)", "timeout": 0.5})
    ended = sbi("task", ".", "-m", model, "-j", "3", "--junit", "j.xml", "--json", "sub/r.json", "--out", "out",
                env={"GITHUB_STEP_SUMMARY": str(sbi.folder / "summary.md")})
    assert (ended.code, ended.err) == (1, b"")
    lines = ended.out.decode().splitlines()
    assert lines[-1].startswith("2 passed, 4 failed in ")
    assert {line.split()[1]: line.split()[0] for line in lines if line[0] in "PF"} == {
        "a_prompt": "PASS", "b_code": "PASS", "c_exit": "FAIL", "d_check": "FAIL", "e_missing": "FAIL",
        "f_limit": "FAIL"}
    assert "\x1b" not in ended.out.decode()

    report = json.loads((sbi.folder / "sub" / "r.json").read_text())
    tasks = {each["name"]: each for each in report["tasks"]}
    assert [tasks[name]["reason"] for name in sorted(tasks)] == [
        "", "", "The code exited with 3.", "The check 'echo why >&2; exit 7' exited with 7 (and 1 more).",
        "No file in /workspace matches the artifact '*.csv'.", "The code reached the time limit."]
    assert tasks["d_check"]["checks"][1]["output"] == "why\n"
    assert tasks["b_code"]["output"] == "given\n"
    assert tasks["a_prompt"]["model"] == model

    SCHEMA.validate(sbi.folder / "j.xml")
    assert Xml.parse(sbi.folder / "j.xml").getroot()[0].get("failures") == "4"
    assert (sbi.folder / "summary.md").read_text().startswith("before\n## sbi task: 2 passed, 4 failed in ")
    assert (sbi.folder / "out/a_prompt/artifacts/sum.txt").read_text() == "42"
    assert (sbi.folder / "out/e_missing/artifacts/other.txt").exists()
    events = [json.loads(line) for line in (sbi.folder / "out/a_prompt/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        "attempt", "message", "message", "message", "message", "run", "message", "check", "result"]


def test_a_recording_replaces_the_model_and_tells_when_it_no_longer_matches(sbi: Commands, model: str) -> None:
    write(sbi, t={"prompt": "Write 42 into sum.txt.", "checks": ["grep -qx 42 sum.txt"], "retries": 2})
    assert sbi("task", "t.yaml", "-m", model, "--record", "kept").code == 0
    assert "I write it." in (sbi.folder / "kept" / "t.json").read_text()
    (sbi.folder / "model.script").unlink()
    assert sbi("task", "t.yaml", "-m", model, "--replay", "kept").code == 0
    write(sbi, t={"prompt": "Write 43 into sum.txt.", "retries": 2})
    ended = sbi("task", "t.yaml", "--replay", "kept")
    assert ended.code == 1
    assert "matches: message 1 (user message) had 'Write 42 into sum.txt.', and has 'Write 43" in ended.out.decode()
    ended = sbi("task", "t.yaml", "--replay", "elsewhere")
    assert ended.code == 1
    assert b"There is no recording" in ended.out


def test_a_task_is_tried_again_from_the_beginning_and_what_cannot_run_is_no_failure(sbi: Commands) -> None:
    write(sbi, a={"code": "open('x', 'x'); raise SystemExit(4)", "retries": 1},
          b={"prompt": "Go.", "model": "scripted:none.script"})
    ended = sbi("task", "a.yaml", "--json", "r.json")
    result = json.loads((sbi.folder / "r.json").read_text())["tasks"][0]
    assert (ended.code, result["attempts"], result["reason"]) == (1, 2, "The code exited with 4.")
    ended = sbi("task", "b.yaml")
    assert ended.code == 125
    assert ended.out.decode().splitlines()[-1].startswith("1 could not be run in ")
    assert sbi("task", ".").code == 1


def test_failed_tasks_run_again_shards_part_them_and_fail_fast_stops(sbi: Commands) -> None:
    write(sbi, a={"code": "raise SystemExit(1)"}, b={"code": "pass"}, c={"code": "pass"})
    ended = sbi("task", ".", "--fail-fast")
    assert ended.code == 1
    assert ended.out.decode().splitlines()[-1].startswith("1 failed, 2 not run in ")
    assert b"2 passed" in sbi("task", ".", "--shard", "2/2").out + sbi("task", "b.yaml", "c.yaml").out
    write(sbi, a={"code": "pass"})
    again = sbi("task", ".", "--rerun-failed").out.decode()
    assert [line.split()[1] for line in again.splitlines() if line.startswith("PASS")] == ["a"]
    assert sbi("task", ".", "--rerun-failed").out == b"nothing to run in 0.0 s\n"


def test_a_dry_run_lists_what_would_run_and_starts_nothing(sbi: Commands) -> None:
    write(sbi, a={"code": "pass", "network": "none"}, b={"prompt": "Go.", "checks": ["true"]})
    ended = sbi("task", ".", "--dry-run", "--engine", "unix:///none.sock")
    assert ended.code == 0
    assert ended.out.decode() == ("a: code, image python, network none, 0 inputs, 0 checks, 0 artifacts\n"
                                  "b: prompt, image python, network none, 0 inputs, 1 checks, 0 artifacts\n"
                                  "2 would run.\n")


@pytest.mark.parametrize(("words", "code", "said"), [
    ([], 2, "There is no task to run."),
    (["none.yaml"], 2, "'none.yaml' names no task file."),
    (["bad.yaml"], 2, "bad.yaml:1:1: unknown key 'cod'."),
    (["wide.yaml"], 2, "network: this file may only narrow what you allow, which is 'none'."),
    (["ok.yaml", "-w", "."], 2, "Each task has a fresh workspace"),
    (["ok.yaml", "--record", "a", "--replay", "b"], 2, "contradict each other"),
    (["ok.yaml", "--parallel", "0"], 2, "--parallel: 0 is not between 1 and 256."),
    (["ok.yaml", "--engine", "unix:///none.sock"], 125, "No container engine answers"),
])
def test_bad_usage_starts_nothing(sbi: Commands, words: list[str], code: int, said: str) -> None:
    write(sbi, bad={"cod": "pass", "code": "pass"}, wide={"code": "pass", "network": "full"}, ok={"code": "pass"})
    ended = sbi("task", *words)
    assert (ended.code, ended.out) == (code, b"")
    assert said in ended.said


def test_a_secret_reaches_the_code_and_stands_in_no_log(sbi: Commands) -> None:
    write(sbi, t={"code": "import os; print(os.environ['API'])", "secret": "API"})
    ended = sbi("task", "t.yaml", "--secret", "API", "--out", "out", env={"API": "hunter2-long"})
    assert ended.code == 0
    log = (sbi.folder / "out" / "t" / "events.jsonl").read_text()
    assert "[secret API]" in log
    assert "hunter2" not in log


def test_a_model_may_use_only_the_languages_that_the_task_names(sbi: Commands, model: str) -> None:
    write(sbi, t={"prompt": "Write 42 into sum.txt.", "languages": "shell", "checks": ["test ! -e sum.txt"]})
    ended = sbi("task", "t.yaml", "-m", model, "--json", "r.json")
    assert ended.code == 0, ended.out
    assert "[not run: " in json.loads((sbi.folder / "r.json").read_text())["tasks"][0]["output"]


def test_code_that_goes_in_circles_fails_its_task_with_the_reason(sbi: Commands) -> None:
    (sbi.folder / "loop.script").write_text(yaml.safe_dump({"turns": [{"code": "raise ValueError"}] * 5}))
    write(sbi, t={"prompt": "Go.", "model": "scripted:loop.script"})
    ended = sbi("task", "t.yaml")
    assert ended.code == 1
    assert b"the same block failed 3 times in a row" in ended.out


def test_a_budget_that_nobody_can_keep_is_no_success(sbi: Commands) -> None:
    write(sbi, t={"prompt": "Go.", "model": "openai/none-such", "budget": 0.01})
    ended = sbi("task", "t.yaml", env={"OPENAI_API_KEY": "k"})
    assert ended.code == 125
    assert b"so max_budget ($0.010) cannot be kept" in ended.out


def test_a_reader_that_leaves_ends_everything_and_leaves_no_container(sbi: Commands) -> None:
    write(sbi, a={"code": "pass"}, b={"code": FOREVER}, c={"code": "pass"})
    process = sbi.start("task", "a.yaml", "c.yaml", "b.yaml", "-j", "2")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(SECONDS) == 141
    for stream in (process.stdin, process.stderr):
        assert stream is not None
        stream.close()


def test_a_deadline_ends_a_task_that_hangs_in_a_check(sbi: Commands) -> None:
    write(sbi, t={"code": "pass", "checks": ["sleep 60"], "deadline": 2})
    ended = sbi("task", "t.yaml")
    assert ended.code == 1
    assert b"The deadline of 2 s was reached." in ended.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_task_reports_what_ran_and_leaves_none(sbi: Commands, number: int, code: int) -> None:
    write(sbi, a={"code": "pass"}, b={"code": FOREVER}, c={"code": FOREVER}, d={"code": "pass"})
    process = sbi.start("task", ".", "-j", "2", "--junit", "j.xml", "--json", "r.json")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"PASS  a")
    deadline = time.monotonic() + 20
    while len(sbi.containers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert sbi.left_behind() == []
    SCHEMA.validate(sbi.folder / "j.xml")
    statuses = [each["status"] for each in json.loads((sbi.folder / "r.json").read_text())["tasks"]]
    assert statuses == ["passed", "skipped", "skipped", "skipped"]


def test_a_signal_at_any_moment_of_the_start_leaves_nothing(sbi: Commands) -> None:
    write(sbi, a={"code": FOREVER}, b={"code": FOREVER})
    for step in range(6):
        process = sbi.start("task", ".", "-j", "2")
        time.sleep(0.12 * step)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
        assert process.returncode != 0
    assert sbi.left_behind() == []


def test_cells_share_a_container_and_no_workspace_and_no_process_state(sbi: Commands) -> None:
    code = ("import os, builtins; assert os.listdir() == [], os.listdir(); assert not hasattr(builtins, 'mark')\n"
            "builtins.mark = 1; os.makedirs('d/e'); open('d/e/f', 'w'); print(os.stat('/proc/1').st_ctime)")
    write(sbi, **{f"t{number}": {"code": code, "isolation": "cell", "artifacts": "d/e/f"} for number in range(4)})
    ended = sbi("task", ".", "--json", "r.json")
    assert ended.code == 0, ended.out
    assert len({each["output"] for each in json.loads((sbi.folder / "r.json").read_text())["tasks"]}) == 1


def test_a_person_sees_a_table_that_moves_and_lines_that_stay(sbi: Commands) -> None:
    write(sbi, **{"a b": {"code": "pass"}, "slow": {"code": "import time; time.sleep(2)"}})
    env = {"TMPDIR": str(sbi.temporary)} | dict.fromkeys(("CI", "NO_COLOR"), "")
    with Terminal([SBI, "task", "."], cwd=str(sbi.folder), env=os.environ | env) as terminal:
        sbi.pids.append(terminal.pid)
        terminal.wait_for("▶ slow")
        terminal.wait_for("1 of 2")
        terminal.wait_for("2 passed in")
        assert "PASS  slow" in terminal.text
        assert "▶" not in terminal.text
