"""SQL: one SQLite database, in memory until a cell opens another; files of the workspace are attached or imported.

Beside SQL a cell understands the few commands of SQLite's own shell that files need, each on a line of its own:
``.open FILE``, ``.import FILE TABLE`` (CSV or TSV, with a line of names) and ``.tables``.
"""

from __future__ import annotations

import csv
import html
import itertools
import re
import shlex
import sqlite3

from ..cells import CellRunner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Row = tuple[object, ...]

MOST_ROWS = 1000  # of one result that are shown; the rest is counted
MOST_WIDTH = 60  # characters of a value in the plain table
BATCH = 10_000  # rows of an import that are in memory at a time
PROGRESS = 10_000  # SQLite's instructions between two looks at an interrupt
NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")  # 007 is a text, and so is what has more digits than SQLite counts
NOTHING = re.compile(r"(\s|;|--[^\n]*(\n|$)|/\*.*?\*/)*", re.DOTALL)


class SqlError(Exception):
    """A statement failed; the text says where."""


class Runner(CellRunner):
    """Runs cells of SQL; the result of each query is shown as a table."""

    def __init__(self) -> None:
        super().__init__()
        self._database = _open(":memory:")

    def run(self, source: str, name: str) -> int:
        """Return 0 once every statement of a cell has run. Raises SqlError, which names the line."""
        for line, statement in statements(source):
            try:
                self._run_one(statement)
            except (sqlite3.Error, sqlite3.Warning, OSError, ValueError, csv.Error) as error:
                if getattr(error, "sqlite_errorcode", 0) == getattr(sqlite3, "SQLITE_INTERRUPT", -1):
                    raise KeyboardInterrupt from None
                raise SqlError(f"{name.strip('<>')}, line {line}: {error}") from None
        return 0

    def report(self, error: BaseException, name: str) -> None:
        """Send what failed; a traceback of Python's says nothing to who wrote SQL."""
        if isinstance(error, (SqlError, KeyboardInterrupt)):
            kind, text = type(error).__name__, str(error)
            self.control.send("error", f"{kind}: {text}\n".encode("utf-8", "replace"), ename=kind, evalue=text[:2000])
        else:
            super().report(error, name)

    def _run_one(self, statement: str) -> None:
        if statement.startswith("."):
            self._command(shlex.split(statement))
            return
        cursor = self._database.execute(statement)
        if cursor.description:
            self._show([column[0] for column in cursor.description], cursor)
        elif cursor.rowcount >= 0:
            print(_counted(cursor.rowcount), "changed")  # noqa: T201  # the cell's output

    def _show(self, names: list[str], rows: Iterable[Row]) -> None:
        rows = iter(rows)
        shown = list(itertools.islice(rows, MOST_ROWS))
        count = len(shown) + sum(1 for _ in rows)
        note = f"({_counted(count)}{f', the first {MOST_ROWS} shown' if count > MOST_ROWS else ''})"
        forms = {"text/plain": plain_table(names, shown) + note, "text/html": html_table(names, shown) + note}
        self.displayer.show({mime: text.encode("utf-8", "replace") for mime, text in forms.items()}, result=True)

    # --- commands ---

    def _command(self, words: list[str]) -> None:
        name, arguments = words[0], [word for word in words[1:] if word != "--csv"]
        if name == ".open" and len(arguments) == 1:
            former, self._database = self._database, _open(arguments[0])
            former.close()
        elif name == ".import" and len(arguments) == 2:
            print(_counted(self._import(*arguments)), "imported")  # noqa: T201  # the cell's output
        elif name == ".tables" and not arguments:
            self._run_one("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")
        else:
            raise ValueError(f"{' '.join(words)!r} is no command; there are .open FILE, .import FILE TABLE and .tables")

    def _import(self, file: str, table: str) -> int:
        """Put a file's rows into a table, made of the file's columns unless it exists; return how many."""
        with open(file, encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(text, delimiter="\t" if file.endswith((".tsv", ".tab")) else ",")
            names = next(lines, [])
            columns = ", ".join(map(_quoted, names))
            insert = f"INSERT INTO {_quoted(table)} ({columns}) VALUES ({', '.join('?' * len(names))})"
            rows = (_values(line, len(names)) for line in lines if line)
            count = 0
            self._database.execute("SAVEPOINT sbi_import")
            try:
                self._database.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(table)} ({columns})")
                while batch := list(itertools.islice(rows, BATCH)):
                    self._database.executemany(insert, batch)
                    count += len(batch)
            except BaseException:
                self._database.execute("ROLLBACK TO sbi_import")
                raise
            finally:
                self._database.execute("RELEASE sbi_import")
        return count


def _open(file: str) -> sqlite3.Connection:
    database = sqlite3.connect(file, isolation_level=None)  # a cell begins and ends its transactions itself
    # While SQLite works, this is where Python gets to run the handler of an interrupt, which ends the statement.
    database.set_progress_handler(lambda: 0, PROGRESS)
    return database


def statements(source: str) -> Iterator[tuple[int, str]]:
    """Yield each statement and command of a cell, with the 1-based line that it begins on."""
    start = end = 0
    while start < len(source):
        blank = NOTHING.match(source, start)
        start = blank.end() if blank else start
        end = _end_of_command(source, start) if source.startswith(".", start) else _end_of_statement(source, start)
        if end > start:
            yield source.count("\n", 0, start) + 1, source[start:end].strip()
        start = end


def _end_of_command(source: str, start: int) -> int:
    end = source.find("\n", start)
    return end if end >= 0 else len(source)


def _end_of_statement(source: str, start: int) -> int:
    end = source.find(";", start)
    while end >= 0 and not sqlite3.complete_statement(source[start : end + 1]):
        end = source.find(";", end + 1)
    return end + 1 if end >= 0 else len(source)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(line: list[str], width: int) -> list[object]:
    """Return a line's values, as many as there are columns: numbers as such, nothing as NULL."""
    if len(line) > width:
        raise ValueError(f"a line has {len(line)} values for {width} columns: {','.join(line)[:80]}")
    return [_value(text) for text in line] + [None] * (width - len(line))


def _value(text: str) -> object:
    if not text:
        return None
    match = NUMBER.fullmatch(text)
    return text if match is None else float(text) if match[2] else int(text)


# --- tables ---

def _counted(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _shown(value: object) -> str:
    return "NULL" if value is None else f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def plain_table(names: list[str], rows: list[Row]) -> str:
    """Return rows under their names in columns; numbers stand to the right."""
    cells = [names, *([_clipped(_shown(value)) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]  # noqa: B905  # strict= is new in Python 3.10
    right = [any(isinstance(row[at], (int, float)) for row in rows)
             and not any(isinstance(row[at], (str, bytes)) for row in rows) for at in range(len(names))]
    lines = ["  ".join(text.rjust(width) if to_right else text.ljust(width)
                       for text, width, to_right in zip(line, widths, right)).rstrip()  # noqa: B905  # the same
             for line in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], ""])


def _clipped(text: str) -> str:
    text = text.replace("\n", "\\n")
    return text if len(text) <= MOST_WIDTH else text[: MOST_WIDTH - 1] + "…"


def html_table(names: list[str], rows: list[Row]) -> str:
    """Return rows as a table of HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(_shown(value))}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
