"""Settings as one record: each with its default, the values it takes, and what a project's file may do with it.

Where its values come from is the business of ``layers``. Sizes are held in bytes and times in seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_interpreter import network as network_rules
from sandbox_interpreter.config.fields import Spec, setting, spec_of
from sandbox_interpreter.config.rules import FREELY, LOWER, LOWER_OR_LIMIT, MORE, NETWORK, OFF, READ_ONLY, STRICTER
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.sandbox.policy import MIB, Policy, split_access
from sandbox_interpreter.values import check_address, check_name, parse_locks

_YEAR = 366 * 24 * 3600
# A year and 2^50 bytes are past every machine and every use, and overflow nothing; 2^22 is the kernel's PID_MAX_LIMIT;
# 6 MiB is the least memory that engines accept.
_PIB = 2**50
_PID_MAX = 2**22
_LEAST_MEMORY = 6 * MIB


@dataclass
class Settings:
    """Every setting. The names are the config file's keys, the flags (dashes) and SBI_<NAME> (capitals)."""

    model: str | None = setting(None, example="openai/gpt-4.1")
    """Any litellm model string, ``demo``, or ``scripted:FILE``; unset, the program chooses and says why."""
    fast: bool = setting(False, example="true")
    """Take the fast model of the provider."""
    local: bool | None = setting(None, example="true")
    """Take a model server on this machine; unset, one is looked for where no other model is to be had; false, never."""
    temperature: float = setting(0.0, least=0, example="0.5", project=FREELY)
    """Sampling temperature."""
    api_base: str | None = setting(None, parse=check_address, example="http://localhost:1234/v1")
    """Address of the model's server, for servers that speak the OpenAI protocol."""
    api_key: str | None = setting(None, hidden=True, example="KEY")
    """Key for the model's server; better left to the provider's own environment variable."""
    context_window: int | None = setting(None, least=1, example="8000")
    """Tokens that the model can read; unset, the model client knows."""
    max_tokens: int | None = setting(None, least=1, example="1000", project=LOWER)
    """Tokens that one answer may have; unset, the server decides."""
    max_budget: float | None = setting(None, least=0, example="0.50", project=LOWER)
    """US dollars that one session may cost; unset, there is no limit."""
    max_output: int = setting(8000, least=1, example="2000", project=LOWER)
    """Characters of one run's output that the model sees: head and tail, with a marker between."""
    supports_functions: bool | None = setting(None, example="true")
    """Whether the model takes tool calls; unset, the model client knows."""
    vision: bool | None = setting(None, example="true")
    """Whether the model is shown pictures; unset, the model client knows; true also chooses a model that sees."""
    system_message: str | None = setting(None, example="You are …")
    """Replaces the built-in system message."""
    custom_instructions: str | None = setting(None, example="Answer in French.")
    """Added to the system message: what the model should know of you and your work."""

    auto_run: bool = setting(False, example="true", project=OFF)
    """Run code without asking."""
    safe_mode: str = setting("off", choices=("off", "ask", "auto"), example="auto", project=STRICTER)
    """Scan code before it runs: ``ask`` offers it, ``auto`` always does; with either, every run is asked for."""
    debug: bool = setting(False, example="true")
    """Show tracebacks and what is sent."""
    plain: bool = setting(False, example="true", project=FREELY)
    """No colour, no live display."""

    image: str = setting("python", parse=check_name, example="base", project=FREELY)
    """A bundled image's name, or any reference; a digest pins it."""
    lock: tuple[str, ...] = setting((), parse=parse_locks, example=f"python=sha256:{'0' * 64}", project=MORE)
    """The digests that images must have: a map of names or references, which ``sbi images lock`` writes."""
    workspace: str | None = setting(None, example="work:ro", path=True, project=READ_ONLY)
    """Folder at /workspace, mounted (``DIR``, ``DIR:ro``) or copied both ways (``DIR:copy``); unset, a private one."""
    network: str = setting(Policy.network, parse=network_rules.parse, example="example.com", project=NETWORK)
    """What the code can reach: ``none``, ``full``, or a list of hosts, ``packages`` and ``ask``."""
    memory: int = setting(Policy.memory, size=True, least=_LEAST_MEMORY, most=_PIB, example="512m", project=LOWER)
    """Memory of the whole sandbox, what it keeps in /tmp included."""
    cpus: float = setting(Policy.cpus, least=0.01, most=4096, example="1.5", project=LOWER)
    """Processors' worth of time."""
    pids: int = setting(Policy.pids, least=8, most=_PID_MAX, example="128", project=LOWER)
    """Processes and threads together."""
    timeout: float = setting(Policy.timeout, least=0, most=_YEAR, example="60", project=LOWER_OR_LIMIT)
    """Seconds that one run may take; 0 for no limit."""
    idle: float = setting(Policy.idle, least=1, most=_YEAR, example="600", project=LOWER)
    """Seconds without a client after which a sandbox ends itself."""
    standby: int = setting(0, least=0, most=64, example="1", project=LOWER)
    """Fresh sandboxes that `sbi run` leaves behind for the next runs of the same kind, for their idle time."""
    output: int = setting(Policy.output, size=True, least=0, most=_PIB, example="10m", project=LOWER_OR_LIMIT)
    """Bytes of output that one run may produce; 0 for no limit."""
    disk: int = setting(Policy.disk, size=True, least=0, most=_PIB, example="2g", project=LOWER_OR_LIMIT)
    """Bytes that the code may add to the disk, in the workspace and in what it installs; 0 for no limit."""
    engine: str | None = setting(None, example="podman")
    """``docker``, ``podman``, an address, or ``context:NAME``; unset, DOCKER_HOST or the usual socket."""
    runtime: str | None = setting(None, example="runsc")
    """The engine's runtime; unset, the engine's default."""

    env: tuple[str, ...] = setting((), example="LANG=C.UTF-8")
    """Environment variables for the code: ``K=V`` texts, or a map."""
    env_file: str | None = setting(None, example="vars.env", path=True)
    """File of ``K=V`` lines for the code's environment."""
    secret: tuple[str, ...] = setting((), example="MY_TOKEN")
    """Names of variables passed from the host's environment to the code, their values recorded nowhere."""
    artifact: tuple[str, ...] = setting((), example="*.png")
    """Patterns of files in /workspace that are copied out after the run."""
    out: str | None = setting(None, example="results", path=True)
    """Folder that artifacts are copied to, and by sbi run the pictures that code draws."""

    host: str = setting("127.0.0.1", example="127.0.0.1")
    """Address or name that ``sbi serve`` listens on; anything but this machine alone needs a token."""
    port: int = setting(8000, least=0, most=2**16 - 1, example="8000")
    """Port to listen on; 0 takes any that is free."""
    token: str | None = setting(None, hidden=True, example="TOKEN")
    """What a client has to show; SBI_TOKEN or the file below keep it out of argument lists, so there is no flag."""
    token_file: str | None = setting(None, example="tokens", path=True)
    """File of tokens, one a line, each with a client's name before it if there are several."""
    allow_host: tuple[str, ...] = setting((), example="sbi.example")
    """Names that the server may be called by, besides localhost and addresses."""
    allow_origin: tuple[str, ...] = setting((), example="https://app.example")
    """Origins of web pages that may use the server."""
    max_sessions: int = setting(8, least=1, most=10_000, example="8", project=LOWER)
    """Sessions that may be open at once, each with a sandbox of its own."""
    rate: int = setting(120, least=0, most=10**9, example="120", project=LOWER_OR_LIMIT)
    """Requests that one client may make in a minute; 0 for no limit."""

    ca_bundle: str | None = setting(None, example="corporate.pem", path=True)
    """Extra certificates (PEM) trusted while images are built; unset, SSL_CERT_FILE and its like, if set."""

    def policy(self) -> Policy:
        """Return the sandbox's policy that these settings ask for."""
        _, access = split_access(self.workspace or "")
        names = {f.name for f in dataclasses.fields(Policy)} & {f.name for f in dataclasses.fields(self)}
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Policy(access=access, **values)

    def check(self) -> None:
        """Raise ConfigError where two settings contradict each other."""
        if self.max_tokens and self.context_window and self.max_tokens >= self.context_window:
            raise ConfigError(f"max_tokens ({self.max_tokens}) must be smaller than context_window "
                              f"({self.context_window}).", next_step="Lower one or raise the other.")


GROUPS: Mapping[str, str] = {
    "model": "The model", "auto_run": "The conversation", "image": "The sandbox", "env": "What goes in and out",
    "host": "sbi serve", "ca_bundle": "Images",
}
"""What a group of settings is about, by the first setting of each."""

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
SPECS: Mapping[str, Spec] = {name: spec_of(field.metadata) for name, field in FIELDS.items()}
