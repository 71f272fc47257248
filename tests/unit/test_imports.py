"""Imports point one way only, and what is heavy loads where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox_interpreter

PACKAGE = Path(sandbox_interpreter.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Who may be imported by whom: each layer by those above it. Leaves may be imported by all.
LEAVES = {"", "errors", "messages", "languages", "values", "config", "approval", "version",
          "pictures", "environment", "findings", "attributes", "reading", "writing",
          "network", "frozen"}
LAYERS = {
    "agent": set(),
    "engines": {"agent"},  # the scripted one speaks as an agent does
    "sandbox": {"agent", "engines", "catalogue"},
    "catalogue": {"engines"},
    "models": set(),
    "sessions": {"sandbox", "engines"},
    "exports": {"sandbox", "models"},
    "prompts": {"catalogue", "sandbox"},
    "attachments": {"models", "sandbox"},
    "notices": {"sandbox", "engines"},
    "inspection": {"workbench", "notices", "sandbox"},
    "scanner": {"inspection"},
    "guard": {"scanner", "inspection", "notices"},
    "reduction": {"inspection", "notices"},
    "conversation": {"models", "sandbox", "sessions"},
    "siblings": {"sandbox", "catalogue"},
    "workbench": {"siblings", "notices", "sandbox", "sessions", "engines", "catalogue"},
    "interpreter": {"conversation", "workbench", "prompts", "models", "sandbox", "sessions", "engines", "catalogue",
                    "attachments", "guard", "reduction"},
    "servers": {"interpreter", "sandbox"},
    "verification": {"sandbox", "engines", "catalogue"},
    "recipes": {"verification", "sandbox", "engines", "catalogue", "agent"},  # its globs
    "cluster": {"sandbox", "sessions", "engines", "catalogue"},
    "tasks": {"agent", "conversation", "models", "prompts", "sandbox", "sessions", "engines", "catalogue"},
}
TOP = {"cli", "terminal", "magics", ""}  # "" is the package itself, which lends its names
# config reads its defaults from the policy, which is data and imports nothing; the scripted engine plays an agent;
# the base image holds the agent compiled; chat() displays, unless told not to.
EXCEPTIONS = {("config", "sandbox.policy"), ("engines", "agent.boot"), ("engines", "agent.frames"),
              ("catalogue", "agent.boot"),
              ("interpreter", "terminal.render"), ("interpreter", "terminal.repl"),
              ("interpreter", "terminal.opening")}


def layer_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts[0] == "__init__" else parts[0]


def imports_of(path: Path, *, when_imported: bool = False) -> Iterator[str]:
    """Yield the modules of this package that a file imports, without the package's name in front."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if when_imported else list(ast.walk(tree))
    package = path.relative_to(PACKAGE).parts[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) - node.level + 1],)) if node.level else ""
            prefix = f"sandbox_interpreter.{base}".rstrip(".") if node.level else ""
            module = ".".join(part for part in (prefix, node.module or "") if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    return name.removeprefix("sandbox_interpreter.") if name.startswith("sandbox_interpreter.") else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    layer = layer_of(path)
    if layer in TOP:
        return
    allowed = LEAVES | LAYERS.get(layer, set()) | {layer}
    for name in filter(None, map(own, imports_of(path))):
        target = name.partition(".")[0]
        if not (PACKAGE / target).is_dir() and not (PACKAGE / f"{target}.py").exists():
            continue  # a name out of the package itself
        excepted = any(layer == here and name.startswith(there) for here, there in EXCEPTIONS)
        assert target in allowed or excepted, f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if layer_of(path) == "agent"], ids=lambda path: path.name)
def test_the_agent_imports_itself_and_the_standard_library_only(path: Path) -> None:
    optional = {"IPython", "matplotlib", "sandbox_interpreter", "ipykernel",
                "sandbox_browser"}  # the image's own, where it has them
    for name in imports_of(path):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names | optional, f"{path} imports {name}"
        assert top != "sandbox_interpreter" or name.startswith("sandbox_interpreter.agent"), f"{path} imports {name}"


def loaded_by(code: str) -> set[str]:
    probe = f"import sys\n{code}\nsys.stderr.write('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout == "" or "--help" in code
    return {name.partition(".")[0] for name in result.stderr.split("\n")}


HEAVY = {"docker", "litellm", "ray", "rich", "prompt_toolkit", "requests", "yaml", "IPython", "pydantic", "fastapi",
         "uvicorn"}


@pytest.mark.parametrize(("code", "free"), [
    ("import sandbox_interpreter", {"typer"}),
    ("import sandbox_interpreter.cli.main", {"typer"}),
    ("import sandbox_interpreter.cli.run", {"typer"}),
    ("import sandbox_interpreter.sandbox.sandbox", {"typer"}),
    ("import sandbox_interpreter.config", {"typer"}),
])
def test_importing_is_silent_and_loads_nothing_heavy(code: str, free: set[str]) -> None:
    assert not loaded_by(code) & (HEAVY | free)


@pytest.mark.parametrize("line", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_neither_the_engine_nor_the_model_client(line: list[str]) -> None:
    code = (f"import contextlib; sys.argv = ['sbi', *{line}]\nfrom sandbox_interpreter.cli.main import main\n"
            "with contextlib.suppress(SystemExit): main()  # --help")
    assert not loaded_by(code) & {"docker", "litellm", "rich", "requests", "pydantic", "prompt_toolkit"}


def test_the_prompt_stands_before_what_answers_it_is_loaded() -> None:
    code = ("import sandbox_interpreter.cli.chat, sandbox_interpreter.terminal.repl\n"
            "import sandbox_interpreter.terminal.completion, sandbox_interpreter.terminal.line_editor\n"
            "assert 'sandbox_interpreter.interpreter' not in sys.modules")
    assert not loaded_by(code) & (HEAVY - {"prompt_toolkit"})
