"""Opens code and files in the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TextIO

from sandbox_interpreter.errors import UnknownLanguage
from sandbox_interpreter.languages import find
from sandbox_interpreter.messages import CodeBlock

_USUAL = ("sensible-editor", "nano", "vim", "vi")
"""Tried in this order where neither VISUAL nor EDITOR is set."""


def edit(block: CodeBlock, screen: TextIO) -> str | None:
    """Return the code as the user saved it; None if they changed nothing or no editor ran, which ``screen`` tells."""
    code = edit_text(block.code, f"code{_suffix(block.language)}", screen)
    if code is not None and code.rstrip("\n") == block.code.rstrip("\n"):
        screen.write("Nothing was changed.\n")
        return None
    return code


def edit_text(text: str, name: str, screen: TextIO) -> str | None:
    """Return ``text`` as the user saved it, in a file of that name; None if no editor ran, which ``screen`` tells."""
    with tempfile.TemporaryDirectory(prefix="sbi-edit-") as folder:  # mode 0700
        path = Path(folder) / name
        path.write_text(text, "utf-8", "replace")
        if problem := open_file(path):
            screen.write(f"{problem}\n")
            return None
        return path.read_text("utf-8", "replace")


def open_file(path: Path) -> str:
    """Return "" once the user has left the editor, else a sentence on what went wrong."""
    command = _command()
    if not command:
        return "No editor was found. Name one: export EDITOR=nano"
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603 - the user's own choice
    except OSError as error:
        return f"The editor failed: {command[0]}: {error.strerror}."
    return f"The editor failed: {command[0]} ended with exit code {code}." if code else ""


def _command() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        if words := _words(os.environ.get(variable, "")):
            return words
    return next(([name] for name in _USUAL if shutil.which(name)), [])


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an unclosed quote
        return [text]


def _suffix(language: str) -> str:
    try:
        return next(iter(find(language).suffixes), ".txt")
    except UnknownLanguage:
        return ".txt"
