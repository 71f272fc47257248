"""From a recipe to an image: what is built from, the build, the checks, and only then the name."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sandbox_interpreter.agent import globs
from sandbox_interpreter.catalogue import build, context, host, index, labels
from sandbox_interpreter.catalogue.build import BuildOptions
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageStore, Progress
from sandbox_interpreter.errors import BuildFailed, ConfigError
from sandbox_interpreter.recipes.record import Recipe
from sandbox_interpreter.sandbox.below import open_below
from sandbox_interpreter.sandbox.names import check_name
from sandbox_interpreter.sandbox.offlimits import reason_against
from sandbox_interpreter.verification import verify
from sandbox_interpreter.verification.verify import Result

_MOST_BYTES = 64 * 1024 * 1024
"""Of all files together; data belongs into a workspace."""
_MOST_FILES = 10_000

# Names come from files, one a line, behind an option that ends all others. Nothing that a package brings is run, but
# what the distribution signed: pip takes wheels alone, and npm runs no script.
_INSTALL = {
    "apt": "apt-get update; xargs -d '\\n' -a apt apt-get install --yes --no-install-recommends --",
    "pip": "pip install --no-cache-dir --only-binary :all: --requirement pip",
    # Where the image has its own, and where its NODE_PATH leads; its prefix for users is in the home folder.
    "npm": "xargs -d '\\n' -a npm npm install --prefix /opt/node --cache /build/npm-cache --ignore-scripts --no-audit "
           "--no-fund --",
}


def derive(recipe: Recipe, file: Path, engine: DockerEngine, how: BuildOptions,
           show: Callable[[Result], None]) -> Iterator[Progress]:
    """Build and verify the image of a recipe, yielding progress; ``show`` is told the result of every check.

    The image gets its name once no check has failed. One that is up to date is left as it is. Raises ConfigError,
    BuildFailed, EngineError.
    """
    store = engine.images()
    contents = files(recipe, file)
    _refuse_others(recipe, store)
    yield from build.build(index.find(recipe.parent), store, BuildOptions(ca=how.ca))
    parent = store.image(index.resolve(recipe.parent))
    assert parent is not None
    marks = _labels(recipe, contents, parent.id)
    known = store.image(recipe.name)
    if how.use_cache and known and marks.items() <= known.labels.items():
        yield Progress(f"{recipe.name} is up to date")
        return
    if how.ca:
        contents["host-ca.crt"] = how.ca.pem
    trial = f"sbi-unverified-{secrets.token_hex(6)}:1"  # a name of its own: nobody starts what is not verified
    arguments = {"PARENT": index.resolve(recipe.parent)} | host.build_arguments(os.environ)
    try:
        yield from store.build(context.archive(contents), trial, build_args=arguments, labels=marks,
                               use_cache=how.use_cache)
        _verify(recipe, trial, engine, show)
        store.tag(trial, recipe.name)
    finally:
        engine.transport().remove(trial)
    yield Progress(f"Built {recipe.name}")


def _verify(recipe: Recipe, trial: str, engine: DockerEngine, show: Callable[[Result], None]) -> None:
    bad: list[str] = []
    with verify.examine(trial, engine) as subject:
        for result in verify.results(subject):
            show(result)
            bad += [result.name] if result.outcome.state == "failed" else []
    if bad:
        raise BuildFailed(f"{recipe.name} was built and does not pass: {', '.join(bad)}. It was thrown away.",
                          next_step="Mend what the checks say, and build again.")


def files(recipe: Recipe, file: Path) -> dict[str, bytes]:
    """Return the build files of a recipe by their names. Raises ConfigError for a file that cannot be had."""
    contents = {kind: "".join(f"{each}\n" for each in getattr(recipe, kind)).encode() for kind in _INSTALL}
    contents = {f"packages/{kind}": data for kind, data in contents.items() if data}
    contents["Dockerfile"] = dockerfile(recipe).encode()
    room = _MOST_BYTES
    for target, source in recipe.files.items():
        for name, data in _copied(file, source, target, room):
            contents[f"files{name}"] = data
            room -= len(data)
    return contents


def dockerfile(recipe: Recipe) -> str:
    """Return the Dockerfile of a recipe. It holds none of the recipe's words but its variables, quoted."""
    kinds = [kind for kind in _INSTALL if getattr(recipe, kind)]
    lines = ["ARG PARENT"]
    if kinds:
        steps = ["set -eu", "build-stage begin", *(_INSTALL[kind] for kind in kinds), "build-stage end"]
        lines += ["FROM ${PARENT} AS stage", "USER root", "WORKDIR /build",
                  "COPY packages/ host-ca.cr[t] /build/", "ARG DEBIAN_FRONTEND=noninteractive",
                  *(f"ARG {name}" for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST",
                                               "npm_config_registry")),
                  *(f"ARG {name}=/etc/ssl/certs/ca-certificates.crt" for name in ("PIP_CERT", "NODE_EXTRA_CA_CERTS")),
                  f"RUN {'; '.join(steps)}"]
    lines += ["FROM ${PARENT}", *(["COPY --from=stage /layer /"] if kinds else []),
              *(["COPY files/ /"] if recipe.files else []),
              *(f'ENV {name}="{_quoted(value)}"' for name, value in recipe.env.items()), "USER 1000:1000"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """Return a value for between the double quotes of a Dockerfile."""
    return "".join(f"\\{letter}" if letter in '\\"$' else letter for letter in value)


def _labels(recipe: Recipe, contents: Mapping[str, bytes], parent: str) -> dict[str, str]:
    state = hashlib.sha256()
    for name, data in sorted(contents.items()):
        state.update(f"{name}\0{len(data)}\0".encode() + data)
    image = index.find(recipe.parent)
    return {labels.NAME_LABEL: recipe.name, labels.CONTEXT_LABEL: f"sha256:{state.hexdigest()}",
            labels.PARENT_LABEL: parent, labels.LANGUAGES_LABEL: ",".join(image.languages),
            labels.VERIFY_LABEL: json.dumps(recipe.verify), labels.POLICY_LABEL: json.dumps(dict(recipe.policy)),
            labels.MEGABYTES_LABEL: str(recipe.megabytes or "")}


def _refuse_others(recipe: Recipe, store: ImageStore) -> None:
    """Raise ConfigError where the name is that of an image which no recipe of that name made, or may become one."""
    from sandbox_interpreter.engines.docker_transport import names_registry

    known = store.image(recipe.name)
    is_others = known and known.labels.get(labels.NAME_LABEL) != recipe.name
    if is_others or not names_registry(recipe.name):  # the default registry's names are those of everybody's parents
        raise ConfigError(f"{recipe.name} is another image's name, which is not overwritten.",
                          next_step="Choose another `name:`, with a registry of yours in it.")


def _copied(file: Path, source: str, target: str, room: int) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a source is, with their targets: itself, or all in the folder. Raises ConfigError."""
    root = file.parent.resolve()
    if reason := reason_against(root):
        raise ConfigError(f"{file}: no files are taken from {root}: {reason}.",
                          next_step="Keep the file in a folder of its own, with what it copies.")
    is_folder = (root / source).is_dir() and (root / source).resolve() == root / source  # no link on the way to it
    names = globs.files(str(root / source), "**") if is_folder else [""]
    for count, name in enumerate(sorted(names), 1):
        try:
            parts = check_name(f"{source.strip('/')}/{name}".removeprefix("./").rstrip("/"))
            with open_below(root, parts) as opened:
                data = opened.read(room + 1)
        except OSError as error:
            raise ConfigError(f"{file}: files: {source[:80]!a} cannot be copied: {error.strerror or error}.",
                              next_step="It has to be a plain file or folder beside this one, and no link.") from None
        room -= len(data)
        if room < 0 or count > _MOST_FILES:
            raise ConfigError(f"{file}: files: there are more than {_MOST_FILES} files or 64 MiB.",
                              next_step="Keep data in a workspace.")
        yield (f"{target.rstrip('/')}/{name}" if name else target), data
