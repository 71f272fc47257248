"""The live region against a terminal emulator: whatever is drawn, nothing appears twice and nothing is lost."""

from __future__ import annotations

import io

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sandbox_interpreter.terminal.region import Region

WIDTH, HEIGHT = 12, 6


class Emulator(io.StringIO):
    """A file that is a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(WIDTH, HEIGHT, history=1000, ratio=0.5)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def rows(self) -> list[str]:
        top = ["".join(line[x].data for x in range(WIDTH)).rstrip() for line in self.screen.history.top]
        rows = [*top, *(row.rstrip() for row in self.screen.display)]
        while rows and not rows[-1]:
            rows.pop()
        return rows


row = st.sampled_from(["", "a", "bb", "\x1b[31mred\x1b[0m", "日本語", "full width!!", "\x1b[44mfill\x1b[K\x1b[0m"])
plain = {"\x1b[31mred\x1b[0m": "red", "\x1b[44mfill\x1b[K\x1b[0m": "fill"}
interludes = st.sampled_from(["", "typed", "y\nno\ny"])
changes = st.tuples(st.lists(row, max_size=HEIGHT + 2), st.lists(row, max_size=4), interludes)


def seen(rows: list[str]) -> list[str]:
    return [plain.get(text, text) for text in rows]


def without_blanks(rows: list[str]) -> list[str]:
    while rows and not rows[-1]:
        rows = rows[:-1]
    return rows


@given(st.lists(changes, max_size=12))
def test_the_screen_is_what_was_final_and_then_the_rows(steps: list[tuple[list[str], list[str], str]]) -> None:
    terminal = Emulator()
    region = Region(Console(file=terminal, force_terminal=True, width=WIDTH, height=HEIGHT))
    final: list[str] = []
    for rows, above, interlude in steps:
        region.update(rows, "".join(f"{line}\n" for line in above))
        shown = rows[-(HEIGHT - 1):]
        final += above
        assert [text.replace(" ", "") for text in terminal.rows()] == [
            text.replace(" ", "") for text in without_blanks(seen(final + shown))]
        if interlude and shown:
            region.release()
            terminal.write(interlude + "\n")
            if not region.take_back(interlude.count("\n") + 1):
                region.forget()
                final += [*shown, *interlude.split("\n")]
    region.update([])
    assert [text.replace(" ", "") for text in terminal.rows()] == [
        text.replace(" ", "") for text in without_blanks(seen(final))]
    assert not terminal.screen.cursor.hidden


def test_rows_are_wrapped_by_nobody() -> None:
    terminal = Emulator()
    region = Region(Console(file=terminal, force_terminal=True, width=WIDTH, height=HEIGHT))
    for _ in range(3):
        region.update(["far too long for this terminal", "next"])
    assert terminal.rows()[1] == "next"
    assert len(terminal.rows()) == 2


def test_what_does_not_change_is_not_written() -> None:
    class Counting(Emulator):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += bool(text)
            return super().write(text)

    terminal = Counting()
    region = Region(Console(file=terminal, force_terminal=True, width=WIDTH, height=HEIGHT))
    for _ in range(5):
        region.update(["same"])
    assert terminal.writes == 1
