"""Sandboxes on a Ray cluster: three nodes on this machine, each with a Docker daemon of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox_interpreter import Cluster, Policy, Script
from sandbox_interpreter.errors import EngineError, SandboxClosed
from sandbox_interpreter.sandbox.outputs import Stream
from tests.support import documented, own_engine
from tests.support.ray_cluster import IMAGE, RayCluster
from tests.support.readers_world import furnish
from tests.support.sbi_process import SECONDS, Commands, Ended

SMALL = Policy(cpus=1, memory=256 * 2**20, grace=0.5)
FOREVER = "import time; print('up', flush=True)\nwhile True: time.sleep(0.05)"
PAGE = documented.PAGES["docs/cluster.md"]
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("cluster")]  # of which one at a time is enough
"""Each test starts a driver of Ray's and up to nine of its processes, beside three daemons: minutes, if it is busy."""
MANY = 200
ROOM = 3
"""Sandboxes that each node has room for."""


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    """Give the cluster to all tests; those that take a node from it give it back."""
    if reason := own_engine.reason_against():
        pytest.skip(reason)
    cluster = RayCluster(3, sandboxes=ROOM)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(ray_cluster: RayCluster) -> Iterator[Cluster]:
    """Give the cluster as this process sees it, and see that it leaves nothing on any node."""
    with Cluster(ray_cluster.address, patience=1.0) as joined:
        yield joined
    assert ray_cluster.left_behind() == []


def write(sbi: Commands, tasks: dict[str, Any]) -> None:
    """Write task files into the folder tasks, by their names."""
    (sbi.folder / "tasks").mkdir(exist_ok=True)
    for name, task in tasks.items():
        (sbi.folder / "tasks" / f"{name}.yaml").write_text(yaml.safe_dump(task))


def words(cluster: RayCluster, *more: str) -> list[str]:
    return ["task", "tasks", "--cluster", cluster.address, "--image", IMAGE, "--cpus", "1", "--memory", "256m",
            "--json", "r.json", *more]


def driver(cluster: RayCluster, **more: str) -> dict[str, str]:
    """Return the environment of a driver, which has no engine itself."""
    return {**cluster.environment(), "DOCKER_HOST": "unix:///none.sock", **more}


def results(sbi: Commands) -> dict[str, dict[str, Any]]:
    return {Path(each["name"]).name: each for each in json.loads((sbi.folder / "r.json").read_text())["tasks"]}


def said(ended: Ended) -> str:
    return f"{ended.code}\n{ended.out.decode()}\n{ended.said}"


def printed(box: Any, code: str, **options: Any) -> str:
    return "".join(str(chunk.get("content") or "") for chunk in box.run("python", code, **options)
                   if chunk.get("format") == "output")


# --- tasks ---


def test_tasks_run_on_nodes_with_inputs_checks_artifacts_and_models(ray_cluster: RayCluster, sbi: Commands) -> None:
    (sbi.folder / "answers.yaml").write_text(yaml.safe_dump({"turns": [
        {"text": "I write it.", "code": "open('sum.txt', 'w').write('42')"}, {"text": "There it is."}]}))
    large = os.urandom(3 * 2**20)
    write(sbi, {
        "prompt": {"prompt": "Write 42 into sum.txt.", "checks": ["grep -qx 42 sum.txt"], "artifacts": ["sum.txt"],
                   "model": "scripted:answers.yaml"},
        "copy": {"code": "import shutil; shutil.copy('large.bin', 'back.bin')", "inputs": ["large.bin"],
                 "artifacts": ["back.bin"]},
        "fails": {"code": "print('so far')", "checks": ["exit 7"]},
        "slow": {"code": FOREVER, "timeout": 1},
        "late": {"code": FOREVER, "deadline": 1},
        "secret": {"code": "import os; print('is', os.environ['API_TOKEN'], os.environ['PLAIN'])"},
    })
    (sbi.folder / "tasks/large.bin").write_bytes(large)
    ended = sbi(*words(ray_cluster, "--out", "out", "-j", "4", "--secret", "API_TOKEN", "--env", "PLAIN=plain"),
                env=driver(ray_cluster, API_TOKEN="hunter2hunter2"))
    assert ended.code == 1, said(ended)
    found = results(sbi)
    assert {name: each["reason"] for name, each in found.items()} == {
        "prompt": "", "copy": "", "secret": "", "fails": "The check 'exit 7' exited with 7.",
        "slow": "The code reached the time limit.", "late": "The deadline of 1 s was reached."}
    assert {each["node"] for each in found.values()} <= {member.address for member in ray_cluster.members}
    assert (sbi.folder / "out/tasks/copy/artifacts/back.bin").read_bytes() == large
    assert (sbi.folder / "out/tasks/prompt/artifacts/sum.txt").read_text() == "42"
    assert found["secret"]["output"] == "is [secret API_TOKEN] plain\n"
    assert ray_cluster.left_behind() == []


def test_a_node_that_dies_costs_no_task_and_each_ends_exactly_once(ray_cluster: RayCluster, sbi: Commands) -> None:
    write(sbi, {f"t{number:03}": {"code": f"import time; time.sleep(0.2); print({number})"} for number in range(MANY)})
    process = sbi.start(*words(ray_cluster, "-j", str(3 * ROOM)), env=driver(ray_cluster))
    victim = ray_cluster.members[-1]
    assert process.stdout
    for _ in range(MANY // 4):
        assert process.stdout.readline().startswith(b"PASS")
    ray_cluster.lose(victim)
    try:
        out, err = process.communicate(timeout=250)
        assert process.returncode == 0, out.decode() + err.decode()
        found = results(sbi)
        assert [found[f"t{number:03}"]["output"] for number in range(MANY)] == [f"{number}\n" for number in range(MANY)]
        assert {each["status"] for each in found.values()} == {"passed"}
        again = [each for each in found.values() if each["lost"]]
        assert again
        assert all(each["lost"] == [victim.address] and each["node"] != victim.address for each in again)
        assert all(f"begun anew as node {victim.address} went" in line for line in out.decode().splitlines()
                   if any(line.startswith(f"PASS  {each['name']} ") for each in again))
        assert len({each["node"] for each in found.values()}) == 3
        assert ray_cluster.left_behind(ray_cluster.members[:2]) == []
    finally:
        ray_cluster.revive(victim)


def test_a_node_is_lost_so_often_and_no_more(ray_cluster: RayCluster, sbi: Commands) -> None:
    write(sbi, {"one": {"code": FOREVER}})
    process = sbi.start(*words(ray_cluster, "--node-retries", "0", "--cpus", "1"), env=driver(ray_cluster))
    member = running(ray_cluster)
    member.engine.stop(kill=True)
    try:
        process.communicate(timeout=SECONDS)
        assert process.returncode == 125
        result = results(sbi)["one"]
        assert (result["status"], result["lost"]) == ("error", [member.address])
        assert result["reason"].startswith(f"The node {member.address} was lost: ")
    finally:
        member.engine.restart()
    assert ray_cluster.left_behind() == []


def running(cluster: RayCluster) -> Any:
    """Return the member on which the only sandbox runs, once it does."""
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up:
        for member in cluster.members:
            if member.containers():
                return member
        time.sleep(0.05)
    raise AssertionError("no sandbox has begun")


def test_a_node_whose_engine_is_down_gets_no_sandbox_and_the_doctor_says_so(ray_cluster: RayCluster,
                                                                            sbi: Commands) -> None:
    down = ray_cluster.members[1]
    down.engine.stop()
    try:
        write(sbi, {f"t{number}": {"code": "print('there')"} for number in range(8)})
        ended = sbi(*words(ray_cluster, "-j", "8"), env=driver(ray_cluster))
        assert ended.code == 0, said(ended)
        assert down.address not in {each["node"] for each in results(sbi).values()}
        assert f"The node {down.address} gets no more sandboxes: No container engine answers" in ended.said
        ended = sbi("cluster", "doctor", ray_cluster.address, "--json", env=driver(ray_cluster))
    finally:
        down.engine.start()
    assert ended.code == 1, said(ended)
    report = json.loads(ended.out)
    nodes = {each["address"]: each for each in report["nodes"]}
    assert sorted(nodes) == [member.address for member in ray_cluster.members]
    assert [each["ok"] for _, each in sorted(nodes.items())] == [True, False, True]
    assert "No container engine answers" in nodes[down.address]["problems"][0]
    well = nodes[ray_cluster.members[0].address]
    assert (well["sandboxes"], well["findings"]["images"]) == (ROOM, [IMAGE])
    assert well["findings"]["releases"] == report["here"]
    assert well["findings"]["engine"].startswith("docker ")


def reader(cluster: RayCluster) -> dict[str, str]:
    """Return the environment of somebody who tries what the page says."""
    return driver(cluster, RAY_ADDRESS=cluster.address, SBI_IMAGE=IMAGE, SBI_CPUS="1", SBI_MEMORY="256m",
                  SBI_MODEL="scripted:tests/sums.yaml")


@pytest.mark.parametrize("command", [each for each in documented.commands(PAGE) if each.startswith("sbi ")
                                     and "cluster" in each])
def test_the_command_of_the_page_runs(ray_cluster: RayCluster, sbi: Commands, command: str) -> None:
    furnish(sbi.folder)
    for name, address in (("ray://HEAD:10001", ray_cluster.outside), ("HEAD:6379", ray_cluster.address)):
        command = command.replace(name, address)
    ended = sbi(*shlex.split(command)[1:], env=reader(ray_cluster))
    assert ended.code == 0, said(ended)
    assert ray_cluster.left_behind() == []
    if command.startswith("sbi task"):
        assert ended.out.decode().splitlines()[-1].startswith("2 passed in "), said(ended)
    elif "--json" not in command:
        check_what_people_see(ray_cluster, ended.out.decode().splitlines())


def test_the_python_of_the_page_runs(ray_cluster: RayCluster, sbi: Commands) -> None:
    (code,) = documented.blocks(PAGE, "python")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS,
                           cwd=sbi.folder, env=os.environ | reader(ray_cluster))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("on 127.0.0.")
    assert "2\\n'}" in ended.stdout  # in a chunk of its own or not


def test_the_cluster_of_kubernetes_says_what_the_page_says() -> None:
    (text,) = documented.blocks(PAGE, "yaml")
    (group,) = yaml.safe_load(text)["spec"]["workerGroupSpecs"]
    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {"sbi": 8}
    ray, engine = group["template"]["spec"]["containers"]
    assert ray["volumeMounts"] == engine["volumeMounts"]
    assert ray["resources"] == engine["resources"]
    variables = {each["name"]: each["value"] for each in ray["env"]}
    assert f"--host={variables['DOCKER_HOST']}" in engine["args"]
    assert variables["TMPDIR"] in {each["mountPath"] for each in engine["volumeMounts"]}


def check_what_people_see(ray_cluster: RayCluster, lines: list[str]) -> None:
    assert lines[0].startswith("    here       sbi ")
    assert [line.split()[:2] for line in lines[1::2]] == [["ok", member.address] for member in ray_cluster.members]
    assert all(f"room for {ROOM} sandboxes, {ROOM} processors" in line for line in lines[1::2])
    assert all(line.endswith(f"images: {IMAGE}") for line in lines[2::2])


# --- the end ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_whatever_ends_the_driver_nothing_is_left_on_any_node(ray_cluster: RayCluster, sbi: Commands, number: int,
                                                              code: int) -> None:
    write(sbi, {name: {"code": FOREVER} for name in "abcd"})
    process = sbi.start(*words(ray_cluster, "-j", "4"), env=driver(ray_cluster))
    give_up = time.monotonic() + SECONDS
    while len(ray_cluster.left_behind(seconds=0)) < 8 and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert ray_cluster.left_behind() == []
    if number == signal.SIGINT:
        assert Counter(each["status"] for each in results(sbi).values()) == {"skipped": 4}


# --- Python ---


def test_output_comes_as_it_is_written_and_files_travel_both_ways(cluster: Cluster, tmp_path: Path) -> None:
    data = os.urandom(9 * 2**20 + 17)
    (tmp_path / "in.bin").write_bytes(data)
    code = ("import os, time\nprint('ready', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
            "os.makedirs('sub', exist_ok=True); os.rename('in.bin', 'sub/out.bin'); print('done')")
    with cluster.sandbox(IMAGE, policy=SMALL) as box:
        box.upload(tmp_path / "in.bin")
        outputs = iter(box.execute("python", code, script=Script()))
        assert next(outputs) == Stream("stdout", b"ready\n")  # the program waits for what comes now
        (tmp_path / "go").touch()
        box.upload(tmp_path / "go")
        assert b"".join(each.data for each in outputs if isinstance(each, Stream)) == b"done\n"
        assert box.files("**") == ["go", "sub/out.bin"]
        assert box.download("**/*.bin", tmp_path / "out") == [tmp_path / "out/sub/out.bin"]
    assert (tmp_path / "out/sub/out.bin").read_bytes() == data


def test_a_flood_comes_whole_and_in_order_and_a_run_can_be_left(cluster: Cluster) -> None:
    with cluster.sandbox(IMAGE, policy=SMALL) as box:
        run = box.execute("python", "for n in range(400_000): print(n)")
        got = b"".join(each.data for each in run if isinstance(each, Stream))
        assert got.split() == [str(number).encode() for number in range(400_000)]
        chunks = box.run("python", "x = 5\n" + FOREVER)
        assert any(chunk.get("content") == "up\n" for chunk in chunks)
        chunks.close()  # type: ignore[attr-defined]  # a generator
        assert printed(box, "print(x)") == "5\n"
        run = box.execute("python", FOREVER, timeout=0.5)
        assert [*run]
        assert (run.result.limit, run.result.exit_code) == ("time", 124)


def test_sandboxes_go_where_the_policy_finds_room(ray_cluster: RayCluster, cluster: Cluster) -> None:
    with ExitStack() as stack:
        boxes = [stack.enter_context(cluster.sandbox(IMAGE, policy=SMALL)) for _ in range(3 * ROOM)]
        assert Counter(box.node for box in boxes) == {member.address: ROOM for member in ray_cluster.members}
        for number, box in enumerate(boxes):
            assert printed(box, f"print({number})") == f"{number}\n"
        assert [len(member.containers()) for member in ray_cluster.members] == [ROOM] * 3
        waited: list[int] = []

        def check() -> None:
            waited.append(1)
            if len(waited) == 2:
                boxes[0].close()

        with cluster.sandbox(IMAGE, policy=SMALL, check=check) as box:  # there is none until that one ends
            assert box.node == boxes[0].node
            assert printed(box, "print(7)") == "7\n"
            with pytest.raises(SandboxClosed):
                boxes[0].execute("python", "print(8)")
    with cluster.sandbox(IMAGE, policy=Policy(cpus=ROOM, memory=256 * 2**20)) as box:  # what was kept makes room
        assert printed(box, "print(9)") == "9\n"
    with pytest.raises(EngineError, match=f"No node of the cluster has {ROOM + 1} processors and 256 MiB of memory"):
        cluster.sandbox(IMAGE, policy=Policy(cpus=ROOM + 1, memory=256 * 2**20))


def test_a_secret_reaches_the_code_and_nothing_else_on_the_node(ray_cluster: RayCluster, cluster: Cluster) -> None:
    secret = "correct-horse-battery-staple"
    with cluster.sandbox(IMAGE, policy=SMALL, secrets={"TOKEN": secret, "LONG": "l" * 120_000}) as box:
        assert printed(box, "import os; print(len(os.environ['TOKEN']), len(os.environ['LONG']))") == "28 120000\n"
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and process.name != str(os.getpid()):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes()
                    except OSError:
                        continue
                    assert secret.encode() not in text or b"/sandbox" in text, process  # the code's own process has it
    for path in (ray_cluster.folder / "r").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert secret.encode() not in path.read_bytes(), path


KNOCKS = """
import http.client, socket, urllib.parse, os
proxy = urllib.parse.urlsplit(os.environ['http_proxy'])
for address in {addresses}:
    try:
        socket.create_connection(address, 2)
        print('open')
    except OSError:
        print('closed')
    way = http.client.HTTPConnection(proxy.hostname, proxy.port)
    way.set_tunnel(*address)
    try:
        way.connect()
        print('tunnel')
    except OSError as error:
        print('403' in str(error))
"""


def test_code_on_a_node_reaches_no_port_of_rays(ray_cluster: RayCluster, cluster: Cluster) -> None:
    ways = [ray_cluster.address, ray_cluster.outside.removeprefix("ray://")]
    addresses = [(host, int(port)) for host, _, port in (way.rpartition(":") for way in ways)]
    for address in addresses:
        socket.create_connection(address).close()  # from outside of the sandbox it is open
    with cluster.sandbox(IMAGE, policy=replace(SMALL, network="example.com")) as box:
        assert printed(box, KNOCKS.format(addresses=addresses)) == "closed\nTrue\n" * len(addresses)
