"""What a model is told before the conversation: who it is, where its code runs, and what that place is like."""

from __future__ import annotations

from sandbox_interpreter import languages
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.config import Settings
from sandbox_interpreter.network import WORDS, parse
from sandbox_interpreter.sandbox.policy import MIB, Policy

SYSTEM_MESSAGE = """\
You are Sandbox Interpreter, a programmer who reaches any goal by writing and running code.
Your code runs at once, in a Linux container of its own, and its output comes back to you. Nothing of it can touch the \
user's machine except the files in /workspace, where the code starts and where the user's files are.
Say in a sentence what you are about to do, then run one small block, look at its output, and go on from there. \
Variables, files and the working directory stay from one block to the next; in Python the last expression is shown, \
and plt.show() shows the user a picture.
When a block fails, read the error and change something; do not run the same block again. \
When you are done, say so briefly, with the result; do not repeat output that the user has seen.\
"""

STATE_IS_LOST = """\
This session was taken up again in a new sandbox: variables, processes and the working directory are gone. \
The files in /workspace are as they were.\
"""

_MOST_PACKAGES = 60
_MOST_HOSTS = 30


def system_prompt(settings: Settings) -> str:
    """Return all that the model is told: the system message, the facts of its sandbox, the user's own instructions."""
    parts = (settings.system_message or SYSTEM_MESSAGE, surroundings(settings), settings.custom_instructions)
    return "\n\n".join(part for part in parts if part)


def surroundings(settings: Settings) -> str:
    """Return what the settings make true of the sandbox, as sentences for the model."""
    policy = settings.policy()
    return "\n".join(["Your sandbox:", *(f"- {fact}" for fact in (
        *_of_image(settings.image), _of_limits(policy), _of_network(policy), *_of_files(policy)))])


def _of_image(name: str) -> list[str]:
    image = index.bundled().get(name)
    if image is None:
        known = ", ".join(language.name for language in languages.LANGUAGES)
        return [f"Image {name!r}, which you have to explore. Languages, as far as they are installed: {known}."]
    facts = [f"Languages: {', '.join(image.languages)}. {image.description}"]
    if others := [each.name for each in languages.LANGUAGES if each.name not in image.languages]:
        facts.append(f"Blocks in {', '.join(others)} run in a second sandbox: the same files, other variables.")
    if packages := index.packages(image)[:_MOST_PACKAGES]:
        facts.append(f"Python packages: {', '.join(packages)}, and what they need.")
    return facts


def _of_limits(policy: Policy) -> str:
    seconds = f"; a block is stopped after {policy.timeout:g} s" if policy.timeout else "; no limit on a block's time"
    return (f"Limits: {policy.memory // MIB} MiB of memory, {policy.cpus:g} processors, {policy.pids} processes"
            f"{seconds}. You are not root.")


def _of_network(policy: Policy) -> str:
    if policy.network == "none":
        return "Network: none. Nothing can be downloaded or installed; use what is there."
    if policy.network == "full":
        return "Network: open. `pip install` works; it lasts as long as the sandbox."
    return (f"Network: through an HTTP proxy, which the environment names, to {_reachable(policy.network)}. Nothing "
            "else can be reached, and no name is resolved here. What is refused answers 403 with the rule and the "
            "setting that the user could change; do not try to get around it.")


def _reachable(setting: str) -> str:
    network = parse(setting)
    hosts = [item for item in setting.split(",") if item.strip().lower() not in WORDS]
    if len(hosts) > _MOST_HOSTS:
        hosts = [*hosts[:_MOST_HOSTS], f"{len(hosts) - _MOST_HOSTS} more hosts"]
    said = ["the package indexes that are configured (pip install, npm install)"] if network.packages else []
    return ", ".join([*said, *hosts, *(["others if the user allows it when asked"] if network.ask else [])])


def _of_files(policy: Policy) -> list[str]:
    workspace = "can be read, not written" if policy.access == "ro" else "is where to keep what the user wants to have"
    lasting = "last as long as the sandbox does. All else is read-only."
    return [f"/workspace {workspace}; its files outlast the sandbox.",
            f"Variables, processes, the home folder and /tmp ({policy.tmp // MIB} MiB each, in memory) {lasting}"]
