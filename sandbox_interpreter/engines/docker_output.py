"""What an engine says while it builds or pulls: events in, progress and errors out."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from sandbox_interpreter.engines.docker_client import translated
from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import BuildFailed, EngineError, ImageMissing

KEPT_LINES = 20
"""Lines of a failed build that its error carries."""

KEPT_WIDTH = 300
"""Characters of each of those lines: an instruction is one line of any length, and is quoted more than once."""

# Docker's classic builder writes "Step 1/9 : FROM x", Podman's "[1/2] STEP 1/9: FROM x".
_STEP = re.compile(r"(?:\[\d+/\d+\] )?step (\d+)/(\d+) ?: (.*)", re.IGNORECASE | re.DOTALL)
# What a step came to: " ---> 0123456789ab" from Docker, "--> 0123456789ab" from Podman.
_LAYER = re.compile(r"--->? ([0-9a-f]{12,64})")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def not_pulled(reference: str, reason: str) -> ImageMissing:
    """Return the error for an image that no registry gave."""
    return ImageMissing(f"Image {reference!r} is not present and cannot be pulled: {clean(reason)}",
                        next_step="Check the name and the network, or load the image from a file: docker load -i FILE")


class Stages:
    """Finds in a build's output the last image of each stage."""

    def __init__(self) -> None:
        self._last: list[str] = []

    def noting(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Pass on the events of a build, and note its stages."""
        for event in events:
            for line in str(event.get("stream", "")).splitlines():
                if (step := _STEP.match(line)) and step[3].upper().startswith("FROM "):
                    self._last.append("")
                elif self._last and (image := _LAYER.fullmatch(line.strip())):
                    self._last[-1] = image[1]
            yield event

    @property
    def thrown_away(self) -> list[str]:
        """Return the images of all stages but the last, which became the build's result."""
        return [image for image in self._last[:-1] if image]


def events_of(stream: Iterator[Mapping[str, Any]], what: str) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a stream; an engine that goes away meanwhile is EngineUnreachable."""
    while (event := translated(lambda: next(stream, None), what)) is not None:
        yield event


def build_progress(tag: str, events: Iterable[Mapping[str, Any]]) -> Iterator[Progress]:
    """Yield each line of a build with its step. Raises BuildFailed at the end of one that failed."""
    last: deque[str] = deque(maxlen=KEPT_LINES)
    done = total = 0
    fault = ""
    for event in events:  # to their end, even after an error: a stream that is left half-way keeps its connection
        fault = fault or str(event.get("error", ""))
        for line in str(event.get("stream", "")).splitlines():
            if step := _STEP.match(line):
                done, total, line = int(step[1]), int(step[2]), step[3]  # noqa: PLW2901  # the number is told apart
            if text := clean(line):
                last.append(_cropped(text))
                yield Progress(text, done, total)
    if fault:
        raise BuildFailed("\n".join([f"Building {tag} failed:", *last, _cropped(clean(fault))]),
                          next_step="Mend what the last lines say, then run: sbi images build")


def pull_progress(reference: str, events: Iterable[Mapping[str, Any]]) -> Iterator[Progress]:
    """Yield the bytes of all layers together as they arrive. Raises ImageMissing at the end of a pull that failed."""
    if fault := (yield from _transfer(f"Pulling {reference}", "Downloading", events)):
        raise not_pulled(reference, fault)


def push_progress(reference: str, events: Iterable[Mapping[str, Any]]) -> Iterator[Progress]:
    """Yield the bytes of all layers together as they leave. Raises EngineError at the end of a push that failed."""
    if fault := (yield from _transfer(f"Pushing {reference}", "Pushing", events)):
        raise EngineError(f"Image {reference!r} cannot be pushed: {clean(fault)}", next_step=(
            f"Check the name and the network; where the registry wants to know who you are: "
            f"docker login {reference.partition('/')[0]}"))


def _transfer(text: str, status: str, events: Iterable[Mapping[str, Any]]) -> Generator[Progress, None, str]:
    """Yield the bytes of all layers together, to the end of the events; return the first fault among them, or ""."""
    layers: dict[str, tuple[int, int]] = {}
    fault = ""
    for event in events:
        fault = fault or str(event.get("error", ""))
        size = event.get("progressDetail") or {}
        if event.get("status") == status and size.get("total"):
            layers[str(event.get("id"))] = (int(size["current"]), int(size["total"]))
            done, total = (sum(values) for values in zip(*layers.values(), strict=True))
            yield Progress(text, min(done, total), total)  # what is sent is packed, and can be more than it was
    return fault


def _cropped(text: str) -> str:
    """Return a line with its middle left out where it is too long: what went wrong stands at either end."""
    half = KEPT_WIDTH // 2
    return text if len(text) <= KEPT_WIDTH else f"{text[:half]} … {text[-half:]}"


def clean(text: str) -> str:
    """Return one line without escape sequences or control characters: build output is nobody's we know."""
    return "".join(c if c.isprintable() else " " for c in _ESCAPE.sub("", text)).strip()
