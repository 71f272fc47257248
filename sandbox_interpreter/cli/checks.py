"""What sbi needs in order to work, one check each: what was found, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter import config
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import ConfigError, SandboxInterpreterError, WorkspaceError
from sandbox_interpreter.values import format_size, parse_locks

SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Check:
    """One thing that sbi needs. ``mend`` is the command or sentence that mends it, or "" where nothing is wrong."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def run_all(engine: str | None = None) -> Iterator[Check]:
    """Yield the outcome of every check, each as soon as it is known; what builds on a failed one is left out.

    ``engine`` replaces the setting of that name.
    """
    try:
        settings = config.load({"engine": engine})
    except ConfigError as error:
        yield _failed("settings", error)
        settings = Settings(engine=engine)
    told = set()
    for check in _sandbox(settings):
        told.add(check.name)
        yield check
    yield _guarded("model", lambda: _model(settings))
    kept = _guarded("data", _data)
    yield kept
    if kept.ok:
        yield _guarded("disk", lambda: _disk(settings))
    if settings.workspace and "workspace" not in told:
        yield _guarded("workspace", lambda: _workspace(settings))


def _sandbox(settings: Settings) -> Iterator[Check]:
    from sandbox_interpreter.engines.docker import DockerEngine

    try:
        engine = DockerEngine(settings.engine)
        reached = _engine(engine)
    except SandboxInterpreterError as error:
        yield Check("engine", False, str(error), _how_to_start(settings))
        return
    try:
        yield reached
        yield from _gaps(settings, engine)
        image = _guarded("image", lambda: _image(settings, engine.images()))
        yield image
        if image.ok:
            yield from _network(settings, engine)
            yield from _trial(settings, engine)
    finally:
        engine.close()


def _engine(engine: ContainerEngine) -> Check:
    info = engine.info()
    return Check("engine", True, f"{info.name} {info.version}, API {info.api}")


def _gaps(settings: Settings, engine: ContainerEngine) -> Iterator[Check]:
    from sandbox_interpreter.engines.gaps import gaps

    for gap in gaps(engine.info(), settings.runtime):
        yield Check("known gap", True, str(gap))


def _network(settings: Settings, engine: ContainerEngine) -> Iterator[Check]:
    from sandbox_interpreter.cli import network_check

    try:
        for ok, detail, mend in network_check.findings(settings, engine):
            yield Check("network", ok, detail, mend)
    except SandboxInterpreterError as error:
        yield _failed("network", error)


def _how_to_start(settings: Settings) -> str:
    """Return what makes an engine answer, from what is installed, running and allowed here."""
    if settings.engine or os.environ.get("DOCKER_HOST"):
        return "Start it, or unset DOCKER_HOST, SBI_ENGINE and the setting engine."
    if SOCKET.exists() and not os.access(SOCKET, os.R_OK | os.W_OK):
        return "sudo usermod -aG docker $USER, then log in again"
    if not shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return "sudo apt-get install docker.io mmdebstrap; elsewhere, install Docker or Podman"
    return "sudo systemctl start docker" if Path("/run/systemd/system").is_dir() else "sudo service docker start"


def _image(settings: Settings, store: ImageStore) -> Check:
    from sandbox_interpreter.catalogue import build, index

    image = index.bundled().get(settings.image)
    if image is None:
        present = store.image(settings.image) is not None
        return Check("image", present, f"{settings.image} is {'present' if present else 'not present'}",
                     "" if present else f"docker pull {settings.image}")
    if why := build.stale(image, store):
        return Check("image", False, f"{image.name} {why}", f"sbi images build {image.name}")
    built = [each.name for each in index.bundled().values() if store.image(each.tag)]
    return Check("image", True, f"{image.tag} is ready (bundled images that are built: {', '.join(built)})")


def _trial(settings: Settings, engine: ContainerEngine) -> Iterator[Check]:
    """Yield whether code runs in a sandbox, and whether its workspace can be the one that is set."""
    from sandbox_interpreter.engines.gaps import ELSEWHERE
    from sandbox_interpreter.sandbox.sandbox import Sandbox
    from sandbox_interpreter.sandbox.starting import UNCONFINED

    gaps: list[str] = []

    def box(workspace: str | None = None) -> Sandbox:
        return Sandbox(settings.image, policy=settings.policy(), engine=engine, workspace=workspace,
                       locked=parse_locks(settings.lock), notify=lambda _: None)

    def runs() -> Check:
        begun = time.perf_counter()
        with box() as tried:
            output = [chunk for chunk in tried.run("shell", "echo $((20 + 2))") if chunk.get("format") == "output"]
            if tried.keeps_files_itself:
                gaps.append(str(ELSEWHERE))
            if not tried.is_confined:
                gaps.append(UNCONFINED.format(settings.image))
        seconds = time.perf_counter() - begun
        printed = "".join(chunk.get("content", "") for chunk in output)
        if printed.strip() != "22":
            return Check("sandbox", False, f"echo $((20 + 2)) printed {printed[:200]!r}", "sbi images verify base")
        return Check("sandbox", True, f"code runs in a container; the first output after {seconds:.2f} s")

    yield _guarded("sandbox", runs)
    for gap in gaps:
        yield Check("known gap", True, gap)
    if settings.workspace and not settings.workspace.endswith(":copy"):
        try:
            with suppress(WorkspaceError), box(settings.workspace) as tried:  # what else is wrong with it is told below
                tried.start()
        except SandboxInterpreterError as error:
            yield _failed("workspace", error)


def _model(settings: Settings) -> Check:
    from sandbox_interpreter.models import choose

    chosen = choose.choice(settings)
    if chosen.name == choose.DEMO or chosen.name.startswith(choose.SCRIPTED):
        choose.choose(settings)  # raises for a script that cannot be read
    elif not (settings.api_key or settings.api_base) and (missing := _missing_keys(chosen.name)):
        return Check("model", False, f"{chosen.name} needs {' or '.join(missing)}", f"export {missing[0]}=…")
    return Check("model", True, chosen.reason)


def _missing_keys(model: str) -> list[str]:
    """Return the variables that hold the model's key and are not set; [] also for a model that needs none."""
    from sandbox_interpreter.models import client

    answer = client.load().validate_environment(model)
    # A server's address has a default, and is asked for all the same; only keys are needed.
    return [] if answer["keys_in_environment"] else [name for name in answer["missing_keys"] if name.endswith("KEY")]


def _data() -> Check:
    folder = config.data_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("data", False, f"sessions cannot be written to {folder}: {error.strerror}",
                     f"chown -R $USER {folder}, or set SBI_DATA_DIR")
    return Check("data", True, f"sessions are kept in {folder}")


def _disk(settings: Settings) -> Check:
    """Tell what keeps code from filling the disk, and how well."""
    from sandbox_interpreter.sandbox.disk import Room
    from sandbox_interpreter.sandbox.growth import Place

    reserve = settings.policy().reserve
    folder = config.data_folder()
    free = Room.of(folder).size
    limit = f"has added more than {format_size(settings.disk)} (setting disk)" if settings.disk else ""
    detail = (f"{free / 2**30:.0f} GiB are free for workspaces; a sandbox is ended "
              f"{f'when its code {limit}, and ' if limit else ''}before less than {reserve / 2**30:.0f} GiB is left"
              f"{'' if limit else '; nothing limits a single sandbox (disk: 0)'}.")
    if limit and Place(folder, ours=True).used() is None:
        detail += f" {folder} does not tell how full it is, so it is measured every half a minute only."
    return Check("disk", free > reserve, detail, "" if free > reserve else "make room there, or set SBI_DATA_DIR")


def _workspace(settings: Settings) -> Check:
    from sandbox_interpreter.sandbox import workspace

    place = workspace.resolve(settings.workspace or "", engine=settings.engine)
    if place.notice:
        return Check("workspace", False, place.notice, f"chown -R {place.user} {place.folder}")
    return Check("workspace", True, f"{place.folder} ({place.access})")


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except SandboxInterpreterError as error:
        return _failed(name, error)


def _failed(name: str, error: SandboxInterpreterError) -> Check:
    return Check(name, False, str(error), error.next_step)

