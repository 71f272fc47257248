"""The hosts of the package managers, which ``packages`` stands for: found by asking them, and written down nowhere."""

from __future__ import annotations


class Packages:
    """Knows the hosts that are configured; the plain one knows none."""

    def cover(self, host: str, port: int, kind: str | None = None) -> bool:  # noqa: ARG002  # the plain one
        """Tell whether a host at a port is one; ``kind`` is what its address is, where that is not a public one."""
        return False

    def variables(self) -> dict[str, str]:
        """Return the environment that has the sandbox's package managers use them."""
        return {}
