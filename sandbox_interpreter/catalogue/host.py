"""What a build takes over from the host: proxies and the pip index. All of it ends with the throwaway stage."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox_interpreter import config

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
"""Build arguments that every engine knows and keeps out of an image's history; each in capitals too."""

PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host")
"""Options of pip that say where packages come from; the Dockerfiles take them as PIP_INDEX_URL and so on."""


def build_arguments(environ: Mapping[str, str], pip_files: Iterable[Path] | None = None) -> dict[str, str]:
    """Return the build arguments that carry the host's proxies and pip index; ``pip_files`` later ones win."""
    names = [name for proxy in PROXIES for name in (proxy, proxy.upper())]
    arguments = {name: environ[name] for name in names if environ.get(name)}
    options = _pip_options(pip_config_files(environ) if pip_files is None else pip_files)
    for option in PIP_OPTIONS:
        variable = "PIP_" + option.replace("-", "_").upper()
        if value := _usable(option, environ.get(variable) or options.get(option, "")):
            arguments[variable] = value
    return arguments


INDEX_VARIABLES = {"PIP_INDEX_URL": "pip", "PIP_EXTRA_INDEX_URL": "pip", "npm_config_registry": "npm"}
"""Variables by which package managers take an index, and whose each is."""


def indexes(environ: Mapping[str, str], pip_files: Iterable[Path] | None = None,
            npm_files: Iterable[Path] | None = None) -> dict[str, str]:
    """Return the indexes that this machine's package managers are configured to use, as variables for others'.

    Beside ``INDEX_VARIABLES`` there may be PIP_TRUSTED_HOST. What is not configured is absent.
    """
    found = {name: value for name, value in build_arguments(environ, pip_files).items() if name.startswith("PIP_")}
    if "PIP_INDEX_URL" not in found and "PIP_EXTRA_INDEX_URL" not in found:
        found.pop("PIP_TRUSTED_HOST", None)
    registry = next((value for name, value in environ.items() if name.lower() == "npm_config_registry" and value), "")
    for path in npm_config_files(environ) if npm_files is None else npm_files:
        registry = registry or _npm_registry(path)
    if registry.startswith(("http://", "https://")):
        found["npm_config_registry"] = registry
    return found


def npm_config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where npm reads its configuration, the strongest first. Source: npm's documentation, "npmrc"."""
    own = environ.get("NPM_CONFIG_USERCONFIG") or config.home_folder() / ".npmrc"
    return [Path(own), Path(environ.get("NPM_CONFIG_GLOBALCONFIG") or "/etc/npmrc")]


def _npm_registry(path: Path) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    values = (line.partition("=") for line in lines)
    return next((value.strip().strip("\"'") for name, _, value in values if name.strip() == "registry"), "")


def pip_config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where pip reads its configuration, in its order: global, user, environment, PIP_CONFIG_FILE.

    Source: pip's documentation, "Configuration", "Location".
    """
    shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    own = Path(environ.get("XDG_CONFIG_HOME") or config.home_folder() / ".config")
    paths = [*(Path(folder) / "pip" / "pip.conf" for folder in shared.split(":")), Path("/etc/pip.conf"),
             config.home_folder() / ".pip" / "pip.conf", own / "pip" / "pip.conf", Path(sys.prefix) / "pip.conf"]
    named = environ.get("PIP_CONFIG_FILE")
    return [*paths, Path(named)] if named else paths


def _pip_options(files: Iterable[Path]) -> dict[str, str]:
    options: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, "utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # pip itself says what is wrong with it, and to a build it is no more than a preference
        for section in ("global", "install"):
            if parser.has_section(section):
                options |= dict(parser.items(section))
    return options


def _usable(option: str, value: str) -> str:
    """Return the part of an option that means something inside a build: no paths of the host."""
    words = value.split()
    if option.endswith("index-url"):
        words = [word for word in words if word.startswith(("http://", "https://"))]
    return " ".join(words)
