"""Checks of the files in an image, as all its layers together come to."""

from __future__ import annotations

import re
import stat

from sandbox_interpreter.verification import secrets
from sandbox_interpreter.verification.archive import Archive
from sandbox_interpreter.verification.subject import Outcome, Subject, failed, passed, some

# Those of apt, pip, npm, Yarn, gem, Go and Cargo, in any home. debconf's database beside apt's cache is none.
_CACHES = re.compile(r"/var/lib/apt/lists/[^/]+|/var/cache/apt/.+|.*/\.cache/(?:pip|go-build|yarn|uv)/.+"
                     r"|.*/\.npm/_cacache/.+|.*/\.gem/.*/cache/.+|.*/\.cargo/registry/.+|.*/go/pkg/mod/cache/.+")
_IN_MEMORY = ("/tmp/", "/home/sandbox/", "/proc/", "/sys/", "/dev/")  # noqa: S108  # a tmpfs or the kernel covers them
_STICKY = stat.S_ISVTX
_CERTIFICATES = "/usr/local/share/ca-certificates/"  # update-ca-certificates(8)


def added_certificates(archive: Archive) -> list[str]:
    """Return the files of certificates that somebody added to the system's own."""
    return [path for path, entry in archive.files().items()
            if path.startswith(_CERTIFICATES) and not entry.is_folder and entry.size]


def no_setuid(subject: Subject) -> Outcome:
    """No program gives its caller another user's or group's rights."""
    found = [path for path, entry in subject.archive.files().items()
             if not entry.is_folder and not entry.is_link and entry.mode & (stat.S_ISUID | stat.S_ISGID)]
    return failed(f"setuid or setgid: {some(found)}") if found else passed("no file is setuid or setgid")


def not_writable(subject: Subject) -> Outcome:
    """Nothing is open to everybody but what is in memory, and folders like /var/tmp whose files are their owners'."""
    found = [path for path, entry in subject.archive.files().items()
             if entry.mode & stat.S_IWOTH and not entry.is_link and not path.startswith(_IN_MEMORY)
             and not (entry.is_folder and entry.mode & _STICKY)]
    return failed(f"anybody may write to {some(found)}") if found else passed("nothing is world-writable")


def no_caches(subject: Subject) -> Outcome:
    """What package managers fetched is not kept."""
    found = [path for path, entry in subject.archive.files().items()
             if not entry.is_folder and entry.size and _CACHES.fullmatch(path)]
    return failed(f"left by a package manager: {some(found)}") if found else passed("no package manager's cache")


def no_secrets(subject: Subject) -> Outcome:
    """No variable, command of the history, or file of any layer, one that was deleted later included, is a secret."""
    archive = subject.archive
    assigned = [text.partition("=") for text in archive.settings.get("Env") or ()]
    found = [f"the variable {name} holds {what}" for name, _, value in assigned
             for what in secrets.in_variable(name, value)]
    found += [f"step {number} of the history holds {what}" for number, command in enumerate(archive.history, 1)
              for what in secrets.in_text(command)]
    found += [each for layer in archive.layers for each in layer.found]
    layers = len(archive.layers)
    return failed(some(found)) if found else passed(f"none in {layers} layers, the history and the environment")
