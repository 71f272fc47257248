"""What a scan of code found, before the code runs. A leaf: the scanner, the loop and the asker share it."""

from __future__ import annotations

from typing import Literal

from sandbox_interpreter.frozen import frozen

Severity = Literal["low", "medium", "high"]


@frozen
class Finding:
    """One thing that a scanner does not like. ``text`` and ``rule`` are its words: to be shown with care."""

    severity: Severity
    text: str
    line: int | None = None
    """1-based; None where it is about the whole."""
    rule: str = ""

    def __str__(self) -> str:
        """Return it as one line: ``line 3, high: Starting a process with a shell (B605)``."""
        where = f"line {self.line}, " if self.line else ""
        rule = f" ({self.rule})" if self.rule else ""
        return f"{where}{self.severity}: {self.text}{rule}"


@frozen
class Scan:
    """The outcome of one scan. ``problem`` says, in a sentence, why the code was not scanned, or not all of it."""

    scanner: str
    findings: tuple[Finding, ...] = ()
    problem: str = ""

    @property
    def clean(self) -> bool:
        """Tell whether all of the code was scanned and nothing was found."""
        return not self.findings and not self.problem

    def lines(self) -> list[str]:
        """Return what a person is told before they decide."""
        if self.clean:
            return [f"Scanned with {self.scanner}: nothing found."]
        found = f"Scanned with {self.scanner}: {len(self.findings)} found." if self.findings else ""
        problem = f"Not scanned: {self.problem}" if self.problem else ""
        return [line for line in (found, *(f"  {finding}" for finding in self.findings), problem) if line]
