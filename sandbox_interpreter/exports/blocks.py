"""A conversation in the parts that exports are made of: what was said, and runs with all that came of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sandbox_interpreter.messages import Message

NOT_RUN = "[not run"
"""How the output of a block begins that was declined, or could not be run."""


@dataclass
class Run:
    """A block of code and its outputs. ``happened``: it was run, as far as the messages tell."""

    code: Message
    outputs: list[Message] = field(default_factory=list)

    @property
    def language(self) -> str:
        """Return the code's language, "" if it has none."""
        return self.code.get("format", "")

    @property
    def happened(self) -> bool:
        """Tell whether the code was run: even code that prints nothing has an output."""
        return bool(self.outputs) and not self.outputs[0]["content"].startswith(NOT_RUN)


def parts(messages: Sequence[Message]) -> Iterator[Message | Run]:
    """Yield what was said as it is, and each block of code with the outputs behind it."""
    run: Run | None = None
    for message in messages:
        if run and message["role"] == "computer" and message["type"] in ("console", "image"):
            run.outputs.append(message)
            continue
        if run:
            yield run
        run = Run(message) if message["type"] == "code" else None
        if not run:
            yield message
    if run:
        yield run
