from __future__ import annotations

import pytest

from sandbox_interpreter.agent.kernels.sql import html_table, plain_table, statements


@pytest.mark.parametrize(("source", "found"), [
    ("", []),
    (" ;\n-- nothing\n/* at\nall */;", []),
    ("SELECT 1", [(1, "SELECT 1")]),
    ("SELECT 1; SELECT 2;\n\nSELECT\n3", [(1, "SELECT 1;"), (1, "SELECT 2;"), (3, "SELECT\n3")]),
    ("SELECT ';' -- a; b\n, 2; SELECT 3", [(1, "SELECT ';' -- a; b\n, 2;"), (2, "SELECT 3")]),
    ("-- why\nSELECT 1", [(2, "SELECT 1")]),
    (".import a.csv t\nSELECT 1", [(1, ".import a.csv t"), (2, "SELECT 1")]),
    ("SELECT 1;\n.tables", [(1, "SELECT 1;"), (2, ".tables")]),
    ("CREATE TRIGGER a AFTER INSERT ON t BEGIN DELETE FROM t; END; SELECT 1",
     [(1, "CREATE TRIGGER a AFTER INSERT ON t BEGIN DELETE FROM t; END;"), (1, "SELECT 1")]),
    ("SELECT 'never closed; SELECT 2;", [(1, "SELECT 'never closed; SELECT 2;")]),
])
def test_a_cell_is_cut_into_statements_with_their_lines(source: str, found: list[tuple[int, str]]) -> None:
    assert list(statements(source)) == found


def test_a_table_aligns_numbers_to_the_right_and_clips_what_is_wide() -> None:
    text = plain_table(["n", "text"], [(1, "a"), (None, "b\nc"), (100, "x" * 99)])
    assert text.splitlines() == ["   n  text", "----  " + "-" * 60, "   1  a", "NULL  b\\nc", f" 100  {'x' * 59}…"]


def test_a_table_of_html_holds_values_as_text() -> None:
    assert html_table(["<a>"], [("<b>",), (b"12",)]) == (
        "<table><thead><tr><th>&lt;a&gt;</th></tr></thead>"
        "<tbody><tr><td>&lt;b&gt;</td></tr><tr><td>&lt;2 bytes&gt;</td></tr></tbody></table>")
