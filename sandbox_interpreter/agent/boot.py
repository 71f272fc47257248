"""How the agent gets into a container: its source arrives over stdin, so host and agent never differ in version.

``command`` is the container's main process: a loader that reads the length and digest of a marshalled dict (module
name to source), then the dict, and runs its module ``main``. ``bundle`` is what the host sends first. Marshal goes from
host to container only, never back: reading it is as safe as running the source that it holds. An image may hold the
same source compiled (images/base/precompile); it is as trusted as the image's own Python.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
from pathlib import Path

PACKAGE = "sbi_agent"
COMPILED = "/usr/lib/sandbox-interpreter"
MARSHAL_VERSION = 2  # read by every Python 3

# The empty entry goes first: a json.py in the working directory must not become part of the agent.
_LOADER = f"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import os
def read(size):
    parts = []
    while size:
        part = os.read(0, size)
        if not part:
            sys.exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
import marshal
size, digest = int(read(8), 16), read(32).decode()
modules = marshal.loads(read(size))
try:
    with open("{COMPILED}/" + digest + "." + sys.implementation.cache_tag, "rb") as file:
        modules = marshal.load(file)
except (OSError, EOFError, ValueError, TypeError):
    pass
from _frozen_importlib import ModuleSpec
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in modules:
            return ModuleSpec(name, self, is_package=name == "{PACKAGE}")
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        name = module.__spec__.name
        code = modules[name]
        exec(compile(code, "<" + name + ">", "exec") if isinstance(code, str) else code, module.__dict__)
sys.meta_path.append(Finder())
from {PACKAGE}.main import main
main()
"""


def command() -> tuple[str, ...]:
    """Return the main process of a container: a Python that waits for the bundle on its stdin."""
    return ("python3", "-c", _LOADER)


@functools.cache
def bundle() -> bytes:
    """Return the agent's source, behind its length and digest in hexadecimal (8 and 32 digits)."""
    # Not importlib.resources: what that loads costs a start more than this does, and it finds the same files.
    sources = {PACKAGE: ""}
    for entry in sorted(Path(__file__).parent.iterdir()):
        if entry.name.endswith(".py") and entry.name not in ("__init__.py", "boot.py"):
            sources[f"{PACKAGE}.{entry.name[:-3]}"] = entry.read_text("utf-8")
    data = marshal.dumps(sources, MARSHAL_VERSION)
    return b"%08x%s" % (len(data), hashlib.sha256(data).hexdigest()[:32].encode()) + data
