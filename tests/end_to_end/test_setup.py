"""The set-up scripts: quiet, quick the second time, and never in the way of what runs after them."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A package without dependencies and a build backend that needs none: set-up is tested, not a download.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
optional-dependencies = { dev = [] }
"""
BACKEND = """\
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    if "broken" in pathlib.Path("pyproject.toml").read_text(): raise RuntimeError("cannot be built")
    with open("builds", "a") as log: log.write("x")
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        info = "tiny-1.dist-info"
        wheel.writestr("tiny.py", "def main(): print('sbi')")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nsbi = tiny:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    return tmp_path


def set_up(project: Path, *, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["scripts/setup", "--no-engine"], cwd=project, input=stdin, text=True, capture_output=True,
                          env={**os.environ, **env}, timeout=110)


def builds(project: Path) -> int:
    return len((project / "builds").read_text())


def test_it_makes_the_environment_once_and_again_only_when_the_project_changed(project: Path) -> None:
    first = set_up(project)
    assert first.returncode == 0, first.stderr
    assert (project / ".venv" / "bin" / "sbi").exists()
    assert first.stdout == ""
    second = set_up(project)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert builds(project) == 1
    (project / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    assert set_up(project).returncode == 0
    assert builds(project) == 2


def test_it_leaves_stdin_to_what_runs_after_it(project: Path) -> None:
    done = subprocess.run("scripts/setup --no-engine; cat", shell=True, cwd=project, input="for the chat\n",
                          text=True, capture_output=True, timeout=110)
    assert done.stdout == "for the chat\n"


def test_it_mends_an_environment_whose_python_is_gone(project: Path) -> None:
    set_up(project)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert set_up(project).returncode == 0
    assert subprocess.run([project / ".venv" / "bin" / "sbi"], capture_output=True).stdout == b"sbi\n"


def test_a_failed_installation_says_what_failed_and_is_tried_again(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT + "# broken\n")
    failed = set_up(project)
    assert failed.returncode == 1
    assert "this failed: .venv/bin/python -m pip install" in failed.stderr
    assert "cannot be built" in failed.stderr
    assert failed.stdout == ""
    (project / "pyproject.toml").write_text(PYPROJECT)
    assert set_up(project).returncode == 0


def test_without_a_recent_python_it_says_what_to_install(project: Path) -> None:
    tools = project / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "sha256sum", "id", "grep", "pwd"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    done = set_up(project, PATH=str(tools))
    assert done.returncode == 1
    assert "no Python 3.11 or later" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_an_engine_that_was_named_and_does_not_answer_is_not_replaced() -> None:
    done = subprocess.run([ROOT / "scripts" / "engine", "start"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock"})
    assert done.returncode == 1
    assert "no engine answers at unix:///nonexistent.sock" in done.stderr


def test_an_engine_that_answers_is_used_as_it_is() -> None:
    done = subprocess.run([ROOT / "scripts" / "engine", "start"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin"),
                    reason="needs root and an installed dockerd, for a daemon of its own beside the machine's")
def test_a_daemon_is_started_detached_answers_and_is_stopped(tmp_path: Path) -> None:
    """In namespaces of its own: another /run, another network, and every process ends with it."""
    script = textwrap.dedent("""\
        mount -t tmpfs tmpfs /run
        scripts/engine status && echo "an engine answers already"
        said=$(scripts/engine start 2>&1)  # returns only if the daemon lets go of the pipe
        echo "$said" | grep -c 'starting dockerd'
        scripts/engine status && echo answers
        pid=$(cat /run/sandbox-interpreter/dockerd.pid)
        readlink /proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2
        test -s /run/sandbox-interpreter/dockerd.log && echo logged
        scripts/engine start 2>&1 | wc -c
        scripts/engine stop
        test -e /proc/$pid || echo stopped
        """)
    options = f"--data-root {tmp_path}/data --bridge=none --iptables=false"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
         "bash", "-c", script], cwd=ROOT, text=True, capture_output=True, timeout=110, stdin=subprocess.DEVNULL,
        env={**{name: value for name, value in os.environ.items() if name not in ("DOCKER_HOST", "SBI_ENGINE")},
             "DOCKER_OPTS": options})
    log = "/run/sandbox-interpreter/dockerd.log"
    assert done.stdout.splitlines() == ["1", "answers", "/dev/null", log, log, "logged", "0", "stopped"], done.stderr


def test_every_target_of_the_makefile_is_listed() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("setup", "chat", "test", "test-unit", "check", "bench", "images", "picture", "clean"):
        assert f"make {target} " in listed


def test_make_chat_takes_a_prompt_on_stdin_and_its_stdout_is_the_chats() -> None:
    env = os.environ | {"SBI_MODEL": "demo"}
    done = subprocess.run(["make", "chat", "ARGS=--auto-run"], cwd=ROOT, input="analyse the demo data\n", text=True,
                          capture_output=True, timeout=110, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("I am the **built-in demo**")
    assert "Wettest month: {" in done.stdout
    assert "set-up" not in done.stdout
