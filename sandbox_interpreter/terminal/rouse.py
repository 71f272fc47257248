"""After Ctrl-C: whoever waits for room on the terminal is woken, which Linux may forget. A leaf."""

from __future__ import annotations

import os
import termios
import time
from contextlib import suppress

_AGAIN = 0.05
"""Seconds after which it is done once more: the terminal may have been at it still."""


def rouse() -> None:
    """Have writers look again whether the terminal takes more; it is nothing where stdout is none, or not ours now.

    Ctrl-C makes a terminal drop what it has not shown yet, behind the signal. A pseudo-terminal's then wakes nobody
    (pty_flush_buffer of Linux): a thread that found it full just before would wait for ever, unless the signal was for
    that thread. To stop its output and let it go on wakes all of them (TCXONC, ioctl_tty(2)).
    """
    for pause in (0.0, _AGAIN):
        time.sleep(pause)
        with suppress(termios.error, OSError):
            if os.tcgetpgrp(1) == os.getpgrp():  # else it would stop us
                termios.tcflow(1, termios.TCOOFF)
                termios.tcflow(1, termios.TCOON)
