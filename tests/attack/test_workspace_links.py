"""A link that code plants in its workspace leads nobody on the host anywhere, even when it is swapped in mid-copy."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import SandboxInterpreterError, TransferError
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

SECRET = "the host's own secret"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Give a file of the host's that everyone may read, where links will point to."""
    tmp_path.chmod(0o755)
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o666)
    return file


def copied_text(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("plant", [
    "ln -s {target} x.txt", "ln -s /etc/passwd x.txt", "ln -s ../../../../../..{target} x.txt",
    "mkdir d; ln -s {folder} d/in; ln -s d e", "mkfifo x.txt", "ln -s /proc/1/environ x.txt", "ln -s x.txt x.txt",
    "ln -s /dev/zero x.txt", "mkdir x.txt",
], ids=["absolute", "passwd", "dots", "folder", "fifo", "proc", "loop", "endless", "directory"])
def test_what_is_no_plain_file_is_not_copied(box: Sandbox, secret: Path, tmp_path: Path, plant: str) -> None:
    run(box, "shell", plant.format(target=secret, folder=secret.parent))
    assert box.download("**/*", tmp_path / "out") == []
    assert list((tmp_path / "out").rglob("*")) == []


# Swaps x.txt, and the folder of d/y.txt, between the real thing and a link, as fast as it can.
SWAP = """
import os, threading, time
os.makedirs('real', exist_ok=True); open('real/y.txt', 'w').write('plain'); open('plain.txt', 'w').write('plain')
def swap():
    while True:
        for source in ('plain.txt', 'LINK'):
            try:
                os.symlink('TARGET', 'new') if source == 'LINK' else os.link('plain.txt', 'new')
                os.rename('new', 'x.txt')
                os.symlink('FOLDER' if source == 'LINK' else 'real', 'newd'); os.rename('newd', 'd')
            except OSError: pass
threading.Thread(target=swap, daemon=True).start()
time.sleep(0.1)
"""


def test_a_race_between_file_and_link_never_shows_the_host(box: Sandbox, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "y.txt").write_text(SECRET)
    run(box, "python", SWAP.replace("TARGET", str(secret)).replace("FOLDER", str(tmp_path)))
    copied = 0
    give_up = time.monotonic() + 1.5
    while time.monotonic() < give_up:
        with contextlib.suppress(TransferError):  # it was a link just then
            copied += len(box.download("**/*.txt", tmp_path / "out"))
    assert copied > 0
    assert SECRET not in copied_text(tmp_path / "out")


# Swaps the folder that is copied to, and the one above it, for links that lead outside.
SWAP_FOLDERS = """
import os, threading, time
os.makedirs('sub', exist_ok=True)
for i in range(5): open(f'sub/f{i}.csv', 'w').write('data')
def swap():
    while True:
        for place in ('out/sub', 'out'):
            try:
                os.makedirs(place, exist_ok=True)
                os.rename(place, f'away{time.time_ns()}')
                os.symlink('OUTSIDE', place)
                os.unlink(place)
            except OSError: pass
threading.Thread(target=swap, daemon=True).start()
time.sleep(0.05)
"""


def test_a_race_in_the_folder_that_is_copied_to_never_leads_outside(engine: DockerEngine, secret: Path,
                                                                    tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    workspace.chmod(0o777)
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    code = SWAP_FOLDERS.replace("OUTSIDE", str(outside))
    with Sandbox(engine=engine, workspace=workspace, policy=Policy(grace=0.5), notify=lambda _: None) as box:
        run(box, "python", code)
        give_up = time.monotonic() + 1.2
        while time.monotonic() < give_up:
            with contextlib.suppress(SandboxInterpreterError):
                box.download("sub/*.csv", workspace / "out")
    assert list(outside.iterdir()) == []


def test_an_upload_follows_links_inside_the_container_only(box: Sandbox, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("new contents")
    run(box, "shell", f"ln -s {secret} x.txt; ln -s {secret.parent} d")
    for target in ("x.txt", "d/secret"):
        with contextlib.suppress(TransferError):
            box.upload(tmp_path / "mine", target)
    assert secret.read_text() == SECRET


def test_closing_a_private_workspace_full_of_links_removes_the_links_only(engine: DockerEngine, secret: Path,
                                                                          tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("kept")
    with Sandbox(engine=engine) as box:
        run(box, "shell", f"ln -s {secret} a; ln -s {tmp_path}/folder b; mkdir -p c/d; ln -s {tmp_path}/folder c/d/e; "
                          "chmod 000 c; mkdir f; chmod 000 f; touch g; chmod 000 g")
        folder = box.workspace
    assert folder is not None
    assert not folder.exists()
    assert (secret.read_text(), (tmp_path / "folder" / "kept").read_text()) == (SECRET, "kept")


def test_a_workspace_far_deeper_than_a_path_may_be_is_removed(engine: DockerEngine) -> None:
    with Sandbox(engine=engine) as box:
        run(box, "python", "import os\nfor _ in range(3000):\n    os.mkdir('d' * 20)\n    os.chdir('d' * 20)")
        folder = box.workspace
    assert folder is not None
    assert not folder.exists()


def test_an_endless_maze_of_links_does_not_hold_up_a_download(box: Sandbox, tmp_path: Path) -> None:
    run(box, "shell", "mkdir m; cd m; ln -s . a; ln -s . b; ln -s .. c; echo x > real.txt")
    began = time.monotonic()
    copied = box.download("**/*.txt", tmp_path / "out") + box.download("**/none", tmp_path / "out")
    assert time.monotonic() - began < 5
    assert [path.relative_to(tmp_path / "out").as_posix() for path in copied] == ["m/real.txt"]


def test_special_files_and_odd_names_are_no_trap(box: Sandbox, tmp_path: Path) -> None:
    run(box, "python", "import os\nopen('good.txt', 'w').write('1')\nopen(b'bad\\xff.txt', 'w').write('2')")
    with pytest.raises(TransferError):
        box.download("*.txt", tmp_path / "out")
    assert [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()] in ([], [b"good.txt"])
    assert box.download("good*", tmp_path / "out")[0].read_text() == "1"


def test_a_pattern_for_everything_plants_nothing_that_a_project_would_run(box: Sandbox, tmp_path: Path) -> None:
    """Artifacts may be copied into a repository: its ``.git/config`` names programs that git starts."""
    out = tmp_path / "project"
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "config").write_text("mine")
    run(box, "shell", "mkdir -p .git/hooks sub/.vscode; echo evil | tee .git/config .git/hooks/pre-commit .envrc "
                      "sub/.vscode/tasks.json .sbi.yaml sub/plain; echo good > result.csv")
    for pattern in ("**", "**/*", "*", "*/*", "**/config"):
        box.download(pattern, out)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        ".git/config", "result.csv", "sub/plain"]
    assert (out / ".git" / "config").read_text() == "mine"
    assert [path.name for path in box.download(".envrc", out)] == [".envrc"]


# --- what the host itself keeps in a folder that it shares, and in one that it copies to ---

# The machine's memory and the first disk: what a device is to whoever may open it does not depend on where it lies.
DEVICES = {"memory": (stat.S_IFCHR, 1, 1), "disk": (stat.S_IFBLK, 8, 0)}
OPEN_ALL = """
import os
import stat
for name in ('memory', 'disk'):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try: print('opened', os.read(os.open(name, flags | os.O_NONBLOCK), 1))
        except OSError as error: print(type(error).__name__)
"""


@pytest.fixture
def special(tmp_path: Path) -> Path:
    """Give a folder with devices that everyone may open, a pipe that nobody writes to, and a file."""
    folder = tmp_path / "special"
    folder.mkdir()
    folder.chmod(0o777)
    for name, (kind, major, minor) in DEVICES.items():
        try:
            os.mknod(folder / name, kind, os.makedev(major, minor))
        except PermissionError:
            pytest.skip("only root makes devices")
        (folder / name).chmod(0o666)
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("plain")
    return folder


@pytest.mark.parametrize("access", ["rw", "copy"])
def test_devices_in_a_shared_folder_are_of_no_use_to_code_and_are_not_copied(engine: DockerEngine, special: Path,
                                                                             tmp_path: Path, access: str) -> None:
    with Sandbox(engine=engine, workspace=f"{special}:{access}", policy=Policy(grace=0.5),
                 notify=lambda _: None) as box:
        errors = set(run(box, "python", OPEN_ALL).stdout.split())
        copied = box.download("**", tmp_path / "out")
    assert errors == {"PermissionError" if access == "rw" else "FileNotFoundError"}
    assert [path.name for path in copied] == ["file"]
    assert stat.S_ISBLK((special / "disk").stat().st_mode)


def test_artifacts_take_the_place_of_devices_pipes_and_hard_links_and_are_not_written_into_them(
        box: Sandbox, special: Path, secret: Path) -> None:
    (special / "linked").hardlink_to(secret)
    run(box, "shell", "for name in memory disk pipe linked; do echo new > $name; done")
    assert len(box.download("*", special)) == 4
    assert {(special / name).read_text() for name in (*DEVICES, "pipe", "linked")} == {"new\n"}
    assert secret.read_text() == SECRET


def test_a_copied_folder_gives_code_no_name_of_a_file_outside(engine: DockerEngine, special: Path,
                                                              secret: Path) -> None:
    (special / "linked").hardlink_to(secret)
    with Sandbox(engine=engine, workspace=f"{special}:copy", policy=Policy(grace=0.5), notify=lambda _: None) as box:
        run(box, "shell", "echo overwritten > linked; chmod 777 linked")
    assert (special / "linked").read_text() == "overwritten\n"
    assert secret.read_text() == SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o666
