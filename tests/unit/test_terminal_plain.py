"""Where there is no terminal: plain text, no escapes, nothing that moves."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import ACTIVE_LINE, CONSOLE, PROSE, Chunk, Head, code_head, image_head
from sandbox_interpreter.terminal.render import Renderer
from tests.support.pictures import png_of


def block(head: Head, *pieces: str) -> Iterator[Chunk]:
    yield head.chunk(start=True)
    for piece in pieces:
        yield head.chunk(content=piece)
    yield head.chunk(end=True)


def shown(*blocks: Iterator[Chunk], **options: object) -> str:
    file = io.StringIO()
    renderer = Renderer(Settings(), Console(file=file), **options)  # type: ignore[arg-type]  # passed on as they are
    chunks = [chunk for each in blocks for chunk in each]
    assert list(renderer.show(iter(chunks))) == chunks
    return file.getvalue()


def test_a_pipe_gets_text_that_reads_as_markdown() -> None:
    assert shown(block(PROSE, "I **add**", " it."), block(code_head("python"), "print(1 +", " 1)"),
                 iter([ACTIVE_LINE.chunk(content=1)]), block(CONSOLE, "2", "\n"), block(PROSE, "Two.")) == (
        "I **add** it.\n\n```python\nprint(1 + 1)\n```\n2\n\nTwo.\n")


def test_output_without_a_newline_gets_one() -> None:
    assert shown(block(CONSOLE, "a"), block(PROSE, "b")) == "a\n\nb\n"


def test_no_escape_of_anybody_survives() -> None:
    evil = "\x1b[31mred\x1b[0m\x1b]0;t\x07\x9b2J"
    text = shown(block(PROSE, evil), block(code_head("py\x1bthon"), evil), block(CONSOLE, evil))
    assert not any(character in text for character in "\x1b\x07\x9b")
    assert "red␛]0;t␇⟨U+009B⟩2J" in text


def test_a_progress_bar_is_its_last_state() -> None:
    assert shown(block(CONSOLE, "\r10%", "\r50%", "\r100%\ndone\n")) == "100%\ndone\n"


def test_a_sequence_that_is_cut_off_is_shown() -> None:
    assert shown(block(CONSOLE, "x\x1b[3")) == "x␛[3\n"


def test_a_picture_is_its_path(tmp_path: Path) -> None:
    def save(data: bytes, suffix: str) -> Path:
        (path := tmp_path / f"p{suffix}").write_bytes(data)
        return path

    content = base64.b64encode(png_of([bytes(3)])).decode()
    assert shown(block(image_head("image/png"), content), save=save) == f"Picture: {tmp_path}/p.png\n"
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_notice_stands_on_lines_of_its_own() -> None:
    file = io.StringIO()
    renderer = Renderer(Settings(), Console(file=file))
    for chunk in renderer.show(block(PROSE, "half a ", "sentence")):
        if chunk.get("content") == "half a ":
            renderer.notify("A notice\x07.")
    assert file.getvalue() == "half a \nA notice␇.\nsentence\n"


def test_closing_the_display_closes_what_is_shown() -> None:
    closed = []

    def chunks() -> Iterator[Chunk]:
        try:
            yield from block(PROSE, *"abc")
        finally:
            closed.append(True)

    showing = Renderer(Settings(), Console(file=io.StringIO())).show(chunks())
    next(showing)
    showing.close()
    assert closed == [True]


@pytest.mark.parametrize(("settings", "environment"), [
    (Settings(plain=True), {}), (Settings(), {"NO_COLOR": "1"}), (Settings(), {"TERM": "dumb"})])
def test_plain_is_asked_for_in_three_ways(settings: Settings, environment: dict[str, str],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not Renderer(Settings(), Console(file=io.StringIO(), force_terminal=True)).is_plain
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Renderer(settings, Console(file=io.StringIO(), force_terminal=True)).is_plain


def test_importing_the_terminal_is_silent_and_leaves_out_what_is_heavy() -> None:
    modules = "sandbox_interpreter.terminal.repl, sandbox_interpreter.terminal.render"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", f"import {modules}"],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sandbox_interpreter.terminal.live" in loaded
    assert not loaded & {"docker", "litellm", "httpx", "openai", "prompt_toolkit"}
