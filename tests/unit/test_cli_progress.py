from __future__ import annotations

import contextlib
import os
import pty
import sys
import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.cli import progress
from sandbox_interpreter.engines.image_base import Progress


def test_lines_show_announcements_and_each_step_once(capfd: pytest.CaptureFixture[str]) -> None:
    progress.show([Progress("Building x"), Progress("FROM y", 1, 2), Progress("output", 1, 2), Progress("RUN z", 2, 2),
                   Progress("Built x")])
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["Building x", "  1/2 FROM y", "  2/2 RUN z", "Built x"]


def test_lines_are_cut_and_carry_no_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    progress.show([Progress("x" * 500, 1, 2), Progress("\x1b]0;title\x07")])
    first, second = capfd.readouterr().err.splitlines()
    assert len(first) == 100
    assert "\x1b" not in second


def test_bytes_of_a_download_do_not_fill_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    progress.show(Progress("Pulling", done, 10**6) for done in range(0, 10**6, 10**4))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("plain", "no_color", "term"), [
    (True, "", "xterm"), (False, "1", "xterm"), (False, "", "dumb"),
])
def test_plain_no_color_and_a_dumb_terminal_mean_lines(
        plain: bool, no_color: str, term: str, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    with progress.view(plain=plain) as view:
        view.update(Progress("hello"))
    assert capfd.readouterr().err == "hello\n"


def unhurried() -> Iterator[Progress]:
    yield Progress("Building [bold]x")
    yield Progress("RUN [red]z", 1, 2)
    time.sleep(0.3)  # the display is drawn ten times a second
    yield Progress("Built x")


def everything(terminal: int) -> str:
    """Return all that was written to a pseudo-terminal whose other end is closed; one read gives a part of it."""
    parts = []
    with contextlib.suppress(OSError):  # EIO is a terminal's end of file
        while part := os.read(terminal, 100_000):
            parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()


def test_the_bar_goes_at_the_end_and_what_was_announced_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        progress.show(unhurried())
    shown = everything(ours)
    assert "Building [bold]x" in shown
    assert "RUN [red]z" in shown
    assert "Built x" in shown
    assert shown.rstrip().endswith("\x1b[2K")


def test_work_that_says_nothing_shows_nothing(monkeypatch: pytest.MonkeyPatch,
                                              capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.show([])
    assert capfd.readouterr().err == ""


def test_an_error_of_the_work_passes_through() -> None:
    def work() -> Iterator[Progress]:
        yield Progress("begun")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        progress.show(work())
