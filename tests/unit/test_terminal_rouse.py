"""A thread that waits for room on a terminal goes on after Ctrl-C, whoever the signal was for."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.terminal import Terminal, python

# Writes until there is no room, has the terminal drop it all as at Ctrl-C, and tells how far that and rousing led.
SCRIPT = """
import os, pathlib, sys, termios, threading, time
from sandbox_interpreter.terminal.rouse import rouse
written = 0
def write():
    global written
    while True: written += os.write(1, b'x' * 1024)
threading.Thread(target=write, daemon=True).start()
def settled():
    before = -1
    while before != written:
        before = written
        time.sleep(0.3)
    return before
full = settled()
termios.tcflush(1, termios.TCOFLUSH)
stuck = settled()
rouse()
pathlib.Path(sys.argv[1]).write_text(f'{full} {stuck} {settled()}')
os._exit(0)
"""


def test_a_writer_goes_on_once_the_terminal_has_dropped_what_it_held(tmp_path: Path) -> None:
    with Terminal(python(SCRIPT, str(tmp_path / "told"))) as terminal:  # which reads nothing until the end
        give_up = time.monotonic() + 30
        while not (tmp_path / "told").exists() and time.monotonic() < give_up:
            time.sleep(0.1)
        terminal.wait_for_end()
    full, stuck, roused = map(int, (tmp_path / "told").read_text().split())
    assert full <= stuck < roused
