"""Which Debian mirror this host uses: its own apt is asked, so every format and option of its sources is understood."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter.errors import EngineError

# apt fills these in from its configuration and, where it has them, from the mirror's Release files.
_FIELDS = ("REPO_URI", "RELEASE", "COMPONENT", "ORIGIN", "LABEL")
_SECURITY = "-security"


@dataclass(frozen=True)
class Source:
    """One suite that the host's apt is configured to use; origin and label are empty until apt has been updated."""

    uri: str
    suite: str
    component: str
    origin: str
    label: str

    @property
    def is_security(self) -> bool:
        """Tell whether this is the security archive (``bookworm-security``; ``buster/updates`` before that)."""
        return self.suite.endswith((_SECURITY, "/updates"))


@dataclass(frozen=True)
class Mirrors:
    """Addresses of a Debian archive, and of its security archive or None where the host uses none."""

    archive: str
    security: str | None

    def lines(self, suite: str) -> list[str]:
        """Return the one-line sources of ``suite`` for this mirror."""
        lines = [f"deb {self.archive} {suite} main"]
        return [*lines, f"deb {self.security} {suite}{_SECURITY} main"] if self.security else lines


def host_mirrors() -> Mirrors:
    """Return the mirrors that this host uses. Raises EngineError when it has no apt, or no Debian mirror."""
    # What apt has fetched already says whose archive it is; what is only configured says no more than where it is.
    return choose(parse(_listing("--release-info") + _listing("--no-release-info")))


def _listing(option: str) -> str:
    template = "|".join(f"$({name})" for name in _FIELDS)
    command = ["apt-get", option, "indextargets", "--format", template, "Created-By: Packages"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603  # fixed words, no shell
    except (OSError, subprocess.SubprocessError):
        raise _no_mirror("has no working apt") from None


def parse(listing: str) -> list[Source]:
    """Return the sources in an ``apt-get indextargets`` listing that a download can come from."""
    return list(_sources(listing))


def choose(sources: list[Source]) -> Mirrors:
    """Return the mirrors among ``sources``. Raises EngineError when none of them is Debian's."""
    debian = [source for source in sources if source.component == "main" and source.origin in ("Debian", "")]
    archives = [source.uri for source in _known_first(debian) if not source.is_security and "-" not in source.suite]
    if not archives:
        raise _no_mirror("uses no Debian mirror")
    security = [source.uri for source in _known_first(debian) if source.is_security]
    return Mirrors(archives[0], security[0] if security else None)


def _sources(listing: str) -> Iterator[Source]:
    for line in listing.splitlines():
        # apt leaves a field that it does not know as it was written.
        values = ["" if value.startswith("$(") else value for value in line.strip().split("|")]
        if len(values) == len(_FIELDS) and (uri := _address(values[0])):
            yield Source(uri, *values[1:])


def _address(uri: str) -> str | None:
    """Return an address that can be fetched from: a mirror list stands for its first entry."""
    scheme, _, path = uri.partition(":")
    if scheme == "mirror+file":
        try:
            entries = Path(path.rstrip("/")).read_text("utf-8").split()
        except (OSError, UnicodeDecodeError):
            return None
        uri = next((entry for entry in entries if entry.startswith("http")), "")
    return uri if uri.startswith(("http://", "https://")) else None


def _known_first(sources: list[Source]) -> list[Source]:
    return sorted(sources, key=lambda source: (source.origin != "Debian", "debian" not in source.uri))


def _no_mirror(why: str) -> EngineError:
    return EngineError(f"This host {why}, so the base system cannot be made here.",
                       next_step="Load the image debian:trixie-slim from another machine: docker load -i FILE")
