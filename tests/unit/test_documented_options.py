"""Every option of every command stands on the page about it, says what it does, and no page names one that is not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from typer.main import get_command

from sandbox_interpreter.cli import main, run
from sandbox_interpreter.cli.options import SANDBOX_FLAGS
from tests.support.documented import PAGES, commands

PAGE_OF = {"chat": "chat", "run": "run", "task": "tasks", "serve": "http-api", "sessions": "sessions",
           "images": "images", "config": "settings", "cluster": "cluster",
           "doctor": "troubleshooting"}
"""The page about each command, without docs/ and .md."""
SANDBOX_PAGE = "run"
"""The options of the sandbox stand on one page for all commands."""
MIGRATING = "docs/migrating.md"
FOREIGN = {"--yes", "--no-install-recommends", "--global", "--user"}
"""Options of other programs, outside of commands."""

_OPTION = r"(?<![\w-])--[a-z][\w-]*"


def options_of(name: str) -> dict[str, dict[str, str]]:
    """Return, by command and subcommand ("images build"), each visible option with its help."""
    if name == "run":
        return {"run": {flag.spelling: flag.explanation for flag in run.FLAGS}}
    return dict(_walk(get_command(main.command(name)), name))


def _walk(command: object, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, {spelling: option.help or "" for option in getattr(command, "params", ())
                     if option.param_type_name == "option" and not option.hidden
                     for spelling in (*option.opts, *option.secondary_opts) if spelling.startswith("--")}


COMMANDS = {path: options for name in main.COMMANDS for path, options in options_of(name).items()}
SANDBOX = {flag.spelling for flag in SANDBOX_FLAGS}
EVERYWHERE = {"--help", "--version"}


def known_to(path: str) -> set[str]:
    """Return the options that a command takes."""
    inherited = COMMANDS["chat"] if path == "sessions resume" else {}
    return {*COMMANDS.get(path, ()), *inherited, *EVERYWHERE}


def called(words: list[str]) -> str:
    """Return the command that a command line of sbi names, or the group of commands where it names no more."""
    first = words[0] if words and words[0] in main.COMMANDS else "chat"
    path = next((path for path in COMMANDS if path == " ".join(words[:2])), first)
    assert path in COMMANDS or words == [first], f"there is no command: sbi {' '.join(words)}"
    return path


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_stands_on_the_page_about_its_command(path: str) -> None:
    page = PAGES[f"docs/{PAGE_OF[path.split()[0]]}.md"].read_text("utf-8")
    sandbox_page = PAGES[f"docs/{SANDBOX_PAGE}.md"].read_text("utf-8")
    missing = [option for option in COMMANDS[path] if option not in EVERYWHERE and not re.search(
        rf"{option}(?![\w-])", sandbox_page if option in SANDBOX else page)]
    assert not missing, f"sbi {path}"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_does(path: str) -> None:
    for option, text in COMMANDS[path].items():
        assert text.endswith("."), option
        assert text[0].isupper() or text.startswith(("docker", "sbi")), option


@pytest.mark.parametrize("name", PAGES)
def test_the_page_names_no_option_that_is_not(name: str) -> None:
    prose = re.sub(r"^```.*?^```", "", PAGES[name].read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    if name == MIGRATING:  # the first column holds what is called so elsewhere
        prose = re.sub(r"^\| [^|]* \|", "|", prose, flags=re.MULTILINE)
    every = {option.replace("_", "-") for options in COMMANDS.values() for option in options} | EVERYWHERE | FOREIGN
    spans = [span for span in re.findall(r"`([^`\n]+)`", prose) if not span.startswith("docker ")]
    named = {option.replace("_", "-") for span in spans for option in re.findall(_OPTION, span)}
    assert named <= every


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_the_page_exist_and_take_their_options(name: str) -> None:
    spans = re.findall(r"`(sbi [^`\n]*)`", PAGES[name].read_text("utf-8"))
    for line in (*spans, *(command for command in commands(PAGES[name]) if command.startswith("sbi "))):
        words = shlex.split(line.replace("…", ""))[1:]
        path = called(words)
        before_a_program = words[:next((at for at, word in enumerate(words) if word.endswith((".py", "--"))
                                        and path == "run"), len(words))]
        for option in re.findall(_OPTION, " ".join(before_a_program)):
            assert option.replace("_", "-") in known_to(path), line
