"""A folder with the engines of Debian's unstable release, and processes that take it for their file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter.catalogue import mirrors
from sandbox_interpreter.errors import EngineError

# runsc of another suite: unstable's panics, since it was built with a Go whose goroutines it cannot number.
PACKAGES = ("docker.io", "podman", "aardvark-dns", "catatonit", "nftables", "runc", "runsc/bookworm-backports",
            "openssh-server", "iptables", "iproute2")
# The host's /tmp is its /tmp: workspaces of tests and sockets of engines have one name on both sides. As on another
# machine, only the folder ALONE is there.
ENTER = """set -e
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"; mount --rbind /sys "$0/sys"; mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/run"
if [ -n "$ALONE" ]; then
    mount -t tmpfs tmpfs "$0/tmp"; mkdir -p "$0$ALONE"; mount --bind "$ALONE" "$0$ALONE"
else
    mount --rbind /tmp "$0/tmp"
fi
ip link set lo up || true
cd "$0"
# Not chroot: below it no process can make a user namespace, which gVisor's want.
pivot_root . mnt
umount --lazy mnt
cd /
exec "$@"
"""


class Unavailable(Exception):
    """This machine cannot have that engine; the text says why."""


class Root:
    """The folder; it is made on first use, and stays."""

    def __init__(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "sandbox-interpreter" / "engines"

    def prepare(self) -> None:
        """Make the folder, if need be, from the host's own mirror. Raises Unavailable."""
        if os.geteuid() != 0:
            raise Unavailable("a second engine needs root")
        made_of = self.folder / "packages"
        if made_of.exists() and made_of.read_text() == " ".join(PACKAGES):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if not shutil.which("mmdebstrap"):
            raise Unavailable("a second engine is unpacked with mmdebstrap; apt-get install mmdebstrap")
        try:
            archive = mirrors.host_mirrors().archive
        except EngineError as error:
            raise Unavailable(str(error)) from None
        print(f"  unpacking {', '.join(PACKAGES)} in {self.folder} (a minute or two)", flush=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
             '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror may be a snapshot
             "sid", str(self.folder), f"deb {archive} sid main", f"deb {archive} bookworm-backports main"],
            capture_output=True, text=True, check=False)
        if made.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise Unavailable(f"mmdebstrap could not unpack it: {' '.join(made.stderr.split())[-300:]}")
        made_of.write_text(" ".join(PACKAGES))

    @contextmanager
    def running(self, *command: str, log: Path, network: Network | None = None,
                alone: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Give a process that runs in the folder, with mounts and a network of its own; it is ended afterwards.

        With ``network`` in that one; with ``alone`` it sees nothing of this machine's /tmp but that folder.
        """
        enter = ["nsenter", f"--net=/proc/{network.pid}/ns/net"] if network else []
        # slave: what is mounted later in a shared folder, such as that of ``disks``, is seen there as well.
        spaces = ["--mount", "--propagation=slave", *([] if network else ["--net"])]
        with log.open("wb") as file:
            process = subprocess.Popen([*enter, "unshare", *spaces, "sh", "-c", ENTER, str(self.folder), *command],
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                                       env={**os.environ, "ALONE": str(alone or "")})
        try:
            yield process
        finally:
            end(process)


@contextmanager
def disks() -> Iterator[Path]:
    """Give a folder: what tests mount in it is seen by every engine that starts while this lasts."""
    folder = Path(tempfile.mkdtemp(prefix="disks-"))
    folder.chmod(0o755)
    try:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "--make-shared", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Network:
    """A network as of another machine, at one end of a cable: whose process keeps it, and its address."""

    pid: int
    address: str


@contextmanager
def cabled() -> Iterator[Network]:
    """Give a network of its own that this machine can reach. Raises Unavailable."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()  # it has entered
        here, there = f"sbi{holder.pid}a", f"sbi{holder.pid}b"
        block = free_block()
        for words in (f"link add {here} type veth peer name {there} netns {holder.pid}",
                      f"addr add {block}1/30 dev {here}", f"link set {here} up"):
            ip(words)
        for words in ("link set lo up", f"addr add {block}2/30 dev {there}", f"link set {there} up"):
            ip(words, "nsenter", f"--net=/proc/{holder.pid}/ns/net")
        yield Network(holder.pid, f"{block}2")
    finally:
        end(holder)  # the cable goes with the network
        assert holder.stdout is not None
        holder.stdout.close()


def free_block() -> str:
    """Return the beginning of addresses that no route of this machine names. Raises Unavailable."""
    for block in ("203.0.113.", "198.18.113.", "10.213.87."):  # for documentation, for benchmarks, private
        # Machines are on the first kind as well, and their gateway's address is not to be taken.
        if not [line for line in ip(f"-4 route show match {block}2").splitlines() if not line.startswith("default")]:
            return block
    raise Unavailable("every block of addresses for a network of its own is used here")


def ip(words: str, *before: str) -> str:
    """Ask about the network, or change it. Raises Unavailable."""
    try:
        return subprocess.run([*before, "ip", *words.split()], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Unavailable("a network of its own takes ip; apt-get install iproute2") from None
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"no network of its own: ip {words}: {error.stderr.strip()}") from None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force if need be."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
