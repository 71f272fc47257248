"""The bundled images held against section 4, "Container Images and Build File", of the CIS Docker Benchmark 1.3.1.

The live session is held against section 5 in tests/contract/test_cis_docker_benchmark.py. These are the items that
docker-bench-security reports of images; one that is not followed to the letter has its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine


class Known(NamedTuple):
    """What an engine says of an image: how it is set up, and the commands that made each of its layers."""

    config: dict[str, Any]
    history: list[str]


class Item(NamedTuple):
    """One recommendation. ``exception`` is the reason why it is not followed to the letter."""

    number: str
    title: str
    holds: Callable[[Known], bool]
    exception: str = ""


ITEMS = (
    Item("4.1", "a user has been created", lambda image: image.config["User"] == "1000:1000"),
    Item("4.6", "HEALTHCHECK instructions added", lambda image: image.config.get("Healthcheck") is None,
         "agent and host hear each other every few seconds, and each ends what the other has left; a health check "
         "would start a process in every sandbox for less than that, and a session's is turned off (5.26)"),
    Item("4.7", "update instructions are not used alone",
         lambda image: not any("apt-get update" in command for command in image.history)),
    Item("4.9", "COPY is used instead of ADD",
         lambda image: not any("ADD" in command for command in image.history[1:])),
    Item("4.10", "secrets are not stored",
         lambda image: not any(word in entry.lower() for entry in image.config["Env"] for word in ("token", "passw"))),
)
"""4.2, 4.4, 4.5 and 4.11 are the host's and the registry's; 4.3 and 4.8 are what `sbi images verify` looks at."""


@pytest.mark.parametrize("item", ITEMS, ids=[item.number for item in ITEMS])
@pytest.mark.parametrize("name", list(index.bundled()))
def test_an_image_follows_the_item_or_is_an_exception_with_a_reason(engine: DockerEngine, name: str,
                                                                    item: Item) -> None:
    known = engine.client.inspect_image(index.tag_of(name))  # type: ignore[no-untyped-call]  # so in the stubs
    history = [str(layer["CreatedBy"]) for layer in reversed(engine.client.history(index.tag_of(name)))]  # type: ignore[no-untyped-call]  # so in the stubs
    assert item.holds(Known(known["Config"], history)), f"{item.number} {item.title}"
    assert item.exception or item.number != "4.6"
