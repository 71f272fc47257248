"""All sessions of a user: made, listed, found by what people remember of a name, and removed."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sandbox_interpreter.config import data_folder
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.sandbox.erase import erase
from sandbox_interpreter.sandbox.launch import new_session_id
from sandbox_interpreter.sessions.log import is_open
from sandbox_interpreter.sessions.session import Record, Session, numbered, refused

_TITLE_LENGTH = 40
"""Characters of a title in a folder's name: 160 bytes at most, of the 255 that file systems allow."""
_MOST_TITLE = 200
_MOST_NAMES = 10


def create(record: Record, *, root: Path | None = None) -> Session:
    """Return a new session, named after the time and the words of its title (the first message).

    The record must hold no secret. Raises WorkspaceError when the folder cannot be made.
    """
    parent = _parent(root)
    now = datetime.now().astimezone()
    name = "-".join(filter(None, [now.strftime("%Y-%m-%d-%H%M%S"), slug(record.title)]))
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        session = Session(_new_folder(parent / name))
    except OSError as error:
        raise refused("create a session in", parent, error) from error
    try:
        session.describe(replace(record, title=short(record.title), created=now.isoformat(timespec="seconds")))
    except BaseException:
        erase(session.folder)
        raise
    return session


def short(title: str) -> str:
    """Return a title on one line, cut."""
    return " ".join(title[:_MOST_TITLE].split())


def _parent(root: Path | None) -> Path:
    return (root or data_folder()) / "sessions"


def _new_folder(path: Path) -> Path:
    for folder in numbered(path):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("an endless count ended")


def container_label() -> str:
    """Return a new label for a session's container. It also tells in which data folder the session is.

    A throwaway sandbox, which nobody can take up again, has a label without a dash.
    """
    return f"{_mark()}-{new_session_id()}"


def is_label_of_here(label: str) -> bool | None:
    """Tell whether a container belongs to a session of this data folder; None if it is a throwaway sandbox's."""
    mark, dash, _ = label.partition("-")
    return mark == _mark() if dash else None


def _mark() -> str:
    return hashlib.sha256(str(data_folder().resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def every(*, root: Path | None = None) -> list[Session]:
    """Return all sessions, the one in which something happened last first."""
    parent = _parent(root)
    try:
        sessions = [Session(folder) for folder in parent.iterdir()]
    except OSError:  # there is none yet
        return []
    return sorted(filter(lambda session: session.exists, sessions), key=changed, reverse=True)


def changed(session: Session) -> tuple[float, str]:
    """Return when something happened in a session last, in seconds since the epoch, and its name."""
    for path in (session.events, session.folder):
        try:
            return path.stat().st_mtime, session.name
        except OSError:
            continue
    return 0.0, session.name


def find(name: str, *, root: Path | None = None) -> Session:
    """Return the session that ``name`` means: a whole name, a part of just one, or ``last``.

    Raises UsageError that names those in question.
    """
    sessions = every(root=root)
    if name == "last" and sessions:
        return sessions[0]
    found = [each for each in sessions if each.name == name] or \
        [each for each in sessions if name and name.casefold() in each.name.casefold()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"There is no session {name!r}." if sessions else "There are no sessions yet.",
                         next_step="List them: sbi sessions list" if sessions else "Begin one: sbi")
    names = "\n".join(f"  {each.name}" for each in found[:_MOST_NAMES])
    raise UsageError(f"{len(found)} sessions have {name!r} in their names, the newest being:\n{names}",
                     next_step="Name more of it, or the whole.")


def remove(session: Session, *, root: Path | None = None) -> None:
    """Remove a session's folder; its workspace stays while another session works on it, and goes with the last.

    Raises UsageError while it is open, SandboxError if any is left.
    """
    check_closed(session)
    workspace = _workspace_elsewhere(session)
    if _others_on(session.own_workspace, session, root=root):
        for path in _all_but_the_workspace(session):
            erase(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    else:
        session.discard()
    if workspace and not Session(workspace.parent).exists and not _others_on(workspace, session, root=root):
        erase(workspace.parent)


def check_closed(session: Session) -> None:
    """Raise UsageError while a program has the session open."""
    if is_open(session.events):
        raise UsageError(f"The session {session.name} is open in another sbi.", next_step="Leave it there first.")


def _workspace_elsewhere(session: Session) -> Path | None:
    """Return the workspace if it is that of an earlier session, from which this one went on after a reset."""
    workspace = Path(session.record().workspace)
    is_a_sessions = workspace.name == session.own_workspace.name and workspace.parent.parent == session.folder.parent
    return workspace if is_a_sessions and workspace != session.own_workspace else None


def _others_on(workspace: Path, session: Session, *, root: Path | None) -> bool:
    return any(Path(each.record().workspace) == workspace for each in every(root=root) if each.name != session.name)


def _all_but_the_workspace(session: Session) -> Iterator[Path]:
    return (path for path in list(session.folder.iterdir()) if path != session.own_workspace)


def slug(title: str) -> str:
    """Return the words of ``title`` as a part of a file name: any script and emoji, lower case, joined by dashes."""
    text = unicodedata.normalize("NFC", title[:400]).lower()
    kept = "".join(character if _is_readable(character) else " " for character in text)
    return "-".join(kept.split())[:_TITLE_LENGTH].strip("-")


def _is_readable(character: str) -> bool:
    # Letters, marks, digits, and symbols such as emoji: nothing that is special to a shell or a file system.
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "So"
