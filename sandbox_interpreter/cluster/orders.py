"""What travels between the driver and a node. Nothing secret is in an order: the environment goes beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.outputs import ExecResult, Output
from sandbox_interpreter.sandbox.policy import Policy

PIECE = 4 * 1024 * 1024
"""Bytes of a file that travel at once."""
INLINE = 64 * 1024
"""Bytes that go with a call itself. Over 100 KB, an argument goes into Ray's object store, which may write to disk."""


@dataclass(frozen=True)
class Order:
    """The sandbox that a node is to make; ``locked`` are the digests that images must have, by their names."""

    image: str
    policy: Policy
    locked: Mapping[str, str] = field(default_factory=dict)
    standby: bool = False


@dataclass(frozen=True)
class Facts:
    """What a slot tells of itself. ``problem`` is why no sandbox can be on its node, or "".

    ``node`` is Ray's identifier, ``address`` what people call the node by.
    """

    node: str
    address: str
    sbi: str
    python: str
    problem: str = ""


@dataclass(frozen=True)
class Taken:
    """What a run has said since the last time; ``result`` is there once it has ended.

    ``decisions`` are those about connections out of the sandbox, ``notices`` what its user should know.
    """

    outputs: Sequence[Output] = ()
    result: ExecResult | None = None
    decisions: Sequence[Decision] = ()
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class Piece:
    """A part of a file; ``more`` is what the rest is asked for by, None where there is none."""

    data: bytes
    more: int | None = None


def sealed(env: Mapping[str, str], secrets: Mapping[str, str]) -> list[bytes]:
    """Return an environment in pieces that each go with the call itself, and so never into an object store."""
    data = json.dumps({"env": dict(env), "secrets": dict(secrets)}).encode()
    return [data[start:start + INLINE] for start in range(0, len(data), INLINE)]


def opened(pieces: Sequence[bytes]) -> dict[str, dict[str, str]]:
    """Return what ``sealed`` has cut: ``env`` and ``secrets``."""
    data: dict[str, dict[str, str]] = json.loads(b"".join(pieces))
    return data
