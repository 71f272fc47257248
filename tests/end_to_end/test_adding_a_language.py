"""docs/languages.md adds Lua; this does exactly what it says, to a copy of the source."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.version import VERSION

ROOT = Path(__file__).parents[2]
PLACES = {"dockerfile": "images/lua/Dockerfile", "yaml": "images/lua/image.yaml", "bash": "images/lua/verify",
          "lua": "sandbox_interpreter/agent/kernels/lua.lua"}
PROGRAM = '''
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox

with Sandbox("lua", policy=Policy(grace=0.5)) as box:
    for language, code, timeout in (
            ("lua", "x = 41", 0), ("lua", "print('é', x)", 0), ("Lua", "x + 1", 0), ("lua", "\\nnosuch()", 0),
            ("lua", "while true do end", 0.3), ("lua", "x + 2", 0), ("lua", "x = = 1", 0), ("lua", "os.exit(7)", 0),
            ("lua", "x", 0)):
        print(repr("".join(str(chunk.get("content", "")) for chunk in box.run(language, code, timeout=timeout)
                           if chunk.get("format") == "output")))
'''


@pytest.fixture
def copy(tmp_path: Path, engine: DockerEngine) -> Iterator[Path]:
    """Give a copy of the source to which the page's blocks were added."""
    for folder in ("sandbox_interpreter", "images"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    section = (ROOT / "docs" / "languages.md").read_text("utf-8").partition("## Adding a language")[2]
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL))
    for kind, place in PLACES.items():
        assert place in section
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(blocks[kind], "utf-8")
    records = tmp_path / "sandbox_interpreter" / "languages.py"
    records.write_text(records.read_text("utf-8").replace("LANGUAGES = (\n", f"LANGUAGES = (\n    {blocks['python']}"))
    yield tmp_path
    with contextlib.suppress(NotFound):
        engine.client.remove_image(f"sbi-lua:{VERSION}", force=True)


def run(copy: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(copy)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lua_is_added_as_the_page_says(copy: Path) -> None:
    sbi = "import sys\nfrom sandbox_interpreter.cli.main import main\nsys.argv = ['sbi', *{words}]\nmain()"
    run(copy, sbi.format(words=["images", "build", "lua"]))
    assert " lua" in run(copy, sbi.format(words=["images", "verify", "lua"]))
    (copy / "hello.lua").write_text("print('hello ' .. arg[1])")
    assert run(copy, sbi.format(words=["run", "hello.lua", "you"])) == "hello you\n"
    said = [eval(line) for line in run(copy, PROGRAM).splitlines()]
    assert said[:3] == ["", "é\t41\n", "42\n"]
    assert "cell-4:2: attempt to call a nil value (global 'nosuch')" in said[3]
    assert "interrupted!" in said[4]
    assert "time limit" in said[4]
    assert said[5] == "43\n"
    assert "cell-7:1: unexpected symbol" in said[6]
    assert "exited with code 7" in said[7]
    assert said[8] == ""
