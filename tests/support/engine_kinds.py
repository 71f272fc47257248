"""The engines of the matrix: how each is started, how it is reached, and what it is known not to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable
from tests.support.engine_root import Network, Root, Unavailable, cabled

__all__ = ["KINDS", "Kind", "Unavailable"]

START_SECONDS = 60
SSH_PORT = 2222
Environment = dict[str, str]
Start = Callable[[Root], AbstractContextManager[Environment]]


@dataclass(frozen=True)
class Kind:
    """One engine. ``started`` gives the environment of tests on it; ``gaps`` are tests left out, with the reason."""

    what: str
    started: Start
    gaps: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def address(environment: Environment) -> str:
        """Return where images are to be copied; "" for the engine that has them."""
        return environment.get("MATRIX_SOCKET", "")


@contextmanager
def installed(_: Root) -> Iterator[Environment]:
    """Give the engine that is there anyway."""
    try:
        DockerEngine().close()
    except EngineUnreachable as error:
        raise Unavailable(str(error)) from None
    yield dict(os.environ)


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"engine-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once an engine answers there. Raises Unavailable."""
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            DockerEngine(address).close()
        except EngineUnreachable:
            time.sleep(0.2)
        else:
            return
    raise Unavailable(f"it does not start: {' '.join(log.read_text(errors='replace').split())[-400:]}")


DATA = "/var/lib/docker-tests"
"""The Docker Engine's images, in the folder: they stay, and are the same whichever way it is reached."""


def dockerd(*options: str, network: Network | None = None, alone: bool = False,
            prepare: Callable[[Path], object] = lambda _: None) -> Start:
    """Return what starts the folder's Docker Engine, in ``network`` if one is given.

    FOLDER in ``options`` stands for a new one, which ``prepare`` is given first. ``alone``: it sees no other of this
    machine.
    """

    @contextmanager
    def started(root: Root) -> Iterator[Environment]:
        root.prepare()
        with folder_of("docker") as folder:
            prepare(folder)
            address, log = f"unix://{folder}/api.sock", folder / "log"
            words = ["dockerd", "-H", address, "--data-root", DATA, "--exec-root", f"{folder}/exec",
                     "--pidfile", f"{folder}/pid", *(option.replace("FOLDER", str(folder)) for option in options)]
            with root.running(*words, log=log, network=network, alone=folder if alone else None) as process:
                wait_for(address, process, log)
                yield os.environ | {"DOCKER_HOST": address, "MATRIX_SOCKET": address, "MATRIX_FOLDER": str(folder)}

    return started


@contextmanager
def podman(root: Root) -> Iterator[Environment]:
    """Give Podman's API service."""
    root.prepare()
    with folder_of("podman") as folder:
        address, log = f"unix://{folder}/api.sock", folder / "log"
        # runc: crun wants one kind of control groups, and machines have both.
        words = ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "--root=/var/lib/podman-tests",
                 "system", "service", "-t", "0", address]
        with root.running(*words, log=log) as process:
            wait_for(address, process, log)
            yield os.environ | {"DOCKER_HOST": address, "MATRIX_SOCKET": address}


def certify(folder: Path, address: str) -> None:
    """Make an authority, a server and a client of it, by the names that Docker looks for. Raises Unavailable."""
    def openssl(*words: str) -> None:
        try:
            subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"openssl makes no certificate: {error}") from None

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-keyout", "ca-key.pem",
            "-out", "ca.pem", "-days", "2")
    for name, use in (("server", "serverAuth"), ("", "clientAuth")):
        prefix = f"{name}-" if name else ""
        (folder / "extensions").write_text(f"extendedKeyUsage={use}\nsubjectAltName=IP:{address}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={use}", "-keyout", f"{prefix}key.pem",
                "-out", "request.pem")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{prefix}cert.pem")


def choose_gvisor(folder: Path) -> None:
    """Make runsc the runtime of whatever asks for none."""
    runsc = {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=systrap", "--network=none"]}
    (folder / "daemon.json").write_text(json.dumps({"runtimes": {"runsc": runsc}, "default-runtime": "runsc"}))


@contextmanager
def tls(root: Root) -> Iterator[Environment]:
    """Give Docker Engine at a TCP address that takes certified clients only."""
    with cabled() as network:
        address = f"tcp://{network.address}:2376"
        start = dockerd("-H", address, "--tlsverify", "--tlscacert=FOLDER/ca.pem",
                        "--tlscert=FOLDER/server-cert.pem", "--tlskey=FOLDER/server-key.pem", network=network,
                        prepare=lambda folder: certify(folder, network.address))
        with start(root) as environment:
            yield environment | {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1",
                                 "DOCKER_CERT_PATH": environment["MATRIX_FOLDER"]}


@contextmanager
def ssh(root: Root) -> Iterator[Environment]:
    """Give Docker Engine as on another machine, behind an ssh server that takes one key."""
    if not shutil.which("ssh"):
        raise Unavailable("there is no ssh client; apt-get install openssh-client")
    with (cabled() as network, dockerd(network=network, alone=True)(root) as environment, folder_of("ssh") as folder):
        log = folder / "log"
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        (folder / "server").write_text(
            f"Port {SSH_PORT}\nListenAddress {network.address}\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\n"
            "StrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\nMaxSessions 100\n")
        (folder / "client").write_text(
            f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
            "StrictHostKeyChecking accept-new\n")
        # OpenSSH asks the system where the home is, so no variable leads it to another configuration.
        (folder / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
        (folder / "ssh").chmod(0o755)
        words = ["sh", "-c", f"mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f {folder}/server"]
        with root.running(*words, log=log, network=network):
            wait_for_port(network.address, log)
            there = environment["MATRIX_SOCKET"].removeprefix("unix://")
            yield environment | {"DOCKER_HOST": f"ssh://root@{network.address}:{SSH_PORT}{there}", "MATRIX_FAR": "1",
                                 "PATH": f"{folder}:{os.environ['PATH']}"}


def wait_for_port(address: str, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection((address, SSH_PORT), 1):
            return
        time.sleep(0.1)
    raise Unavailable(f"sshd does not start: {log.read_text(errors='replace')[-400:]}")


def left_out(reason: str, *tests: str) -> dict[str, str]:
    return dict.fromkeys((f"tests/{test}" for test in tests), reason)


HARDENING = "contract/test_hardening.py::test_"
BENCHMARK = "contract/test_cis_docker_benchmark.py::test_the_benchmarks_item_holds"
STORE = "contract/test_image_store.py::test_"
RELAYED = left_out("the test cuts the socket of the installed engine",
                   "attack/test_host_holds.py::test_an_engine_lost_in_mid_run_is_said_and_nothing_hangs",
                   "attack/test_host_holds.py::test_an_engine_lost_while_nothing_runs_is_said_by_the_next_run")
OWN_MOUNTS = left_out("the engine has mounts of its own, and does not see the small disks that the tests mount",
                      "attack/test_disk.py")
NO_SOCKET = left_out("the engine is on no socket of this machine, and is spoken to through the SDK",
                     "contract/test_engine_quick.py")
UNPROVED = left_out("an image without Python cannot tell there which folder it sees, so this machine's is refused",
                    "contract/test_no_python.py")
OWN_NETWORK = RELAYED | OWN_MOUNTS | left_out("the engine is in a network of its own, where the test's registry is not",
                                 f"{STORE}a_pull_brings_the_image", f"{STORE}a_silent_registry_is_not_waited_for")
PODMAN = {
    **OWN_NETWORK,
    **left_out("Podman's inspect says the same in other words",
               *(f"{BENCHMARK}[{item}" for item in ("5.3 ", "5.15 ", "5.18 ", "5.20 ")),
               f"{HARDENING}every_capability_is_dropped_and_none_added", f"{HARDENING}another_policy",
               f"{HARDENING}core_dumps_and_open_files_are_limited", f"{HARDENING}the_kernels_own_files_are_masked",
               f"{HARDENING}no_device_is_given_and_sysctls_only_narrow", f"{HARDENING}the_runtime_is_the_engines",
               f"{HARDENING}an_init_reaps_and_nothing_is_logged_or_kept",
               "contract/test_no_python.py::test_it_stands_under_the_same_policy"),
    **left_out("Podman's places in memory are root's, and open to all",
               "contract/test_installed_packages.py::test_the_folder_is_the_codes_and_nobody_elses"),
    **left_out("Podman closes a container's stdin with its first client",
               "contract/test_egress.py::test_a_client_that_comes_back_finds_a_way_out_that_works",
               "contract/test_sandbox.py::test_a_second_client", "contract/test_sandbox.py::test_a_client_that_dies",
               "contract/test_workspace_copy.py::test_a_conversation_that_was_killed",
               "attack/test_host_holds.py::test_a_flood_taken_up_half_way_goes_on_at_a_whole_frame"),
    **left_out("Podman builds and names images in its own way",
               f"{STORE}a_build_yields_its_steps_and_leaves_a_labelled_image", f"{STORE}a_build_that_cannot_work",
               f"{STORE}a_root_file_system_becomes_an_image"),
    **left_out("Podman's tmpfs knows no limit of files", "attack/test_exhaustion.py::test_scratch_space_filled"),
    **left_out("Podman's list of processes has other columns",
               "attack/test_host_faults.py::test_a_container_that_is_ended_from_outside_costs_its_run_and_no_file[agent"),
    **left_out("the same, so that nothing can wait for a second one", "contract/test_standby.py",
               "attack/test_hostile_image.py::test_a_volume_is_none_in_a_sandbox_that_waits"),
    **left_out("Podman is spoken to through the SDK alone", "contract/test_engine_quick.py"),
    **left_out("Podman has two writable places more, a page in size, and mounts its own init",
               "attack/test_hostile_image.py::test_a_volume_of_the_image_is_no_place_to_write_to",
               "attack/test_surface.py::test_nothing_can_be_written", "attack/test_surface.py::test_no_engines_socket",
               f"{HARDENING}scratch_space_is_in_memory_sized_and_without_devices_or_setuid"),
}
SURFACE = "attack/test_surface.py::test_"
EXHAUSTION = "attack/test_exhaustion.py::test_"
TAKEOVER = "attack/test_takeover.py::test_"
FULL = "contract/test_full_network.py::test_"
GVISOR = {
    **OWN_NETWORK,
    **left_out("runsc is started without a network of its own there",
               f"{FULL}this_machine_and_metadata", f"{FULL}what_is_beyond_this_machine"),
    **left_out("gVisor's kernel says it in other words", "contract/test_sandbox.py::test_a_read_only_workspace_cannot",
               f"{SURFACE}code_has_no_capability", f"{SURFACE}no_program_gives_privileges_away",
               f"{SURFACE}there_is_no_device_but", f"{SURFACE}no_engines_socket_and_no_folder",
               f"{HARDENING}scratch_space_is_in_memory", f"{EXHAUSTION}what_system_v_keeps",
               "contract/test_egress.py::test_there_is_no_interface_but_loopback_and_no_proxy",
               "contract/test_cis_docker_benchmark.py::test_an_auditor_finds_nothing_inside[cat /proc/self/setgroups"),
    **left_out("gVisor grants it inside of its own kernel, where the machine's is not reached", *(
        f"{SURFACE}what_needs_privilege_fails[{attempt}" for attempt in ("unshare -Ur", "mknod", "dmesg", "renice")),
        *(f"attack/test_kernel_calls.py::test_what_reaches_into_the_kernel_is_refused[call('{attempt}"
          for attempt in ("mknodat', -100, b'/tmp", "syslog"))),
    **left_out("what runs in gVisor is no process of this machine's, where the test looks for it",
               "attack/test_left_behind.py::test_stopped_and_traced_processes", "attack/test_host_faults.py::"
               "test_a_container_that_is_ended_from_outside_costs_its_run_and_no_file[agent_killed]"),
    **left_out("gVisor names what the agent writes to otherwise, so the test does not find it to forge with",
               f"{TAKEOVER}forged_frames", f"{TAKEOVER}a_forged", "attack/test_egress_forged.py",
               f"{TAKEOVER}an_agent_that_cannot_leave_is_removed_at_close[stopped-behind"),
    **left_out("gVisor does not spare the first process", f"{TAKEOVER}init_cannot_be_killed"),
    **left_out("gVisor's own threads are more than so few",
               f"{HARDENING}another_policy_changes_what_it_names_and_nothing_else[small]"),
    **left_out("Docker removes a frozen container of gVisor's at its second try only",
               "attack/test_host_faults.py::test_a_container_that_is_frozen"),
    **left_out("gVisor's tmpfs knows no limit of files", f"{EXHAUSTION}scratch_space_filled"),
    **left_out("gVisor counts in a kernel of its own, and shows no counters",
               "contract/test_python_kernel.py::test_too_many_processes_are_named",
               "contract/test_python_kernel.py::test_running_out_of_memory_takes_the_cell",
               "contract/test_no_python.py::test_memory_that_runs_out", f"{EXHAUSTION}a_memory_hog",
               f"{EXHAUSTION}a_hog_in_a_background_child", f"{EXHAUSTION}threads_count_as_processes",
               f"{EXHAUSTION}a_fork_bomb_stops"),
}
SANDBOX = "contract/test_sandbox.py::test_"
PACKAGES = "contract/test_installed_packages.py::test_"
FAR = OWN_NETWORK | NO_SOCKET | {
    **left_out("the files of a sandbox that has no folder of its user's are in its memory there, and end with it",
               f"{SANDBOX}code_that_ends_the_agent_costs_the_run_only", f"{TAKEOVER}forged_frames_end_the_session",
               f"{SANDBOX}closing_leaves_no_container",
               "attack/test_host_faults.py::test_a_container_that_is_ended_from_outside",
               "attack/test_conversation_faults.py::test_a_client_that_sleeps_longer"),
    **left_out("sbi says there that files travel by copy, and the test expects other words, or none",
               "contract/test_siblings.py::test_it_shares_the_files_keeps_its_state",
               "attack/test_host_holds.py::test_a_ctrl_c_at_any_moment_leaves_no_container[1.2]"),
    **left_out("the workspace is a place in memory there, and no mount", f"{HARDENING}the_workspace_is_the_only_mount",
               f"{BENCHMARK}[5.5 ", "attack/test_hostile_image.py::test_a_volume_of_the_image_is_no_place_to_write_to",
               f"{HARDENING}scratch_space_is_in_memory", f"{PACKAGES}the_folder_is_the_codes_and_nobody_elses[private]",
               f"{PACKAGES}they_are_on_disk_seen_at_once_and_there_after_the_kernels_end[private]",
               f"{PACKAGES}without_a_network_they_stay_in_memory"),
}
KINDS = {
    "installed": Kind("the engine that is installed", installed),
    "current": Kind("a current Docker Engine", dockerd(), OWN_NETWORK),
    "podman": Kind("Podman's API service", podman, PODMAN),
    "gvisor": Kind("Docker Engine with gVisor", dockerd("--config-file=FOLDER/daemon.json",
                                                        prepare=choose_gvisor), GVISOR),
    "tls": Kind("Docker Engine over TCP with TLS", tls, OWN_NETWORK | NO_SOCKET | UNPROVED),
    "ssh": Kind("Docker Engine as on another machine, at the other end of ssh", ssh, FAR),
}
