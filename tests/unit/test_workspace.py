from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox_interpreter.errors import EngineUnreachable, WorkspaceError
from sandbox_interpreter.sandbox.policy import split_access
from sandbox_interpreter.sandbox.workspace import notice, owner, resolve

ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.mark.parametrize(("text", "expected"), [
    ("a", ("a", "rw")), ("a:ro", ("a", "ro")), ("a:rw", ("a", "rw")), ("a:ro:rw", ("a:ro", "rw")),
    ("a:copy", ("a", "copy")),
    ("a:x", ("a:x", "rw")), (":ro", ("", "ro")), ("a:RO", ("a:RO", "rw")),
])
def test_access_stands_behind_the_folder(text: str, expected: tuple[str, str]) -> None:
    assert split_access(text) == expected


def test_a_folder_is_resolved_to_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (home / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("link:ro").folder == tmp_path / "real"
    assert resolve("link:ro").access == "ro"
    assert resolve(tmp_path / "real").access == "rw"
    assert resolve("~/work").folder == home / "work"


@pytest.mark.parametrize(("name", "said"), [
    ("missing", "does not exist"), ("file", "is a file, not a folder"), ("", "name is empty"), (":ro", "name is empty"),
    ("file/below", "cannot be used"), ("loop", "cannot be used"), ("a\0b", "cannot be used"),
    ("x" * 300, "cannot be used"),
])
def test_what_cannot_be_mounted_is_named(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError, match=said) as caught:
        resolve(name)
    assert caught.value.next_step
    assert caught.value.exit_code == 2


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read everything, so what the kernel would say to others is said here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        resolve(tmp_path)


def status(monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, mode: int) -> None:
    found = SimpleNamespace(st_uid=uid, st_gid=gid, st_mode=stat.S_IFDIR | mode)
    monkeypatch.setattr(Path, "stat", lambda self, **_: found)


@pytest.mark.parametrize(("uid", "gid", "user"), [
    (1000, 1000, "1000:1000"), (501, 20, "501:20"), (0, 0, "1000:1000"), (0, 50, "1000:1000"), (1001, 0, "1001:1001"),
])
def test_code_runs_as_the_folders_owner_and_never_as_root(uid: int, gid: int, user: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    status(monkeypatch, uid, gid, 0o755)
    assert owner(Path("x")) == user


@pytest.mark.parametrize(("uid", "mode", "access", "said"), [
    (1000, 0o700, "rw", ""),
    (0, 0o755, "rw", "cannot write there. To let it: chown -R 1000 x, or mount it x:ro"),
    (0, 0o755, "ro", ""),
    (0, 0o700, "ro", "cannot read there. To let it: chown -R 1000 x"),
    (0, 0o777, "rw", ""),
])
def test_a_folder_of_roots_comes_with_a_notice(uid: int, mode: int, access: Any, said: str,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    status(monkeypatch, uid, uid, mode)
    found = notice(Path("x"), access)
    assert found.endswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize("place", ["/", "/proc", "/sys/kernel", "/dev", "/dev/shm", "/run", "/etc", "/etc/ssl",
                                   "/var/run", "/var", "/var/lib"])
def test_a_system_folder_is_refused(place: str) -> None:
    with pytest.raises(WorkspaceError, match=f"'{place}' cannot be the workspace"):
        resolve(place)
    with pytest.raises(WorkspaceError, match="cannot be the workspace"):
        resolve(f"{place}:ro")


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp"])
def test_a_folder_of_everybodys_sockets_is_refused_and_one_in_it_is_not(place: str, tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkspaceError, match="sockets"):
        resolve(place)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(WorkspaceError, match="sockets"):
        resolve(tmp_path)
    (tmp_path / "work").mkdir()
    assert resolve(tmp_path / "work").folder == tmp_path / "work"


def test_a_link_on_the_way_to_a_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "project" / "data").symlink_to(tmp_path / "secret")
    found = resolve(tmp_path / "project" / "data")
    assert found.folder == tmp_path / "secret"
    assert found.notice == f"{tmp_path}/project/data leads through a link: what code gets is {tmp_path}/secret."
    monkeypatch.chdir(tmp_path)
    assert "leads through" not in resolve("project/../secret").notice


def test_a_link_to_a_system_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/etc")
    with pytest.raises(WorkspaceError, match="/etc is part of the system"):
        resolve(tmp_path / "innocent")


def test_the_home_folder_and_what_is_above_it_are_refused_but_not_what_is_in_it(home: Path) -> None:
    with pytest.raises(WorkspaceError, match="it is your home folder"):
        resolve(home)
    with pytest.raises(WorkspaceError, match="contains your home folder"):
        resolve(home.parent)
    (home / "project").mkdir()
    assert resolve(home / "project").folder == home / "project"


@pytest.mark.parametrize("name", [".ssh", ".aws", ".config/gcloud", ".gnupg/private", ".config"])
def test_a_place_of_credentials_is_refused(name: str, home: Path) -> None:
    (home / name).mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="credentials"):
        resolve(home / name)


def test_the_settings_and_other_sessions_are_refused_but_a_sessions_own_folder_is_not(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBI_CONFIG_DIR", str(tmp_path / "own" / "config"))
    monkeypatch.setenv("SBI_DATA_DIR", str(tmp_path / "project" / "data"))
    for folder in ("own/config/below", "project/data/sessions/1/workspace", "free"):
        (tmp_path / folder).mkdir(parents=True)
    for refused, said in (("own", "sbi's settings"), ("own/config", "sbi's settings"),
                          ("own/config/below", "sbi's settings"), ("project", "sbi's sessions"),
                          ("project/data", "sbi's sessions")):
        with pytest.raises(WorkspaceError, match=said):
            resolve(tmp_path / refused)
    assert resolve(tmp_path / "project/data/sessions/1/workspace").access == "rw"
    assert resolve(tmp_path / "free").access == "rw"


@pytest.mark.parametrize("way", ["flag", "DOCKER_HOST", "CONTAINER_HOST", "SSH_AUTH_SOCK"])
def test_a_folder_with_a_live_socket_is_refused(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("it.sock")  # relative: a socket's path may have no more than 107 bytes
        address = f"{folder}/it.sock"
        if way != "flag":
            monkeypatch.setenv(way, address if way == "SSH_AUTH_SOCK" else f"unix://{address}")
        with pytest.raises(WorkspaceError, match="socket"):
            resolve(folder, engine=f"unix://{address}" if way == "flag" else None)


def test_the_socket_is_found_of_an_engine_that_is_named_otherwise(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, elsewhere = tmp_path / "runtime", tmp_path / "elsewhere"
    for folder in (runtime / "podman", elsewhere):
        folder.mkdir(parents=True)
    (runtime / "podman" / "podman.sock").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (meta := tmp_path / "docker/contexts/meta" / hashlib.sha256(b"there").hexdigest()).mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": f"unix://{elsewhere}/engine.sock"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for engine, folder in (("podman", runtime / "podman"), ("context:there", elsewhere)):
        with pytest.raises(WorkspaceError, match="socket"):
            resolve(folder, engine=engine)
        assert resolve(folder).folder == folder  # which is no place of the usual engine's
    with pytest.raises(EngineUnreachable, match="context 'lost'"):
        resolve(elsewhere, engine="context:lost")
    with pytest.raises(WorkspaceError, match="sockets"):
        resolve(runtime)


def test_a_folder_in_shared_memory_is_free() -> None:
    folder = Path("/dev/shm") / f"sbi-test-{os.getpid()}"
    folder.mkdir()
    try:
        assert resolve(folder).folder == folder
    finally:
        folder.rmdir()
