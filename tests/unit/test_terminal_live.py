"""The live screen in a real pseudo-terminal: nothing twice, nothing lost, at any size."""

from __future__ import annotations

import re

import pytest

from tests.support.streams import terminal, unfolded

SIZES = [(80, 24), (40, 10), (30, 5), (100, 50), (20, 3)]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_output_longer_than_the_screen_appears_once(columns: int, rows: int) -> None:
    with terminal('''
lines = [f"line {n:03}\\n" for n in range(120)]
show(itertools.chain(block(code_head("python"), "for n in range(120):\\n    print(n)\\n"),
                     block(CONSOLE, *lines, pause=0.002)))
''', columns=columns, rows=rows) as screen:
        assert screen.wait_for_end() == 0
        numbers = [int(number) for number in re.findall(r"line (\d+)", screen.text)]
        assert numbers == list(range(120))
        assert screen.text.count("for n in range") == 1


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_code_longer_than_the_screen_appears_once_and_whole(columns: int, rows: int) -> None:
    with terminal('''
code = "\\n".join(f"value_{n:03} = {n} + 1  # 日本語 a comment that is rather long" for n in range(60))
def stream():
    yield from block(code_head("python"), *words(code), pause=0.0005)
    yield CONSOLE.chunk(start=True)
    for line in range(1, 61):
        yield ACTIVE_LINE.chunk(content=line)
        time.sleep(0.005)
    yield CONSOLE.chunk(content="done\\n")
    yield CONSOLE.chunk(end=True)
show(stream())
''', columns=columns, rows=rows) as screen:
        assert screen.wait_for_end() == 0
        text = unfolded(screen.rows)
        assert re.findall(r"value_(\d+)", text) == [f"{n:03}" for n in range(60)]
        assert text.count("acommentthatisratherlong") == 60
        assert "▶" not in text


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_prose_longer_than_the_screen_appears_once(columns: int, rows: int) -> None:
    with terminal('''
paragraph = "Paragraph {0:02} begins and goes on for quite some words to its end, stop{0:02}."
prose = "\\n\\n".join(map(paragraph.format, range(40)))
prose += "\\n\\n" + "\\n".join(f"{n}. item{n:02}" for n in range(1, 50)) + "\\n\\nlast word"
show(block(PROSE, *words(prose), pause=0.0005))
''', columns=columns, rows=rows) as screen:
        assert screen.wait_for_end() == 0
        text = unfolded(screen.rows)
        assert re.findall(r"Paragraph(\d\d)", text) == [f"{n:02}" for n in range(40)]
        assert re.findall(r"stop(\d\d)", text) == [f"{n:02}" for n in range(40)]
        assert re.findall(r"item(\d\d)", text) == [f"{n:02}" for n in range(1, 50)]
        assert text.endswith("lastword--end--")


def test_one_paragraph_longer_than_the_screen_appears_once() -> None:
    with terminal('''
show(block(PROSE, *words(" ".join(f"word{n:03}" for n in range(300))), pause=0.0005))
''', columns=40, rows=8) as screen:
        assert screen.wait_for_end() == 0
        assert re.findall(r"word(\d+)", screen.text) == [f"{n:03}" for n in range(300)]


def test_the_line_that_runs_is_marked_while_output_comes_below() -> None:
    with terminal('''
def stream():
    yield from block(code_head("python"), "first()\\nsecond()\\nthird()\\n")
    yield CONSOLE.chunk(start=True)
    for line in (1, 2, 3):
        yield ACTIVE_LINE.chunk(content=line)
        yield CONSOLE.chunk(content=f"ran {line}\\n")
        time.sleep(0.6)
    yield CONSOLE.chunk(end=True)
show(stream())
''') as screen:
        for line, name in enumerate(("first", "second", "third"), 1):
            screen.wait_for(lambda line=line, name=name: re.search(  # type: ignore[misc]  # mypy wants no defaults
                rf"^▶  {line}  {name}\(\)$", screen.text, re.MULTILINE) is not None and f"ran {line}" in screen.text)
            assert screen.text.count("▶") == 1
        assert screen.wait_for_end() == 0
        assert "▶" not in screen.text


def test_the_running_line_of_code_that_scrolled_away_is_in_the_status_row() -> None:
    with terminal('''
code = "\\n".join(f"step({n})" for n in range(1, 31))
def stream():
    yield from block(code_head("python"), code)
    yield CONSOLE.chunk(start=True)
    yield ACTIVE_LINE.chunk(content=7)
    time.sleep(1.5)
    yield CONSOLE.chunk(end=True)
show(stream())
''', rows=12) as screen:
        screen.wait_for("line 7: step(7)")
        assert "Running" in screen.screen[-2] + screen.screen[-1]
        assert screen.wait_for_end() == 0
        assert "Running" not in screen.text


def test_the_spinner_says_what_is_waited_for_and_leaves_nothing() -> None:
    with terminal('''
def stream():
    time.sleep(0.8)
    renderer.wait("Building the image python")
    time.sleep(0.8)
    yield from block(PROSE, "Hello.")
show(stream())
''') as screen:
        screen.wait_for("The model is thinking")
        assert screen.cursor_hidden
        screen.wait_for("Building the image python")
        assert screen.wait_for_end() == 0
        assert screen.text == "Hello.\n-- end --"
        assert not screen.cursor_hidden


def test_the_first_token_is_shown_at_once() -> None:
    with terminal('''
def stream():
    yield PROSE.chunk(start=True)
    yield PROSE.chunk(content="first")
    sys.stdin.readline()  # nothing comes that could push it out
    yield PROSE.chunk(end=True)
show(stream())
''') as screen:
        screen.wait_for("first")
        screen.send("\r")
        assert screen.wait_for_end() == 0


def test_a_long_answer_costs_no_more_per_token_at_its_end() -> None:
    with terminal('''
prose = "\\n\\n".join(f"Paragraph {n} with *some* `words` in it, as answers have." for n in range(800))
parts = words(prose)
begin = time.process_time()
show(block(PROSE, *parts[:len(parts) // 4]))
quarter = time.process_time() - begin
begin = time.process_time()
show(block(PROSE, *parts))
print("ratio", (time.process_time() - begin) / quarter)
''') as screen:
        screen.wait_for_end()
        match = re.search(r"ratio ([\d.]+)", screen.text)
        assert match
        assert float(match[1]) < 8  # four times the text; 16 were quadratic


def test_a_progress_bar_ends_in_its_last_state_and_touches_nothing_else() -> None:
    with terminal('''
bar = [f"\\r{n:3}% {'#' * (n // 5)}" for n in range(0, 101, 5)]
show(block(CONSOLE, "before\\n", *bar, "\\nafter\\n", pause=0.02))
''') as screen:
        screen.wait_for(lambda: re.search(r"^ [1-9]\d% ##+$", screen.text, re.MULTILINE) is not None)
        assert screen.wait_for_end() == 0
        assert screen.text == "before\n100% ####################\nafter\n-- end --"


def test_japanese_prose_and_output_on_a_narrow_terminal_keep_every_character() -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 3
    with terminal(f'''
show(iter([*block(PROSE, *words({text!r}), pause=0.01), *block(CONSOLE, {text!r} + "\\n")]))
''', columns=21, rows=12) as screen:
        assert screen.wait_for_end() == 0
        assert unfolded(screen.rows).count(text) == 2


def test_a_wider_window_duplicates_nothing() -> None:
    with terminal('''
def stream():
    yield from block(code_head("python"), "first()\\nsecond()\\n")
    yield CONSOLE.chunk(start=True)
    for n in range(20):
        yield CONSOLE.chunk(content=f"out {n:02}\\n")
        time.sleep(0.1)
    yield CONSOLE.chunk(end=True)
show(stream())
''', columns=80, rows=30) as screen:
        screen.wait_for("out 05")
        screen.resize(100, 30)
        assert screen.wait_for_end() == 0
        assert screen.text.count("first()") == 1
        assert re.findall(r"out (\d+)", screen.text) == [f"{n:02}" for n in range(20)]


def test_a_flood_goes_through() -> None:
    with terminal('''
piece = "x" * 79 + "\\n"
show(block(CONSOLE, *[piece * 800] * 8))
print("through")
''') as screen:
        assert screen.wait_for_end(60) == 0
        assert screen.text.endswith("x\n-- end --\nthrough")
