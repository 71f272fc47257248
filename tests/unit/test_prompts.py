"""What a model is told before the conversation."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.config import Settings
from sandbox_interpreter.models import client
from sandbox_interpreter.prompts import SYSTEM_MESSAGE, system_prompt

MOST = 600
"""Tokens that it may have."""


@pytest.mark.parametrize("given", [
    *({"image": name} for name in index.bundled()), {"network": "full", "timeout": 30.0, "workspace": "/data:ro"},
    {"image": "registry.example/" + "x" * 100 + "@sha256:" + "0" * 64},
])
def test_it_is_shorter_than_600_tokens(given: dict[str, Any]) -> None:
    assert client.load().token_counter(model="gpt-4", text=system_prompt(Settings(**given))) < MOST


def test_it_tells_what_the_image_has() -> None:
    told = system_prompt(Settings())
    assert "Languages: python, shell, sql. Python 3.13 with pandas" in told
    assert "go, java, html run in a second sandbox" in told
    assert "Python packages: " in told
    assert "scikit-learn, scipy" in told


def test_it_tells_that_it_does_not_know_another_image() -> None:
    assert "Image 'own:1', which you have to explore." in system_prompt(Settings(image="own:1"))


@pytest.mark.parametrize(("given", "fact"), [
    ({"memory": 2 * 2**30, "cpus": 1.5, "pids": 64}, "2048 MiB of memory, 1.5 processors, 64 processes"),
    ({"timeout": 90.0}, "a block is stopped after 90 s"),
    ({}, "no limit on a block's time"),
    ({}, "Network: none. Nothing can be downloaded or installed"),
    ({"network": "full"}, "Network: open. `pip install` works"),
    ({"network": "example.com:443,*.example.org"}, "to example.com:443, *.example.org. Nothing else"),
    ({"network": "ask,packages"}, "the package indexes that are configured (pip install, npm install), others if"),
    ({"network": ",".join(f"h{number}.com" for number in range(100))}, "h29.com, 70 more hosts."),
    ({}, "/workspace is where to keep what the user wants to have; its files outlast the sandbox"),
    ({"workspace": "data:ro"}, "/workspace can be read, not written"),
    ({}, "Variables, processes, the home folder and /tmp (512 MiB each, in memory) last as long as the sandbox does"),
])
def test_it_tells_limits_network_and_what_survives(given: dict[str, Any], fact: str) -> None:
    assert fact in system_prompt(Settings(**given))


def test_the_users_own_words_replace_ours_and_are_added_to_them() -> None:
    assert system_prompt(Settings()).startswith(SYSTEM_MESSAGE)
    told = system_prompt(Settings(system_message="You are terse.", custom_instructions="Answer in French."))
    assert told.startswith("You are terse.\n\nYour sandbox:\n")
    assert told.endswith("\n\nAnswer in French.")
    assert SYSTEM_MESSAGE not in told
