"""The bundled images as they are shipped: up to date, small, hardened, and proved by their own scripts."""

from __future__ import annotations

import pytest

from sandbox_interpreter.catalogue import build, context, index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import run

NAMES = tuple(index.bundled())


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def info(name: str, store: ImageStore) -> ImageInfo:
    info = store.image(index.resolve(name))
    assert info is not None
    return info


def test_a_second_build_finds_it_up_to_date_and_does_nothing(name: str, store: ImageStore) -> None:
    image = index.find(name)
    list(build.build(image, store, build.options()))
    steps = list(build.build(image, store, build.options()))
    assert steps[-1].text == f"{image.tag} is up to date"
    assert all(step.text.endswith(" is up to date") for step in steps)  # its parents' are there, too


def test_it_is_as_small_as_its_record_says(name: str, info: ImageInfo) -> None:
    bound = index.find(name).bound
    assert bound
    assert info.size < bound


def test_its_labels_tell_what_it_is_made_of(name: str, info: ImageInfo, store: ImageStore) -> None:
    image = index.find(name)
    parent = store.image(index.resolve(image.parent))
    assert info.labels[build.NAME_LABEL] == name
    assert info.labels[build.CONTEXT_LABEL] == context.digest(image)
    assert parent is not None
    assert info.labels[build.PARENT_LABEL] == parent.id


def test_it_runs_as_the_sandbox_user(info: ImageInfo, engine: DockerEngine) -> None:
    assert engine.client.inspect_image(info.id)["Config"]["User"] == "1000:1000"  # type: ignore[no-untyped-call]  # so in the stubs


def test_packages_are_imported_from_bytecode(engine: DockerEngine) -> None:
    """Compiling pandas would take a second in each fresh process: its folders can be written to by nobody."""
    code = ("import os, pandas, sys\n"
            "print(*(name for name, module in sys.modules.items() if name.startswith(('pandas', 'numpy'))\n"
            "        and getattr(module, '__cached__', None) and not os.path.exists(module.__cached__)))")
    with Sandbox("python", engine=engine) as box:
        assert run(box, "python", code, script=Script("cached")).stdout == "\n"
