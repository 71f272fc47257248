"""What code asks of the kernel itself, past every library: it is refused, or is of no use to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

# By number, since the C library has no function for most (asm/unistd.h of each machine; above 423 they are the same).
CALLS = """
import ctypes, os, signal, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {
    'x86_64': dict(keyctl=250, add_key=248, request_key=249, bpf=321, ptrace=101, mount=165, umount2=166,
                   pivot_root=155, unshare=272, setns=308, perf_event_open=298, userfaultfd=323, open_by_handle_at=304,
                   init_module=175,
                   kexec_load=246, reboot=169, swapon=167, acct=163, settimeofday=164, sethostname=170, quotactl=179,
                   mknod=133, chroot=161, iopl=172, personality=135, process_vm_writev=311, syslog=103, openat=257,
                   fchmodat=268, mknodat=259, getpid=39, socket=41),
    'aarch64': dict(keyctl=219, add_key=217, request_key=218, bpf=280, ptrace=117, mount=40, umount2=39, pivot_root=41,
                    unshare=97, setns=268, perf_event_open=241, userfaultfd=282, open_by_handle_at=265,
                    init_module=105, kexec_load=104, reboot=142, swapon=224, acct=89, settimeofday=170,
                    sethostname=161, quotactl=60, mknodat=33, chroot=51, personality=92, process_vm_writev=271,
                    syslog=116, openat=56, fchmodat=53, getpid=172, socket=198)}
number = NUMBERS[os.uname().machine] | dict(
    io_uring_setup=425, io_uring_enter=426, io_uring_register=427, open_tree=428, move_mount=429, fsopen=430,
    fsmount=432, clone3=435, openat2=437, mount_setattr=442, fchmodat2=452)
buffer = ctypes.create_string_buffer(4096)
def call(name, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(number[name]), *arguments)
"""


@pytest.fixture(scope="module")
def box(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as made:
        run(made, "python", CALLS)
        yield made


@pytest.mark.parametrize("attempt", [
    "call('io_uring_setup', 4, buffer)", "call('io_uring_enter', 0, 1, 1, 0, 0)",
    "call('io_uring_register', 0, 0, 0, 0)",
    "call('keyctl', 0, -3, 1)", "call('keyctl', 1, 0)", "call('add_key', b'user', b'x', b'y', 1, -3)",
    "call('request_key', b'user', b'x', 0, -3)",
    "call('bpf', 0, buffer, 64)", "call('bpf', 5, buffer, 128)", "call('perf_event_open', buffer, 0, -1, -1, 0)",
    "call('userfaultfd', 0)", "call('open_by_handle_at', -100, buffer, 0)",
    "call('mount', b'none', b'/mnt', b'tmpfs', 0, 0)", "call('umount2', b'/workspace', 2)",
    "call('fsopen', b'tmpfs', 0)",
    "call('open_tree', -100, b'/', 1)", "call('fsmount', 0, 0, 0)", "call('mount_setattr', -100, b'/', 0, buffer, 32)",
    "call('move_mount', -1, b'', -1, b'', 0)", "call('pivot_root', b'/tmp', b'/tmp')", "call('chroot', b'/tmp')",
    "call('unshare', 0x10000000)", "call('unshare', 0x00020000)", "call('setns', 0, 0)",
    "call('clone3', struct.pack('8Q', 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)",
    "call('init_module', buffer, 10, b'')", "call('kexec_load', 0, 0, 0, 0)",
    "call('reboot', 0xfee1dead, 672274793, 0, 0)",
    "call('swapon', b'/workspace/x', 0)", "call('acct', b'/workspace/x')", "call('settimeofday', buffer, 0)",
    "call('sethostname', b'other', 5)", "call('quotactl', 0, 0, 0, 0)", "call('syslog', 3, buffer, 4096)",
    "call('mknodat', -100, b'/workspace/device', 0o60600, 0x800)",
    "call('mknodat', -100, b'/tmp/device', 0o20600, 0x101)",
])
def test_what_reaches_into_the_kernel_is_refused(box: Sandbox, attempt: str) -> None:
    assert run(box, "python", f"print({attempt} < 0, ctypes.get_errno() != 0)").stdout == "True True\n"


@pytest.mark.parametrize("kind", ["AF_PACKET, SOCK_RAW", "AF_INET, SOCK_RAW, 1", "AF_INET6, SOCK_RAW, 58",
                                  "AF_INET, SOCK_RAW, 255", "AF_VSOCK, SOCK_STREAM", "AF_VSOCK, SOCK_DGRAM"])
def test_no_socket_is_to_be_had_that_looks_past_the_network_it_has(box: Sandbox, kind: str) -> None:
    family, *rest = kind.split(", ")
    arguments = ", ".join([f"socket.{family}", f"socket.{rest[0]}", *rest[1:]])
    code = f"try: socket.socket({arguments}); print('open')\nexcept OSError: print('refused')"
    assert run(box, "python", code).stdout == "refused\n"


@pytest.mark.parametrize("attempt", [
    "os.chmod('x', 0o4755)", "os.fchmod(opened, 0o4755)", "call('fchmodat', -100, b'x', 0o4755)",
    "call('fchmodat2', -100, b'x', 0o4755, 0)", "call('openat', -100, b'y', os.O_CREAT | os.O_WRONLY, 0o4755)",
    "os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4755)",
    "call('openat2', -100, b'y', struct.pack('3Q', 0o101, 0o4755, 0), 24)",
    "os.mknod('y', 0o104755)", "os.system('install -m 4755 /bin/true y')", "os.system('chmod u+s x')",
    "os.system('cp -p x y; chmod 6755 y')",
])
def test_no_file_of_the_hosts_folder_becomes_setuid(box: Sandbox, attempt: str) -> None:
    """In here the bit does nothing; on the host, whoever ran the file would act as its owner."""
    code = f"""
open('x', 'wb').close(); os.chmod('x', 0o755); opened = os.open('x', os.O_RDONLY)
try: {attempt}
except OSError: pass
os.close(opened)
print([each.name for each in os.scandir() if each.stat().st_mode & 0o4000])
[os.unlink(name) for name in ('x', 'y') if os.path.exists(name)]
"""
    assert run(box, "python", code).stdout == "[]\n"
    assert box.workspace is not None
    assert not [path for path in box.workspace.rglob("*") if path.stat().st_mode & 0o4000]


def test_ordinary_modes_are_set_as_ever(box: Sandbox) -> None:
    code = ("os.umask(0)\nfor mode in (0o777, 0o600, 0o1777, 0o2775):\n    os.makedirs('d', exist_ok=True)\n"
            "    os.chmod('d', mode); print(oct(os.stat('d').st_mode & 0o7777))\nos.rmdir('d')\n"
            "os.close(os.open('f', os.O_CREAT | os.O_WRONLY, 0o751)); print(oct(os.stat('f').st_mode & 0o7777))")
    assert run(box, "python", code).stdout.split() == ["0o777", "0o600", "0o1777", "0o2775", "0o751"]


def test_no_other_architectures_calls_lead_around_the_filter(box: Sandbox) -> None:
    code = "print(libc.syscall(ctypes.c_long(number['getpid'] | 0x40000000)) < 0)"  # x32's number of a harmless call
    assert run(box, "python", code).stdout == "True\n"


def test_the_filter_holds_every_process_the_first_one_too(box: Sandbox) -> None:
    code = ("import glob\nprint({line.split()[1] for path in glob.glob('/proc/[0-9]*/status') for line in open(path)\n"
            "       if line.startswith('Seccomp_filters')})")
    filters = run(box, "python", code).stdout.strip()
    assert filters in ("{'2'}", "set()"), filters  # the engine's, and the agent's; older kernels do not count them


def test_tracing_the_agent_or_the_first_process_costs_nobody_but_this_session(engine: DockerEngine) -> None:
    """Debuggers work in here, and so do attacks on the agent: what it says is believed no more than code is."""
    for target in ("os.getppid()", "1"):
        with Sandbox(engine=engine, policy=Policy(grace=0.2), notify=lambda _: None) as box:
            done = run(box, "python", f"{CALLS}\nprint(call('ptrace', 16, {target}, 0, 0), flush=True)\ntime.sleep(1)",
                       timeout=20)
            assert done.stdout in ("0\n", "-1\n", "")
            assert run(box, "python", "print(6 * 7)", timeout=30).stdout == "42\n"
            identifier = box.container_id
        assert identifier not in [each.id for each in engine.list({}) if each.state == "running"]


def test_a_crash_leaves_no_core_file_anywhere(box: Sandbox) -> None:
    code = ("import resource, subprocess, sys\n"
            "try: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))\n"
            "except (OSError, ValueError): print('refused')\n"
            "for folder in ('/workspace', '/tmp', os.environ['HOME']):\n"
            "    ended = subprocess.run([sys.executable, '-c', 'import os; os.abort()'], cwd=folder)\n"
            "    print(ended.returncode, [name for name in os.listdir(folder) if 'core' in name])")
    assert run(box, "python", code).stdout.splitlines() == ["refused", *["-6 []"] * 3]
    assert not [line for line in run(box, "shell", "cat /proc/self/limits").stdout.splitlines()
                if line.startswith("Max core") and line.split()[4:6] != ["0", "0"]]
