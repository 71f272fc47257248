"""How the agent's source becomes a running agent, with and without an image that holds it compiled."""

from __future__ import annotations

import hashlib
import marshal
import subprocess
import sys
from pathlib import Path

from sandbox_interpreter.agent import boot
from sandbox_interpreter.catalogue.index import images_folder


def bundle(text: str) -> bytes:
    modules = {boot.PACKAGE: "", f"{boot.PACKAGE}.main": f"def main(): print({text!r})"}
    data = marshal.dumps(modules, boot.MARSHAL_VERSION)
    return b"%08x%s" % (len(data), hashlib.sha256(data).hexdigest()[:32].encode()) + data


def start(sent: bytes, compiled: Path, folder: Path) -> str:
    loader = boot.command()[2].replace(boot.COMPILED, str(compiled))
    return subprocess.run([sys.executable, "-c", loader], input=sent, cwd=folder, capture_output=True,
                          check=True).stdout.decode()


def precompile(sent: bytes, folder: Path) -> Path:
    source = folder / "agent"
    source.write_bytes(sent)
    script = images_folder() / "base" / "precompile"
    subprocess.run([sys.executable, script, source, folder / "compiled"], check=True)
    return folder / "compiled"


def test_the_source_that_was_sent_runs_where_nothing_is_compiled(tmp_path: Path) -> None:
    assert start(bundle("sent"), tmp_path / "none", tmp_path) == "sent\n"


def test_the_compiled_form_of_the_same_source_runs_instead(tmp_path: Path) -> None:
    sent = bundle("sent")
    compiled = precompile(sent, tmp_path)
    (entry,) = compiled.iterdir()
    other = marshal.dumps({name: compile(source, name, "exec") for name, source in
                           {boot.PACKAGE: "", f"{boot.PACKAGE}.main": "def main(): print('compiled')"}.items()})
    assert marshal.loads(entry.read_bytes()).keys() == marshal.loads(sent[40:]).keys()
    entry.write_bytes(other)
    assert start(sent, compiled, tmp_path) == "compiled\n"


def test_an_agent_of_another_version_runs_its_own_source(tmp_path: Path) -> None:
    compiled = precompile(bundle("old"), tmp_path)
    assert start(bundle("new"), compiled, tmp_path) == "new\n"


def test_a_damaged_compiled_form_is_passed_over(tmp_path: Path) -> None:
    sent = bundle("sent")
    compiled = precompile(sent, tmp_path)
    (entry,) = compiled.iterdir()
    entry.write_bytes(b"")
    assert start(sent, compiled, tmp_path) == "sent\n"


def test_a_module_in_the_working_directory_does_not_become_part_of_the_agent(tmp_path: Path) -> None:
    for name in ("marshal.py", "os.py", "select.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    assert start(bundle("safe"), tmp_path / "none", tmp_path) == "safe\n"


def test_the_bundle_is_the_same_every_time_and_holds_the_agent() -> None:
    first = boot.bundle()
    boot.bundle.cache_clear()
    assert boot.bundle() == first
    modules = marshal.loads(first[40:])
    assert {f"{boot.PACKAGE}.main", f"{boot.PACKAGE}.frames", f"{boot.PACKAGE}.cells"} <= modules.keys()
    assert f"{boot.PACKAGE}.boot" not in modules
