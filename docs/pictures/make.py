"""Record a real session of sbi in a terminal, and draw that terminal as docs/pictures/session.svg.

    python -m docs.pictures.make

The model is a script (session.yaml); what its code prints and draws comes from a sandbox.
"""

from __future__ import annotations

import csv
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import unescape

import pyte
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from sandbox_interpreter.pictures import from_base64
from tests.support.terminal import Terminal

FOLDER = Path(__file__).parent
PICTURE = FOLDER / "session.svg"
PROMPT = "Where does it rain most?"
COLUMNS, ROWS = 100, 60
"""More rows than the session fills, so that nothing of it scrolls away."""

_SECONDS = 90.0
_IMAGE = re.compile(r"\x1b\]1337;File=[^:]*?width=(\d+)[^:]*:([^\x07]*)\x07")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d-\d{6}")
_CELL_WIDTH, _LINE_HEIGHT = 12.2, 24.4
"""Pixels of a cell in the pictures of rich."""
_FONT = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: FONT; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
IMAGE
</g>
</svg>
"""


@dataclass(frozen=True)
class Image:
    """A picture on the screen: the row that it begins on, its size in cells, and its bytes as base64."""

    row: int
    columns: int
    rows: int
    data: str


@dataclass(frozen=True)
class Recording:
    """What was on the terminal in the end."""

    rows: list[list[Char]]
    images: list[Image]

    @property
    def text(self) -> list[str]:
        """Return what can be read, row by row, from the prompt on."""
        rows = ["".join(char.data for char in row).rstrip() for row in self.rows]
        start = next(at for at, row in enumerate(rows) if PROMPT in row)
        return [row for row in rows[start + 1:] if row]


def record() -> Recording:
    """Return a session that was held just now: one prompt, its answer, and the next prompt."""
    with tempfile.TemporaryDirectory(prefix="sbi-picture-") as name:
        folder = Path(name)
        (folder / "work").mkdir(mode=0o755)
        folder.chmod(0o755)
        (folder / "work" / "rainfall.csv").write_text(rainfall())
        (folder / "work" / "session.yaml").write_text((FOLDER / "session.yaml").read_text("utf-8"))
        (folder / "empty").mkdir()
        data = folder / "data"
        env = {"SBI_CONFIG_DIR": str(folder / "empty"), "SBI_DATA_DIR": str(data), "SBI_LOCAL": "false",
               "COLORTERM": "truecolor", "TERM_PROGRAM": "WezTerm"}
        command = [str(Path(sys.executable).with_name("sbi")), "-m", "scripted:session.yaml", "-w", ".:ro", "-y"]
        with Terminal(command, columns=COLUMNS, rows=ROWS, env=env, cwd=str(folder / "work")) as terminal:
            terminal.wait_for(">", _SECONDS)
            terminal.send(f"{PROMPT}\n")
            terminal.wait_for("in Pune.", _SECONDS)
            terminal.watch(0.5)
            raw = terminal.raw
            terminal.send("\x04")
            terminal.wait_for_end(_SECONDS)
    return replay(_STAMP.sub("2025-11-22-175012", raw.replace(str(data), "~/.local/share/sandbox-interpreter")))


def rainfall() -> str:
    """Return a year of rain in three towns as CSV, the same every time."""
    wetness = {"Bergen": 7.6, "Lisbon": 2.1, "Pune": 2.4}
    chance = random.Random(7)  # noqa: S311  # weather, no secret
    file = StringIO()
    rows = csv.writer(file)
    rows.writerow(["date", "town", "mm"])
    for number in range(366):
        day = date(2024, 1, 1) + timedelta(number)
        for town, mean in wetness.items():
            season = 1 if town != "Pune" else 7 if 6 <= day.month <= 9 else 0.3
            rows.writerow([day, town, round(chance.expovariate(1 / (mean * season)), 1)])
    return file.getvalue()


def replay(raw: str) -> Recording:
    """Return what a terminal that shows pictures in place has on it once it was told ``raw``."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    images = []
    text, *rest = _IMAGE.split(raw)
    stream.feed(text)
    for width, data, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        picture = from_base64(data)
        assert picture is not None, "the session showed what is no picture"
        rows = -(-int(width) * 8 * picture.height // picture.width // 16)
        images.append(Image(screen.cursor.y, int(width), rows, data))
        stream.feed("\n" * (rows - 1) + after)
    used = max(y for y in range(ROWS) if screen.display[y].strip()) + 1
    return Recording([[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(used)], images)


def draw(recording: Recording) -> str:
    """Return the recording as an SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor", force_terminal=True,
                      legacy_windows=False)
    for row in recording.rows:
        runs = (("".join(char.data for char in chars), style) for style, chars in groupby(row, style_of))
        console.print(Text.assemble(*runs), no_wrap=True, soft_wrap=True)
    images = "\n".join(
        f'<image x="0" y="{image.row * _LINE_HEIGHT + 1.5:.1f}" width="{image.columns * _CELL_WIDTH:.1f}" '
        f'height="{image.rows * _LINE_HEIGHT:.1f}" preserveAspectRatio="xMinYMin meet" '
        f'href="data:image/png;base64,{image.data}"/>' for image in recording.images)
    form = _FORMAT.replace("IMAGE", images).replace("FONT", _FONT)
    return console.export_svg(title="sbi", code_format=form, theme=SVG_EXPORT_THEME, unique_id="session")


def style_of(char: Char) -> Style:
    """Return the look of a cell."""
    return Style(color=_colour(char.fg), bgcolor=_colour(char.bg), bold=char.bold, italic=char.italics,
                 underline=char.underscore, reverse=char.reverse)


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if re.fullmatch(r"[0-9a-fA-F]{6}", name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


def words(svg: str) -> Iterator[str]:
    """Yield the words that stand in a drawn picture."""
    for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg):
        yield from unescape(text).replace("&#160;", " ").split()


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(record()), "utf-8")


if __name__ == "__main__":
    main()
