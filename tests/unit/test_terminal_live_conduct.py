"""What the live screen does with escapes, pictures, questions, notices and errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.streams import terminal


def test_escapes_of_a_program_and_of_a_model_are_inert() -> None:
    with terminal('''
evil = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[H\\x1b[5A\\x9b1;1H\\x1bc\\x1b[?1049hBOO"
print("keep me")
show(iter([*block(PROSE, "prose " + evil, " &#x202e; &#27;[2J"), *block(code_head("py\\x1b[2Jthon"), "x = 1 # " + evil),
           *block(CONSOLE, "out " + evil)]))
''', columns=120) as screen:
        assert screen.wait_for_end() == 0
        assert screen.screen[0] == "keep me"
        assert "owned" in screen.text
        assert screen.text.count("BOO") == 3
        assert screen.text.count("␛[2J") >= 3
        assert "⟨U+202E⟩" in screen.text
        assert "\x1b]" not in screen.raw
        assert "\x9b" not in screen.raw
        assert "\x07" not in screen.raw


def test_a_colour_that_is_left_on_does_not_leak() -> None:
    with terminal('''
show(iter([*block(CONSOLE, "\\x1b[41mred", "\\nstill"), *block(PROSE, "prose")]))
''') as screen:
        assert screen.wait_for_end() == 0
        after = screen.raw.split("still")[-1]
        assert after.startswith("\x1b[0m")
        assert "\x1b[41m" not in after


def test_html_in_prose_is_shown() -> None:
    with terminal('''
show(block(PROSE, "Use <b>bold</b> and List<int>.\\n\\n<div>\\nblock\\n</div>\\n"))
''') as screen:
        assert screen.wait_for_end() == 0
        assert "Use <b>bold</b> and List<int>." in screen.text
        assert "<div>" in screen.text


def test_a_link_shows_where_it_goes() -> None:
    with terminal('show(block(PROSE, "See [my bank](https://evil.example/x)."))') as screen:
        assert screen.wait_for_end() == 0
        assert "my bank (https://evil.example/x)" in screen.text


def test_a_picture_is_saved_and_its_path_is_on_one_line_to_copy(tmp_path: Path) -> None:
    with terminal(f'''
import base64
from pathlib import Path
from sandbox_interpreter.sessions import session as sessions, store
from tests.support.pictures import png_of
session = store.create(sessions.Record(title="a"), root=Path({str(tmp_path)!r}))
renderer = Renderer(Settings(), save=session.save_picture)
content = base64.b64encode(png_of([bytes(30)] * 10)).decode()
show(block(image_head("image/png"), content[:20], content[20:]))
show(block(image_head("image/png"), "AAAA"))
''', columns=200) as screen:
        assert screen.wait_for_end() == 0
        match = re.search(r"^Picture: (/\S+/pictures/picture-1\.png)$", screen.text, re.MULTILINE)
        assert match
        assert Path(match[1]).read_bytes().startswith(b"\x89PNG")
        assert "no picture" in screen.text
        assert "\x1b_G" not in screen.raw


@pytest.mark.parametrize(("env", "beginning"), [
    ({"TERM": "xterm-kitty"}, "\x1b_Ga=T,f=100,q=2,"),
    ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]1337;File=inline=1;"),
    ({"TERM": "foot"}, "\x1bP0;1q"),
])
def test_a_picture_is_shown_where_the_terminal_can(env: dict[str, str], beginning: str) -> None:
    with terminal('''
import base64
from tests.support.pictures import png_of
show(block(image_head("image/png"), base64.b64encode(png_of([bytes(30)] * 10)).decode()))
''', env=env) as screen:
        assert screen.wait_for_end() == 0
        assert screen.raw.count(beginning) == 1


ASKING = '''
code = "first()\\nsecond()\\n"
def stream():
    yield from block(code_head("python"), code)
    yield CONFIRMATION.chunk(content=code_head("python").message(code))
    answer = renderer.approve(CodeBlock("python", code))
    yield CONSOLE.chunk(start=True)
    if answer.run:
        for line in (1, 2):
            yield ACTIVE_LINE.chunk(content=line)
            time.sleep(PAUSE)
    yield CONSOLE.chunk(end=True)
    yield from block(PROSE, "Over.")
show(stream())
'''


@pytest.mark.parametrize("pause", [0.02, 0.7])
def test_an_approved_question_gives_way_to_the_code_that_runs(pause: float) -> None:
    with terminal(ASKING.replace("PAUSE", str(pause))) as screen:
        screen.wait_for("Run this code? (y/n/e)")
        assert not screen.cursor_hidden
        screen.send("y\n")
        assert screen.wait_for_end() == 0
        assert screen.text == " python\n   1  first()\n   2  second()\n\nOver.\n-- end --"
        assert "▶" in screen.raw or pause < 0.1


def test_a_declined_question_stays() -> None:
    with terminal(ASKING) as screen:
        screen.wait_for("Run this code? (y/n/e)")
        screen.send("n\n")
        assert screen.wait_for_end() == 0
        assert screen.text == (" python\n   1  first()\n   2  second()\nRun this code? (y/n/e) n\n\nOver.\n-- end --")


def test_keys_are_not_echoed_while_something_is_drawn_and_are_again_afterwards() -> None:
    with terminal('''
def stream():
    for n in range(10):
        yield from block(PROSE, f"part {n}")
        time.sleep(0.1)
show(stream())
input("now: ")
''') as screen:
        screen.wait_for("part 3")
        screen.send("typed early\n")
        screen.wait_for("now:")
        assert screen.wait_for_end() == 0
        assert screen.text.count("typed early") <= 1
        assert screen.text.count("part 3") == 1


def test_a_notice_waits_for_the_block_that_grows() -> None:
    with terminal('''
def stream():
    yield PROSE.chunk(start=True)
    yield PROSE.chunk(content="One ")
    renderer.notify("A notice.")
    yield PROSE.chunk(content="sentence.")
    yield PROSE.chunk(end=True)
    renderer.notify("Another.")
    yield from block(PROSE, "End.")
show(stream())
''') as screen:
        assert screen.wait_for_end() == 0
        assert screen.text == "One sentence.\nA notice.\nAnother.\n\nEnd.\n-- end --"


def test_a_notice_waits_until_the_question_is_answered() -> None:
    begin = '    threading.Timer(0.4, lambda: renderer.notify("A notice.")).start()\n'
    with terminal(ASKING.replace("    answer =", f"{begin}    answer =")) as screen:
        screen.wait_for("Run this code? (y/n/e)")
        screen.watch(1)
        assert "A notice." not in screen.text
        screen.send("n\n")
        assert screen.wait_for_end() == 0
        assert "(y/n/e) n\nA notice.\n" in screen.text


def test_an_error_in_the_stream_leaves_the_terminal_as_it_was() -> None:
    with terminal('''
def stream():
    yield PROSE.chunk(start=True)
    yield PROSE.chunk(content="half")
    raise RuntimeError("broken")
try:
    show(stream())
except RuntimeError as error:
    print("error:", error)
import termios
print("echo", bool(termios.tcgetattr(0)[3] & termios.ECHO))
''') as screen:
        assert screen.wait_for_end() == 0
        assert screen.text == "half\nerror: broken\necho True"
        assert not screen.cursor_hidden
