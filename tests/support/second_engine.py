"""A Docker engine of a test's own, in the machine's network: another member of a team, who reaches its registry."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import own_engine
from tests.support.own_engine import OwnEngine


@contextmanager
def engine() -> Iterator[str]:
    """Give the address of an engine without images, which ends with the with block."""
    if reason := own_engine.reason_against():
        pytest.skip(reason)
    bridge = f"sbi{secrets.token_hex(4)}"
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "192.0.2.9/29", "dev", bridge], check=True)  # RFC 5737: nobody's
        daemon = OwnEngine(bridge=bridge)
        try:
            daemon.start()
            yield daemon.address
        finally:
            daemon.close()
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=False)
