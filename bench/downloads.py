"""Connections through the relay: how fast they are, and what runs and interrupts feel of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Figure, percentile, timed
from bench.raw import RawEngine
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox

MEGABYTES = 500
RUNS = 5
INTERRUPTS = 11
DOWNLOADS = 20
DOWNLOAD_SECONDS = 5
"""How long each of them goes on: longer than the cells take that are measured meanwhile."""
CELLS = 100
TIMED_OUT = 28
"""What curl ends with where its time is over, as it is to be here (curl(1), "EXIT CODES")."""
# A process of its own: in ours it would wait for the same interpreter lock as the relay.
SERVER = """
import socket, threading
listener = socket.create_server(('127.0.0.1', 0), backlog=128)
print(listener.getsockname()[1], flush=True)
block = bytes(1 << 20)
def serve(peer):
    with peer:
        wanted = int(peer.recv(65536).split()[1].strip(b'/'))
        peer.sendall(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n' % (wanted << 20))
        try:
            for _ in range(wanted): peer.sendall(block)
        except OSError: pass
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield throughput, how long interrupts and cells take meanwhile, and how fairly downloads share."""
    with _server() as port, Sandbox(engine=raw.engine, policy=Policy(network=f"127.0.0.1:{port}")) as box:
        url = f"http://127.0.0.1:{port}"
        _run(box, f"curl -sS -o /dev/null {url}/10")
        took = statistics.median(timed(lambda: _run(box, f"curl -sS -o /dev/null {url}/{MEGABYTES}"))
                                 for _ in range(RUNS))
        yield Figure("download through the relay, from loopback", MEGABYTES * 2**20 / 1e3 / took, "MB/s", 100,
                     side="least")
        yield Figure("interrupt in the midst of a download: median",
                     statistics.median(_interrupt(box, url) for _ in range(INTERRUPTS)), "ms", 100)
        yield from _at_once(box, url)


def _at_once(box: Sandbox, url: str) -> Iterator[Figure]:
    """Yield what cells feel of many downloads, and those of each other. Each tells its size, and ends with its time."""
    _run(box, f"""pids=; for i in $(seq {DOWNLOADS}); do
        curl -sS -m {DOWNLOAD_SECONDS} -o /dev/null -w '%{{size_download}}' {url}/100000 >/tmp/size-$i 2>/dev/null &
        pids="$pids $!"; done; sleep 0.5""")
    times = [timed(lambda: list(box.execute("python", "print(1)"))) for _ in range(CELLS)]
    going = int(_run(box, "jobs -rp | wc -l"))
    sizes = _run(box, f"""for pid in $pids; do wait $pid; [ $? = {TIMED_OUT} ] || echo 0; done
        for i in $(seq {DOWNLOADS}); do cat /tmp/size-$i; echo; done""").split()
    yield Figure(f"a cell while {DOWNLOADS} downloads run: median", statistics.median(times), "ms", 50)
    yield Figure(f"a cell while {DOWNLOADS} downloads run: 99th percentile", percentile(times, 0.99), "ms", 200)
    yield Figure(f"downloads of {DOWNLOADS} that still run after these cells", going, "", DOWNLOADS, side="least")
    megabytes = [int(size) / 1e6 for size in sizes]
    yield Figure(f"of {DOWNLOADS} downloads at once, the slowest against the fastest", min(megabytes), "MB", 0.5,
                 max(megabytes), side="least")


@contextmanager
def _server() -> Iterator[int]:
    """Yield the port of a server that answers /N with N MiB."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _run(box: Sandbox, command: str) -> str:
    """Return what a command says, which must succeed."""
    execution = box.execute("shell", command)
    said = b"".join(output.data for output in execution if isinstance(output, Stream) and output.name == "stdout")
    assert execution.result.exit_code == 0
    return said.decode()


def _interrupt(box: Sandbox, url: str) -> float:
    """Return the milliseconds from an interrupt to the end of a run that downloads without end."""
    execution = box.execute("python", f"import urllib.request\nfrom urllib.request import urlopen\n"
                                      f"stream = urlopen('{url}/100000')\nprint(1, flush=True)\n"
                                      "while stream.read(1 << 16): pass")
    outputs = iter(execution)
    next(outputs)
    time.sleep(0.2)
    started = time.perf_counter()
    execution.interrupt()
    for _ in outputs:
        pass
    return (time.perf_counter() - started) * 1000
