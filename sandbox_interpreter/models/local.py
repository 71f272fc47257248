"""Model servers on this machine: found by asking the ports that they usually listen on, all at once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ASK_SECONDS = 0.2
"""Seconds that all of them together have for an answer; a server on this machine takes a few thousandths."""
_MOST = 1_000_000
"""Bytes of an answer that are read."""
_OTHER_USES = ("embed", "rerank", "whisper", "tts")
"""Parts of the names of models that do not talk."""


@dataclass(frozen=True)
class Kind:
    """A kind of server: its port, where it lists its models, the API's path, and litellm's provider for it."""

    name: str
    port: int
    listing: str
    path: str
    provider: str

    @property
    def api_base(self) -> str:
        """Return the address of its API."""
        return f"http://127.0.0.1:{self.port}{self.path}"


KINDS = (
    Kind("LM Studio", 1234, "/v1/models", "/v1", "openai"),
    Kind("Ollama", 11434, "/api/tags", "", "ollama_chat"),
    Kind("llama.cpp", 8080, "/v1/models", "/v1", "openai"),
)

STEPS = """\
To run a model on this machine with LM Studio:
1. Install LM Studio (lmstudio.ai) and start it.
2. Download a model in it; one that writes code and fits into your memory.
3. Open the Developer tab, load the model, and start the server. It listens on port 1234.
4. Say something here, or start again with: sbi --local
A running Ollama (ollama serve) or llama.cpp (llama-server) is found, too."""


@dataclass(frozen=True)
class Server:
    """A server that answers, and the names of its models, as it calls them; () where it does not list them."""

    kind: Kind
    models: tuple[str, ...]

    def name_of(self, model: str) -> str:
        """Return litellm's name for one of its models."""
        return f"{self.kind.provider}/{model}"


def find(kinds: Sequence[Kind] = KINDS) -> list[Server]:
    """Return the servers that answer, in the order of ``kinds``, after at most ASK_SECONDS."""
    found: dict[str, Server] = {}

    def ask(kind: Kind) -> None:
        if server := _ask(kind):
            found[kind.name] = server

    threads = [threading.Thread(target=ask, args=(kind,), daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ASK_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [found[kind.name] for kind in kinds if kind.name in found]


def _ask(kind: Kind) -> Server | None:
    """Return the server that listens there; one whose answer is no list of models has none that it names."""
    connection = http.client.HTTPConnection("127.0.0.1", kind.port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", kind.listing)
        body = connection.getresponse().read(_MOST)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        return Server(kind, tuple(_talking(json.loads(body))))
    except (ValueError, RecursionError):
        return Server(kind, ())


def _talking(listing: Any) -> list[str]:
    """Return the names in a listing, OpenAI's or Ollama's, of models that talk. Raises ValueError if it is neither."""
    entries = (listing.get("data") or listing.get("models")) if isinstance(listing, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("no list of models")
    names = [entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, Mapping)]
    return [name for name in names if isinstance(name, str) and name.isprintable()
            and not any(use in name.lower() for use in _OTHER_USES)]
