"""What is installed in an image, asked of its own package managers in a running sandbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox_interpreter.errors import SandboxError
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script

_SECONDS = 60.0
_MOST_BYTES = 16 * 1024 * 1024
_MOST_PACKAGES = 100_000

_PROBE = r'''
import importlib.metadata, json, os, shutil, subprocess

def say(*command):
    """Return what a command prints; nothing if there is no such command."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=30).stdout.strip()

def npm_tree(*where):
    done = subprocess.run(["npm", "ls", "--all", "--json", *where], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=30)
    return json.loads(done.stdout or "{}")  # what it complains of is in there too, and its exit code says no more

def npm():
    if not shutil.which("npm"):
        return
    folders = [os.path.dirname(path) for path in os.environ.get("NODE_PATH", "").split(":") if os.path.isdir(path)]
    trees = [npm_tree("--global"), *(npm_tree("--prefix", folder) for folder in folders)]
    while trees:
        for name, entry in (trees.pop().get("dependencies") or {}).items():
            if entry.get("version"):
                yield ["npm", name, entry["version"], ""]
            trees.append(entry)

def packages():
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
    for line in say("dpkg-query", "--show", "--showformat", form).splitlines():
        state, _, rest = line.partition("\t")
        if state.startswith("ii") and rest.count("\t") == 2:
            yield ["deb", *rest.split("\t")]
    for each in importlib.metadata.distributions():
        if each.metadata["Name"]:
            yield ["pypi", each.metadata["Name"], each.version or "", ""]
    yield from npm()

RUNTIMES = {"python": ("python3", "--version"), "node": ("node", "--version"), "ruby": ("ruby", "--version"),
            "java": ("java", "-version"), "go": ("go", "version"), "r": ("Rscript", "--version"),
            "openssl": ("openssl", "version"), "bash": ("bash", "--version")}
print(json.dumps({"packages": sorted(set(map(tuple, packages()))),
                  "runtimes": {name: text for name, command in RUNTIMES.items() if (text := say(*command)[:200])}}))
'''


class Package(NamedTuple):
    """One installed package. ``kind`` is its package URL type (deb, pypi, npm); ``architecture`` Debian's alone."""

    kind: str
    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True)
class Inventory:
    """All installed packages, and what each runtime says of its version."""

    packages: tuple[Package, ...]
    runtimes: dict[str, str]

    def count(self, kind: str) -> int:
        """Return how many packages of a kind there are."""
        return sum(package.kind == kind for package in self.packages)


def take(box: Sandbox) -> Inventory:
    """Return what is installed in a sandbox. Raises SandboxError: the answer is late, or is none."""
    execution = box.execute("python", _PROBE, script=Script("probe"), timeout=_SECONDS)
    printed = {"stdout": bytearray(), "stderr": bytearray()}
    for output in execution:
        if isinstance(output, Stream) and len(printed[output.name]) < _MOST_BYTES:
            printed[output.name] += output.data
    try:
        return _inventory(json.loads(printed["stdout"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        last = bytes(printed["stderr"][-300:]).decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise SandboxError(f"The image does not tell what is installed in it: {last or 'no list was printed'}.",
                           next_step="See that its python3 and its dpkg work.") from None


def _inventory(told: dict[str, Any]) -> Inventory:
    packages = tuple(Package(*map(str, each)) for each in told["packages"][:_MOST_PACKAGES])
    return Inventory(packages, {str(name): str(text) for name, text in told["runtimes"].items()})
