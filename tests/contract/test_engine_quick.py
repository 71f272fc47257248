"""The quick client of a local engine says what the adapter proper says, and asks the SDK for nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.base import Mount
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.quick import QuickContainer, QuickEngine, quick
from sandbox_interpreter.engines.quick_service import Answer, Service
from sandbox_interpreter.errors import EngineError, EngineUnreachable, FolderUnseen, ImageMissing
from sandbox_interpreter.sandbox import launch
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.workspace import Workspace
from tests.support.runs import run

GREETING = b"HTTP/1.0 200 OK\r\nAPI-Version: 1.41\r\n\r\nOK"


@pytest.fixture
def fast() -> QuickEngine:
    found = quick(None)
    assert found is not None, "these tests need an engine on a local socket"
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[QuickEngine, list[bytes]]]:
    """Give an engine that answers with what the test puts into the list."""
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()

        def serve() -> None:
            while answers:
                connection, _ = listening.accept()
                with connection:
                    request = connection.recv(65536)
                    is_greeting = request.startswith(b"GET /_ping ")
                    connection.sendall(GREETING if is_greeting else answers.pop(0))

        started: list[threading.Thread] = []

        class Started(list[bytes]):
            def append(self, answer: bytes) -> None:
                answers.append(answer)
                thread = threading.Thread(target=serve, daemon=True)
                thread.start()
                started.append(thread)

        engine = quick(f"unix://{tmp_path}/s")
        assert engine is not None
        yield engine, Started()


def test_a_container_that_is_just_removing_itself_is_gone_when_its_removal_returns(fast: QuickEngine) -> None:
    for _ in range(5):
        box = Sandbox(engine=fast)
        run(box, "python", "1")
        identifier = box.container_id or ""
        box.close(wait=False)
        fast.get(identifier).remove()
        assert fast.get(identifier).state() == "removed"
        assert fast.list({f"{launch.LABEL}.session": box.session}) == []


def test_it_tells_what_the_adapter_tells(engine: DockerEngine, fast: QuickEngine) -> None:
    with Sandbox(engine=engine) as box:
        box.start()
        identifier = box.container_id or ""
        wanted = {f"{launch.LABEL}.session": box.session}
        assert fast.list(wanted) == engine.list(wanted)
        assert [each.id for each in fast.list({launch.LABEL: "", **wanted})] == [identifier]
        assert fast.get(identifier).state() == engine.get(identifier).state() == "running"
    assert fast.get(identifier).state() == "removed"
    reference = index.resolve("python")
    assert fast.image_id(reference) == engine.image_id(reference)
    assert fast.image_id(f"../images/{reference}") is None
    assert fast.image_id("sbi-none:0") is engine.image_id("sbi-none:0") is None


def test_a_container_is_attached_renamed_and_removed(engine: DockerEngine, fast: QuickEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as box:
        assert run(box, "python", "x = 40").result.exit_code == 0
        identifier = box.container_id or ""
        box.detach()
        container = fast.get(identifier)
        instance = Instance(container, Policy(), joins=True)
        instance.join()
        box._instance = instance
        assert run(box, "python", "print(x + 2); print('y' * 300000)").stdout == "42\n" + "y" * 300000 + "\n"
        name = f"sbi-test-quick-{identifier[:12]}"
        assert container.rename(name)
        assert not container.rename(name)
        assert [info.name for info in engine.list({f"{launch.LABEL}.session": box.session})] == [name]
        container.remove()
        container.remove()
    assert not container.rename("sbi-test-quick-gone")
    with pytest.raises(EngineError):
        container.attach()
    with pytest.raises(EngineError):
        container.start()


def test_a_container_is_made_as_the_adapter_makes_it(engine: DockerEngine, fast: QuickEngine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    workspace = Workspace(tmp_path, "ro", "1000:1000")
    spec = launch.container_spec(index.resolve("python"), Policy(), workspace, "test")
    made = [fast.create(replace(spec, name="sbi-test-quick-made")), engine.create(replace(spec, name="sbi-test-made"))]
    try:
        quickly, properly = [engine.client.inspect_container(each.id) for each in made]
    finally:
        for each in made:
            each.remove()
    assert isinstance(made[0], QuickContainer)
    assert quickly["Config"] == properly["Config"]
    assert quickly["HostConfig"] == properly["HostConfig"]
    assert [each.state() for each in made] == ["removed", "removed"]


def test_what_the_engine_refuses_to_make_the_adapter_explains(fast: QuickEngine, tmp_path: Path) -> None:
    spec = launch.container_spec("sbi-none:0", Policy(), Workspace(tmp_path, "rw", "1000:1000"), "test")
    with pytest.raises(ImageMissing, match="sbi-none:0"):
        fast.create(spec)
    missing = replace(spec, image=index.resolve("python"), mounts=(Mount(tmp_path / "none", "/workspace"),))
    with pytest.raises(FolderUnseen):
        fast.create(missing)
    many = replace(spec, image=index.resolve("python"), cpus=4096.0)  # which limits nothing, so it is no fault
    fast.create(many).remove()


def test_a_bridge_goes_with_its_container(engine: DockerEngine, fast: QuickEngine, tmp_path: Path) -> None:
    spec = launch.container_spec(index.resolve("python"), Policy(network="full"),
                                 Workspace(tmp_path, "rw", "1000:1000"), "test")
    container = fast.create(spec)
    assert spec.name in [bridge.name for bridge in engine.bridges(launch.LABEL)]
    fast.get(container.id).remove()
    fast.get(container.id).remove()
    assert spec.name not in [bridge.name for bridge in engine.bridges(launch.LABEL)]


def test_podman_and_its_own_ways_are_left_to_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    whole = SimpleNamespace(create=lambda spec: SimpleNamespace(id=spec.name))

    def answer(_self: Service, method: str, target: str, _body: object = None) -> Answer:
        asked.append(f"{method} {target}")
        return Answer(200, b"HTTP/1.0 200 OK\r\nLibpod-Api-Version: 5.0", b"OK")

    monkeypatch.setattr(Service, "_asked", answer)
    monkeypatch.setattr(QuickEngine, "whole", property(lambda _self: whole))
    spec = launch.container_spec("any", Policy(), Workspace(tmp_path, "rw", "1000:1000"), "test")
    assert QuickEngine(None, "/none").create(spec).id == spec.name
    assert asked == ["GET /_ping"]


def test_a_run_loads_no_sdk() -> None:
    code = ("import sys\nfrom sandbox_interpreter.sandbox.sandbox import Sandbox\n"
            "with Sandbox() as box: print(*(part.get('content', '') for part in box.run('python', 'print(40 + 2)')))\n"
            "print(*(name for name in ('docker', 'requests', 'urllib3', 'http', 'ssl') if name in sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["42"], "")


def test_a_warm_start_loads_no_sdk(tmp_path: Path) -> None:
    code = ("import sys\nfrom sandbox_interpreter.sandbox import standby\n"
            "from sandbox_interpreter.sandbox.launch import engine_of\n"
            "from sandbox_interpreter.sandbox.policy import Policy\n"
            "wanted = standby.Wanted('python', Policy(pids=77), None)\n"
            "assert standby.claim(engine_of(None), wanted, {}) is None\n"
            "print(*(name for name in ('docker', 'requests', 'urllib3', 'http') if name in sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("setting", ["podman", "tcp://127.0.0.1:1", "context:x", "unix:///none.sock", "unix:///etc/hosts"])
def test_elsewhere_there_is_none(setting: str) -> None:
    assert quick(setting) is None


def test_the_engine_that_the_environment_names_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert quick(None) is None


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"HTTP/1.0 abc\r\n\r\n", b"HTTP/1.0\r\n\r\n"])
def test_an_engine_that_speaks_something_else_is_an_error(
        server: tuple[QuickEngine, list[bytes]], answer: bytes) -> None:
    engine, answers = server
    answers.append(answer)
    with pytest.raises(EngineUnreachable):
        engine.list({})
    answers.append(answer)
    with pytest.raises(EngineError):
        engine.get("x").attach()


@pytest.mark.parametrize(("body", "said"), [(b'{"message": "out of\\n room"}', "out of room"), (b"[]", "[]"),
                                            (b"broken", "broken")])
def test_what_the_engine_refuses_is_told(server: tuple[QuickEngine, list[bytes]], body: bytes, said: str) -> None:
    engine, answers = server
    answers.append(b"HTTP/1.0 500 Error\r\n\r\n" + body)
    with pytest.raises(EngineError, match=said.replace("[", r"\[")):
        engine.list({})


def test_a_name_that_is_taken_on_podman_is_no_error(server: tuple[QuickEngine, list[bytes]]) -> None:
    engine, answers = server
    answers.append(b'HTTP/1.0 500 Error\r\n\r\n{"message": "container name already in use"}')
    assert not engine.get("x").rename("y")
