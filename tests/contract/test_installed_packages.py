"""Packages that code installs: on disk where it has a network, seen at once, and there after a kernel's end."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.workbench import Workbench
from tests.support.runs import run

WHEEL = """
import zipfile
about = "proof_package-1.0.dist-info/"
with zipfile.ZipFile("/tmp/proof_package-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("proof_package.py", "answer = 22\\n")
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: proof-package\\nVersion: 1.0\\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(about + "RECORD", "")
"""
INSTALL = "pip install --quiet --no-index /tmp/proof_package-1.0-py3-none-any.whl"
USE = "import proof_package; print(proof_package.answer)"
FILE_SYSTEM = "stat --file-system --format %T ~/.local"
NETWORKED = Policy(network="example.com", grace=0.5)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the temporary folder that sandboxes make their own in."""
    import tempfile

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture(params=["private", "named"])
def box(request: pytest.FixtureRequest, engine: DockerEngine, temporary: Path, shared: Path) -> Iterator[Sandbox]:
    """Give a sandbox with a network, on a workspace of its own and on one that the user named."""
    workspace = shared if request.param == "named" else None
    with Sandbox(engine=engine, policy=NETWORKED, workspace=workspace, notify=lambda _: None) as sandbox:
        yield sandbox
    assert list(temporary.iterdir()) == []
    assert list(shared.iterdir()) == []


def test_they_are_on_disk_seen_at_once_and_there_after_the_kernels_end(box: Sandbox) -> None:
    assert run(box, "python", WHEEL + "\nx = 1").result.exit_code == 0
    installed = run(box, "shell", INSTALL)
    assert installed.result.exit_code == 0, installed.stderr
    assert run(box, "python", USE).stdout == "22\n"
    run(box, "python", "import os; os._exit(3)")
    assert run(box, "python", "'x' in globals()").values == ["False"]
    assert run(box, "python", USE).stdout == "22\n"
    assert run(box, "shell", FILE_SYSTEM).stdout.strip() != "tmpfs"


def test_the_folder_is_the_codes_and_nobody_elses(box: Sandbox, engine: DockerEngine) -> None:
    assert run(box, "shell", "touch ~/.local/x && stat -c %u ~/.local ~ | uniq | wc -l").stdout == "1\n"
    mounts = {each["Destination"]: each for each in engine.client.inspect_container(box.container_id or "")["Mounts"]}
    assert set(mounts) == {"/workspace", "/home/sandbox/.local"}
    packages = Path(mounts["/home/sandbox/.local"]["Source"])
    assert stat.S_IMODE(packages.stat().st_mode) == 0o700
    assert stat.S_IMODE(packages.parent.stat().st_mode) == 0o700
    assert mounts["/home/sandbox/.local"]["Propagation"] == "rprivate"


def test_what_was_downloaded_is_not_kept_in_memory(box: Sandbox) -> None:
    caches = run(box, "shell", "pip cache dir; echo $NPM_CONFIG_CACHE").stdout.split()
    assert caches == ["/home/sandbox/.local/share/pip", "/home/sandbox/.local/share/npm"]


def test_without_a_network_they_stay_in_memory_and_there_is_no_other_mount(engine: DockerEngine,
                                                                          temporary: Path) -> None:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as box:
        assert run(box, "python", WHEEL).result.exit_code == 0
        assert run(box, "shell", INSTALL).result.exit_code == 0
        assert run(box, "python", USE).stdout == "22\n"
        assert run(box, "shell", FILE_SYSTEM).stdout.strip() == "tmpfs"
        assert len(engine.client.inspect_container(box.container_id or "")["Mounts"]) == 1
        retries = run(box, "shell", "echo $PIP_RETRIES $NPM_CONFIG_FETCH_RETRIES").stdout
        assert retries == "0 0\n"  # to try again takes npm 70 s, and cannot help
    assert list(temporary.iterdir()) == []


def test_a_session_keeps_them_with_its_other_files(shared: Path) -> None:
    bench = Workbench(Settings(network="example.com", workspace=str(shared), standby=0))
    try:
        assert run(bench.sandbox, "python", WHEEL).result.exit_code == 0
        assert run(bench.sandbox, "shell", INSTALL).result.exit_code == 0
        bench.sandbox.close()
        kept = list((bench.session.folder / "packages").rglob("proof_package.py"))
        assert len(kept) == 1
    finally:
        bench.close()
