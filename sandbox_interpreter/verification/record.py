"""Checks of what an image's record says: its user, its size, and what it stands on."""

from __future__ import annotations

import re

from sandbox_interpreter.catalogue.labels import PARENT_LABEL
from sandbox_interpreter.verification.subject import Outcome, Subject, failed, passed

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MEGABYTE = 1_000_000


def not_root(subject: Subject) -> Outcome:
    """Whoever starts the image without saying as whom does not become root."""
    user = str(subject.archive.settings.get("User") or "")
    name = user.partition(":")[0]
    if name in ("", "root") or (name.isdigit() and int(name) == 0):
        return failed(f"it starts as root (USER {user or 'is not set'})")
    return passed(f"it starts as {user}")


def small_enough(subject: Subject) -> Outcome:
    """The image is no larger than its record allows."""
    size = f"{subject.info.size / _MEGABYTE:.0f} MB"
    if subject.bound is None:
        return passed(f"{size}; its record sets no bound")
    within = subject.info.size <= subject.bound
    return (passed if within else failed)(f"{size} of {subject.bound / _MEGABYTE:.0f} MB that its record allows")


def pinned_base(subject: Subject) -> Outcome:
    """It is on record which very image this one was built on."""
    parent = subject.info.labels.get(PARENT_LABEL, "")
    if _DIGEST.fullmatch(parent):
        return passed(f"built on {parent[:19]}…")
    if "@sha256:" in subject.reference:
        return passed("named by its own digest")
    return failed(f"the label {PARENT_LABEL} names no image by its digest")
