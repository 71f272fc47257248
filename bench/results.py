"""Where tables are kept: one file a kind, in it one table an engine."""

from __future__ import annotations

import compileall
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import sandbox_interpreter
from sandbox_interpreter.engines.docker import DockerEngine


def compile_package() -> None:
    """Compile the package, as pip does where it installs one; a checkout may stand where Python writes no bytecode."""
    compileall.compile_dir(str(Path(sandbox_interpreter.__file__).parent), quiet=1)


def machine(engine: DockerEngine) -> str:
    """Return what the figures were measured on."""
    info = engine.info()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{info.name} {info.version} (API {info.api}), Linux {platform.release().partition('-')[0]}, "
            f"{os.cpu_count()} processors, {memory:.0f} GiB, Python {platform.python_version()}, "
            f"{datetime.now(UTC):%Y-%m-%d}")


def keep(lines: list[str], results: Path) -> None:
    """Write a table to the results, in place of an earlier one for the same engine."""
    text = results.read_text("utf-8") if results.exists() else "# Results\n"
    head, *old = text.split("\n## ")
    engine = lines[0].removeprefix("## ").partition(" (")[0]
    kept = [part.strip() for part in old if not part.startswith(engine + " (")]
    sections = sorted([*kept, "\n".join(lines).removeprefix("## ")])
    results.write_text("\n\n## ".join([head.strip(), *sections]) + "\n", "utf-8")
