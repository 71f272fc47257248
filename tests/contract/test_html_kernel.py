"""Pages are drawn in the sandbox and come back as pictures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.agent.kernels.html import with_base
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.outputs import Display
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import Run, run


@pytest.fixture
def box(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox("browser", engine=engine) as sandbox:
        yield sandbox


def size(done: Run) -> tuple[int, int]:
    """Return width and height of the one picture, as the head of a PNG has them."""
    (shown,) = [each for each in done.outputs if isinstance(each, Display)]
    data = shown.data["image/png"]
    assert data.startswith(b"\x89PNG\r\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_a_page_comes_back_as_its_picture_and_its_text_with_the_workspaces_files(box: Sandbox) -> None:
    run(box, "python", "from PIL import Image; Image.new('RGB', (50, 1900), 'red').save('a.png')")
    done = run(box, "html", "<!doctype html>\n<h1>grüße</h1><img src=a.png onload='console.log(this.height)'>")
    assert done.values == ["grüße"]
    assert "1900" in done.stdout
    assert size(done)[0] == 1280
    assert size(done)[1] > 1900


def test_a_script_that_fails_is_told_on_stderr_with_its_line(box: Sandbox) -> None:
    done = run(box, "html", "<p>text</p>\n<script>nosuch()</script>")
    assert "1:" in done.stderr
    assert "nosuch is not defined" in done.stderr
    assert done.values == ["text"]


def test_a_page_that_hangs_is_ended_by_the_time_limit_and_the_next_is_drawn(box: Sandbox) -> None:
    done = run(box, "html", "<script>while (true) {}</script>", timeout=3)
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert run(box, "html", "<p>again").values == ["again"]


def test_a_file_is_drawn_as_a_program_of_its_own(box: Sandbox) -> None:
    assert run(box, "html", "<p>file", script=Script("page.html")).values == ["file"]


BASE = '<meta charset="utf-8"><base href="file:///w/">'


@pytest.mark.parametrize(("page", "based"), [
    ("<p>x", f"{BASE}<p>x"),
    ("<!doctype html>\n<p>x", f"<!doctype html>{BASE}\n<p>x"),
    ("<!DOCTYPE html><html lang=de><head ><title>x", f"<!DOCTYPE html><html lang=de><head >{BASE}<title>x"),
    ("<base href='https://example.org'>", "<base href='https://example.org'>"),
])
def test_relative_addresses_lie_in_the_workspace(page: str, based: str) -> None:
    assert with_base(page, "/w") == based
