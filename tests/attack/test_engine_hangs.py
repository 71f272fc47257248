"""Whatever is asked of an engine that hangs in the middle of it has an end, and says so."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.cli import checks, images, sessions
from sandbox_interpreter.engines import docker_bridge, docker_client, docker_images, docker_watch, quick_service
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox import deadline, standby
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import reaper, store
from sandbox_interpreter.sessions.session import Record
from tests.support.cable import USUAL, Relay
from tests.support.http_server import error_of, served
from tests.support.runs import run

pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("ignore::ResourceWarning")]
OWNER = f"{LABEL}.owner"
SAID = "said nothing for 1 s"


@pytest.fixture
def engine_of_mine(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Give the machine's engine, which will freeze, and clients that do not wait for long.

    Afterwards the reaper has found what such an engine has made and told nobody of.
    """
    for module, name in ((docker_client, "ANSWER_SECONDS"), (docker_client, "PING_SECONDS"), (docker_watch, "_TIMES"),
                         (quick_service, "ANSWER_SECONDS"), (docker_images, "ANSWER_SECONDS"),
                         (docker_bridge, "_SECONDS"), (deadline, "OVERTIME_SECONDS")):
        monkeypatch.setattr(module, name, 1)
    # The name of a socket is at most 107 bytes long.
    with tempfile.TemporaryDirectory() as folder:
        mine = Relay(USUAL, Path(folder))
        yield mine
        mine.cut()
    me = owner_label()
    for module in (reaper, standby):
        monkeypatch.setattr(module, "owner_state", lambda label: "dead" if label == me else "unknown")
    reaper.prune(engine, resumable=True)
    assert [info.name for info in engine.list({OWNER: me})] == []
    assert [bridge.name for bridge in engine.bridges(LABEL) if bridge.labels.get(OWNER) == me] == []
    assert [info.name for info in engine.list({standby.LABEL: ""}) if me in info.labels.values()] == []


def invoked(app: object, *words: str) -> Callable[[Relay], None]:
    """Return what runs a command, and raises what it raises."""
    def call(engine: Relay) -> None:
        result = CliRunner().invoke(app, [*words, "--engine", engine.address])  # type: ignore[arg-type]  # a Typer app
        assert result.exception, result.output
        raise result.exception

    return call


def waiting(engine: Relay, act: Callable[[DockerEngine, standby.Wanted], object]) -> None:
    client = DockerEngine(engine.address)
    try:
        act(client, standby.Wanted("base", Policy(grace=0.3, memory=2**28 + 2**20), None))
    finally:
        client.close()


def leave(engine: Relay) -> None:
    waiting(engine, lambda client, wanted: standby.leave(client, wanted, most=1))


def claim(engine: Relay) -> None:
    waiting(engine, lambda client, wanted: standby.claim(client, wanted, {}))


def build(engine: Relay) -> None:
    """Build an image of one step that takes long enough to hang in, and comes to nothing where it goes on."""
    file, archive = f"FROM {index.resolve('base')}\nRUN echo be'gu'n; sleep 30; false\n", io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(file)
        tar.addfile(member, io.BytesIO(file.encode()))
    archive.seek(0)
    client = DockerEngine(engine.address)
    try:
        list(client.images().build(archive, "sbi-test-hangs:1", build_args={}, labels={}, use_cache=False))
    finally:
        client.close()


def pull(engine: Relay) -> None:
    client = DockerEngine(engine.address)
    try:
        list(client.images().pull("localhost:9/nothing:1"))
    finally:
        client.close()


ASKED = {
    "images list": (invoked(images.app, "list"), "GET /v[0-9.]+/images/"),
    "images list, at once": (invoked(images.app, "list"), "GET /_ping|GET /v[0-9.]+/_ping"),
    "images build": (invoked(images.app, "build", "base", "--no-cache"), "POST /v[0-9.]+/build"),
    "images build, in a step": (build, r"\"begun\\n"),
    "images inspect": (invoked(images.app, "inspect", "base"), "GET /v[0-9.]+/images/"),
    "images pull": (pull, "POST /v[0-9.]+/images/create"),
    "sessions prune": (invoked(sessions.app, "prune"), "GET /v[0-9.]+/containers/json"),
    "sessions prune, at its bridges": (invoked(sessions.app, "prune"), "GET /v[0-9.]+/networks"),
    "standby, left": (leave, "POST /v[0-9.]+/containers/create"),
    "standby, started": (leave, "POST /v[0-9.]+/containers/[^/]+/start"),
    "standby, claimed": (claim, "GET /v[0-9.]+/containers/json"),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_command_ends_and_says_that_the_engine_hangs(engine_of_mine: Relay, what: str,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images.DockerImages, "_ask_registry", lambda *_: None)
    call, where = ASKED[what]
    engine_of_mine.hold_at(where)
    with pytest.raises(EngineUnreachable, match=SAID) as caught:
        call(engine_of_mine)
    assert engine_of_mine.held.is_set()
    assert caught.value.next_step


def test_a_registry_is_not_waited_for_by_an_engine_that_hangs(engine_of_mine: Relay) -> None:
    engine_of_mine.hold_at("GET /v[0-9.]+/distribution/")
    result = CliRunner().invoke(images.app, ["pull", "localhost:9/nothing:1", "--engine", engine_of_mine.address])
    assert "no registry answered within 1 s" in str(result.exception)


@pytest.mark.parametrize("where", ["_ping", "GET /v[0-9.]+/version", "GET /v[0-9.]+/info", "GET /v[0-9.]+/images/",
                                   "POST /v[0-9.]+/containers/create"])
def test_doctor_ends_and_says_that_the_engine_hangs(engine_of_mine: Relay, where: str) -> None:
    engine_of_mine.hold_at(where)
    found = list(checks.run_all(engine_of_mine.address))
    assert engine_of_mine.held.is_set()
    assert [SAID in check.detail for check in found if not check.ok][:1] == [True]
    assert {check.name for check in found} >= {"engine", "model", "data"}


def test_sessions_are_listed_by_an_engine_that_hangs_all_the_same(engine_of_mine: Relay) -> None:
    store.create(Record(title="rain", container=store.container_label()))
    engine_of_mine.hold_at("GET /v[0-9.]+/containers/json")
    result = CliRunner().invoke(sessions.app, ["list", "--engine", engine_of_mine.address])
    assert engine_of_mine.held.is_set()
    assert (result.exit_code, "rain" in result.output, "unknown" in result.output) == (0, True, True)


@pytest.mark.parametrize("where", ["POST /v[0-9.]+/networks/create", "POST /v[0-9.]+/containers/create",
                                   "POST /v[0-9.]+/containers/[^/]+/start", "POST /v[0-9.]+/containers/[^/]+/wait"])
def test_a_sandbox_with_a_network_ends_and_says_that_the_engine_hangs(
        engine: DockerEngine, engine_of_mine: Relay, where: str) -> None:
    engine_of_mine.hold_at(where)
    box = Sandbox("base", engine=engine_of_mine.address, policy=Policy(network="full", grace=0.3))
    with pytest.raises(EngineUnreachable, match=SAID):
        run(box, "shell", "echo never")
    assert engine_of_mine.held.is_set()
    if "wait" in where:  # its fence is to be found, too
        assert len(engine.list({OWNER: owner_label()})) == 2
    with suppress(EngineUnreachable):
        box.close()
    assert engine_of_mine.unanswered < 10  # each waits for as long as a question may
    engine_of_mine.let_go()
    box.close()


@pytest.mark.parametrize("where", ["_ping", "POST /v[0-9.]+/containers/create",
                                   "POST /v[0-9.]+/containers/[^/]+/attach"])
def test_a_server_answers_a_request_though_its_engine_hangs(engine_of_mine: Relay, where: str) -> None:
    engine_of_mine.hold_at(where)
    with served(lambda: Interpreter(model="demo", image="base", engine=engine_of_mine.address)) as server, \
            server.client() as client:
        answer = client.post("/run", json={"code": "echo never", "language": "shell"})
        assert (answer.status_code, error_of(answer)["type"]) == (503, "engine_unreachable")
        assert SAID in error_of(answer)["message"]
        assert client.get("/health").status_code == 200
        engine_of_mine.let_go()
