"""Run every benchmark, print the table, and write it to bench/RESULTS.md: python -m bench [NAME...]."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import (
    cluster,
    command_line,
    crowds,
    downloads,
    floods,
    histories,
    images,
    load,
    prompts,
    sandboxes,
    standby,
    streams,
    tasks,
)
from bench.measure import Figure
from bench.raw import RawEngine
from bench.results import compile_package, keep, machine

PARTS: dict[str, Callable[[RawEngine], Iterator[Figure]]] = {
    "sandboxes": sandboxes.figures,
    "streams": streams.figures,
    "egress": downloads.figures,
    "floods": floods.figures,
    "command_line": command_line.figures,
    "crowds": crowds.figures,
    "histories": histories.figures,
    "prompts": prompts.figures,
    "images": images.figures,
    "load": load.figures,
    "standby": standby.figures,
    "tasks": tasks.figures,
    "cluster": cluster.figures,
}
SLOW = {name: Path(__file__).with_name(f"{name.upper()}.md") for name in ("load", "tasks", "cluster")}
"""Parts that take minutes: run where they are named, each with results of its own."""
RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = ("| what | ours | reference | ratio | bound | met |", "|---|---|---|---|---|---|")


def row(figure: Figure) -> str:
    """Return a figure as a line of a Markdown table."""
    word = "≤" if figure.side == "most" else "≥"
    reference = f"{figure.reference:.1f} {figure.unit}" if figure.reference is not None else ""
    ratio = f"{figure.judged:.3f} x" if figure.reference is not None else ""
    times = " x" if figure.reference is not None else f" {figure.unit}".rstrip()
    return (f"| {figure.name} | {figure.ours:.2f} {figure.unit} | {reference} | {ratio} "
            f"| {word} {figure.bound:.3g}{times} | {'yes' if figure.met else '**no**'} |")


def section(raw: RawEngine, names: list[str]) -> list[str]:
    """Return the lines of this run's table, printing each as it is measured."""
    lines = [f"## {machine(raw.engine)}", "", *HEAD]
    print("\n".join(lines), flush=True)
    for name in names:
        for figure in PARTS[name](raw):
            lines.append(row(figure))
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Run the parts named on the command line, or all quick ones; only a whole run, or a slow part, is kept."""
    usual = [name for name in PARTS if name not in SLOW]
    names = sys.argv[1:] or usual
    if unknown := set(names) - set(PARTS):
        sys.exit(f"Unknown benchmark {', '.join(sorted(unknown))}. There are: {', '.join(PARTS)}.")
    compile_package()
    raw = RawEngine()
    try:
        lines = section(raw, names)
    finally:
        raw.close()
    if names == usual:
        keep(lines, RESULTS)
    elif len(names) == 1 and names[0] in SLOW:
        keep(lines, SLOW[names[0]])


main()
