"""What a team's file says, and what each of its words may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox_interpreter.catalogue.trust import VARIABLES
from sandbox_interpreter.sandbox.names import check_name


@dataclass(frozen=True)
class Recipe:
    """One team image. ``parent`` is a bundled image's name; ``files`` are sources by their targets in the image."""

    name: str
    parent: str = "python"
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    verify: tuple[str, ...] = ()
    megabytes: int | None = None


class Form(NamedTuple):
    """What a word may look like, in a pattern and in words."""

    pattern: re.Pattern[str]
    words: str

    def check(self, text: str) -> str:
        """Return ``text`` if it has this form. Raises ValueError."""
        if not self.pattern.fullmatch(text):
            raise ValueError(f"{text[:80]!a} is not {self.words}")
        return text


_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_HOST = r"(?:localhost|[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+|[a-z0-9][a-z0-9.-]*(?=:))(?::\d{1,5})?"
_TAG = r"[A-Za-z0-9_][\w.-]{0,127}"
NAME = Form(re.compile(rf"{_HOST}(?:/{_PART})+(?::{_TAG})?", re.ASCII), "a name like registry.example/team/python:1")
"""With a registry: an image that is pulled by a bare name, such as those that others are built on, is nobody's own."""

PACKAGES: Mapping[str, Form] = {
    # Debian policy 5.6.1 and 5.6.12. A minus at the end would ask apt to remove the package.
    "apt": Form(re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](?:=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?", re.ASCII),
                "a package like jq or jq=1.7.1-6"),
    # PEP 508 and PEP 440, without addresses and markers.
    "pip": Form(re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?(?:\[[\w.,-]+\])? ?"
                           r"(?:(?:[<>=!~]=|[<>]|===) ?[\w.*+!-]+(?:, ?(?:[<>=!~]=|[<>]) ?[\w.*+!-]+)*)?", re.ASCII),
                "a package like requests or polars>=1.30,<2"),
    "npm": Form(re.compile(r"(?:@[a-z0-9][\w.-]*/)?[a-z0-9][\w.-]*(?:@[\w.^~<>=*-]+)?", re.ASCII),
                "a package like typescript or @types/node@24"),
}

PLACES = ("/opt/", "/srv/", "/usr/local/share/")
_TAKEN = ("/opt/venv/", "/usr/local/share/ca-certificates/")

_VARIABLE = Form(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII), "a variable's name")
# They decide which programs run and whom those trust.
_DECIDING = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|ENV|BASH_ENV|IFS|VIRTUAL_ENV|(?:LD|PIP|UV|NPM_CONFIG|SBI)_.*|.*_PROXY|PYTHON.*|PERL5.*"
    r"|NODE_(?:OPTIONS|PATH|EXTRA_CA_CERTS)|GIT_(?:SSH|EXEC|CONFIG).*|RUBY(?:OPT|LIB)|\w*JAVA_(?:TOOL_)?OPTIONS",
    re.IGNORECASE)


def check_target(path: str) -> str:
    """Return the absolute path that a file gets in the image. Raises ValueError."""
    if not path.startswith(PLACES) or f"{path}/".startswith(_TAKEN):
        raise ValueError(f"{path[:80]!a} is not below {', '.join(PLACES)}, or is another's place")
    check_name(path[1:])
    return path


def check_variable(name: str, value: str) -> str:
    """Return the value of an environment variable. Raises ValueError."""
    _VARIABLE.check(name)
    if _DECIDING.fullmatch(name) or name in VARIABLES:
        raise ValueError(f"{name} decides which programs run or whom they trust, and stays as it is")
    if not value.isprintable():
        raise ValueError(f"the value of {name} has control characters")
    return value
