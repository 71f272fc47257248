"""The image that a peer's containers start from, and what is left of them afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from bench.peers.environments import Unavailable
from bench.peers.roster import Peer
from sandbox_interpreter.catalogue import build, context, host, index
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import SandboxInterpreterError

LABEL = "org.sandbox-interpreter.bench.peer"
"""On each peer's image, from which its containers inherit it."""
_FILES = Path(__file__).with_name("images")


def image_of(peer: Peer, images: ImageStore) -> str:
    """Return the peer's image, built on the bundled ``python`` image where it is not. Raises Unavailable."""
    tag = f"sbi-bench-{peer.key}:latest"
    contents = {"Dockerfile": (_FILES / f"{peer.image}.Dockerfile").read_bytes()}
    if certificates := build.options().ca:
        contents["host-ca.crt"] = certificates.pem
    # What a Dockerfile does not declare would be warned of, and an index in its history is the host's own affair.
    arguments = {"PARENT": index.resolve("python"), **host.build_arguments(os.environ)}
    if peer.requirement:
        arguments["REQUIREMENT"] = peer.requirement.split()[0]
    try:
        for _ in images.build(context.archive(contents), tag, build_args=arguments, labels={LABEL: peer.key}):
            pass
    except SandboxInterpreterError as error:
        raise Unavailable(f"its image could not be built: {' '.join(str(error).split())[-300:]}") from None
    return tag


def remove_left(peer: Peer, engine: ContainerEngine) -> int:
    """Remove the peer's containers that are there, in whatever state, and return how many there were."""
    left = engine.list({LABEL: peer.key})
    for each in left:
        engine.get(each.id).remove()
    return len(left)
