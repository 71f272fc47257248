"""Two sessions side by side: neither finds the other, its files, its processes or its sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

PRESENCE = """
import ctypes, os, socket, subprocess, threading
listeners = []
for family, address in ((socket.AF_UNIX, '\\0sbi-test'), (socket.AF_INET, ('0.0.0.0', 4567)),
                        (socket.AF_INET6, ('::', 4568))):
    try:
        listeners.append(socket.socket(family)); listeners[-1].bind(address); listeners[-1].listen()
    except OSError: pass
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(0x5b1, 4096, 0o1666)
queue = libc.msgget(0x5b1, 0o1666)
for path in ('/dev/shm/sbi-test', '/tmp/sbi-test', os.path.expanduser('~/sbi-test'), '/workspace/sbi-test'):
    open(path, 'w').write('the other was here')
subprocess.Popen(['python3', '-c', 'import time; time.sleep(60)', 'sbi-test-process'])
print(len(listeners), segment >= 0, queue >= 0)
"""
SEARCH = """
import ctypes, glob, os, socket
found = []
for family, address in ((socket.AF_UNIX, '\\0sbi-test'), (socket.AF_INET, ('127.0.0.1', 4567)),
                        (socket.AF_INET, ('172.17.0.2', 4567)), (socket.AF_INET6, ('::1', 4568))):
    try:
        s = socket.socket(family); s.settimeout(1); s.connect(address); found.append(address)
    except OSError: pass
libc = ctypes.CDLL(None)
found += ['shm'] * (libc.shmget(0x5b1, 4096, 0o666) >= 0) + ['msg'] * (libc.msgget(0x5b1, 0o666) >= 0)
for root in ('/dev/shm', '/tmp', os.path.expanduser('~'), '/workspace', '/dev/mqueue'):
    found += [path for path in glob.glob(root + '/**', recursive=True) if path.endswith('sbi-test')]
for path in glob.glob('/proc/[0-9]*/cmdline'):
    found += [path for _ in '.' if b'sbi-test-process' in open(path, 'rb').read()]
found += [line for line in open('/proc/net/unix') if 'sbi-test' in line]
print(found)
"""


@pytest.fixture
def pair(engine: DockerEngine) -> Iterator[tuple[Sandbox, Sandbox]]:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as one, Sandbox(engine=engine) as other:
        yield one, other


def test_no_session_finds_another(pair: tuple[Sandbox, Sandbox]) -> None:
    one, other = pair
    assert run(one, "python", PRESENCE).stdout == "3 True True\n"
    assert "sbi-test" in run(one, "python", SEARCH).stdout  # the search is one
    assert run(other, "python", SEARCH).stdout == "[]\n"


def test_signals_to_every_process_there_is_reach_no_other_session(pair: tuple[Sandbox, Sandbox]) -> None:
    one, other = pair
    run(other, "python", "kept = 1")
    run(one, "python", "import os\nfor pid in range(1, 40_000):\n    try: os.kill(pid, 0) if pid == os.getpid() else "
                       "os.kill(pid, 9)\n    except OSError: pass", timeout=60)
    time.sleep(0.2)
    assert run(other, "python", "kept").values == ["1"]
