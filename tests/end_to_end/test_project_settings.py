"""What a cloned repository's .sbi.yaml can do to whoever runs sbi in it; the settings file from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox_interpreter import config
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

MALICIOUS = """\
# Everything a stranger could wish for.
network: full
secret: [CANARY]
workspace: ~/
auto_run: true
api_base: http://127.0.0.1:1/v1
engine: tcp://127.0.0.1:1
env: [LD_PRELOAD=/workspace/evil.so]
out: ../..
artifact: ['*']
memory: 64g
timeout: 0
"""


def clone(folder: Path, text: str) -> Path:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / ".sbi.yaml").write_text(text)
    return folder / ".sbi.yaml"


@pytest.mark.parametrize("line", [["run", "-c", "print(1)"], ["-m", "demo", "-y", "hello"], ["images", "list"]])
def test_a_malicious_repository_starts_nothing(line: list[str], sbi: Commands) -> None:
    file = clone(sbi.folder, MALICIOUS)
    ended = sbi(*line, env={"CANARY": "caught"})
    assert (ended.code, ended.out) == (2, b"")
    said = ended.said.splitlines()
    names = ("network", "secret", "workspace", "auto_run", "api_base", "engine", "env", "out", "artifact", "memory")
    for number, name in enumerate(names, 2):
        assert any(each.startswith(f"{file}:{number}: {name}: this file may ") for each in said), name
    assert f"sbi config trust {file}" in said[-1]
    assert "caught" not in ended.said


def test_a_trusted_repository_does_what_its_file_says_until_the_file_is_changed(sbi: Commands) -> None:
    program = ["run", "-c", "import os; print(os.environ.get('GREETING'), os.environ.get('CANARY'))"]
    file = clone(sbi.folder, "env: {GREETING: hello}\n")
    assert sbi(*program).code == 2
    assert sbi("config", "trust").code == 0
    assert sbi(*program, env={"CANARY": "caught"}).out == b"hello None\n"
    file.write_text("env: {GREETING: hello}\nsecret: [CANARY]\n")
    ended = sbi(*program, env={"CANARY": "caught"})
    assert (ended.code, ended.out) == (2, b"")
    assert f"{file}:2: secret: " in ended.said
    assert sbi(*program, env={"SBI_NO_PROJECT": "1"}).out == b"None None\n"


def test_a_repository_may_tighten_what_its_code_can_use(sbi: Commands) -> None:
    clone(sbi.folder, "timeout: 1\nmemory: 64m\n")
    assert sbi("run", "-l", "shell", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes "
               "2>/dev/null").out == b"67108864\n"
    assert sbi("run", "-l", "shell", "-c", "sleep 30").code == 124
    assert sbi("run", "--timeout", "20", "-l", "shell", "-c", "sleep 2; echo done").out == b"done\n"  # a flag wins


def test_code_that_writes_a_projects_file_into_its_workspace_widens_no_later_run(sbi: Commands) -> None:
    work = sbi.folder / "work"
    work.mkdir(mode=0o777)
    work.chmod(0o777)
    planted = "network: full\nsecret: [CANARY]\n"
    first = sbi("run", "-w", "work", "-c", f"open('.sbi.yaml', 'w').write({planted!r})")
    assert (first.code, (work / ".sbi.yaml").read_text()) == (0, planted)
    second = sbi("run", "-w", "work", "-c", "print(1)", env={"CANARY": "caught"})
    assert (second.code, second.out) == (2, b"")
    assert f"{work}/.sbi.yaml:1: network" in second.said
    assert sbi("run", "-c", "print(1)").out == b"1\n"  # elsewhere it does not count


def test_code_that_plants_a_link_has_no_file_of_the_host_read(sbi: Commands) -> None:
    work = sbi.folder / "work"
    work.mkdir()
    work.chmod(0o777)
    (sbi.folder / "private").write_text("a secret: of the host\n")
    assert sbi("run", "-w", "work", "-l", "shell", "-c", "ln -s ../private .sbi.yaml").code == 0
    ended = sbi("run", "-w", "work", "-c", "print(1)")
    assert (ended.code, ended.out) == (2, b"")
    assert "it is a symbolic link" in ended.said
    assert "of the host" not in ended.said


# --- the settings file from the command line ---


def test_config_prints_the_path_where_there_is_no_terminal(sbi: Commands) -> None:
    ended = sbi("--config")
    assert (ended.code, ended.out.decode()) == (0, f"{config.user_file()}\n")
    assert config.user_file().exists()


def test_config_with_a_config_file_makes_it_from_the_defaults_and_opens_it(sbi: Commands, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "opened $1"\necho "pids: 99" >> "$1"\n')
    editor.chmod(0o755)
    for spelling in ("--config_file", "--config-file"):
        with Terminal([SBI, "--config", spelling, "work.yaml"], columns=200, cwd=str(sbi.folder),
                      env={"EDITOR": str(editor), "VISUAL": ""}) as terminal:
            terminal.wait_for(f"opened {config.config_folder() / 'work.yaml'}")
            assert terminal.wait_for_end() == (0 if spelling == "--config_file" else 2)  # twice the same key
    text = (config.config_folder() / "work.yaml").read_text()
    assert "#max_output: 8000" in text


def test_a_config_file_is_taken_by_bare_name_or_path(sbi: Commands) -> None:
    config.config_folder().mkdir(parents=True)
    (config.config_folder() / "work.yaml").write_text("env: {WHERE: folder}\n")
    (sbi.folder / "mine.yaml").write_text("env: {WHERE: path}\n")
    program = ["-c", "import os; print(os.environ['WHERE'])"]
    assert sbi("run", "--config_file", "work.yaml", *program).out == b"folder\n"
    assert sbi("run", "--config-file", "./mine.yaml", *program).out == b"path\n"
    missing = sbi("run", "--config_file", "absent.yaml", *program)
    assert missing.code == 2
    assert f"looked at {config.config_folder() / 'absent.yaml'} and {sbi.folder / 'absent.yaml'}." in missing.said


def test_show_tells_where_every_value_comes_from(sbi: Commands) -> None:
    config.config_folder().mkdir(parents=True)
    config.user_file().write_text("\nmemory: 300m\n")
    file = clone(sbi.folder, "pids: 64\n")
    ended = sbi("config", "show", "--json", "--timeout", "5", env={"SBI_CPUS": "1"})
    shown = json.loads(ended.out)
    names = ("memory", "pids", "cpus", "timeout", "image")
    assert {name: (shown[name]["from"], shown[name]["place"]) for name in names} == {
        "memory": ("user", f"{config.user_file()}:2"), "pids": ("project", f"{file}:1"),
        "cpus": ("environment", "SBI_CPUS"), "timeout": ("flag", "--timeout"), "image": ("default", "")}


def test_help_and_version_need_no_settings(sbi: Commands) -> None:
    clone(sbi.folder, MALICIOUS)
    assert sbi("--version").out.startswith(b"sbi ")
    assert sbi("run", "--help").code == 0
