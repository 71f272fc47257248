"""What the SQL kernel does beyond what every kernel does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.outputs import Display
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import run


@pytest.fixture
def box(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox("base", engine=engine) as sandbox:
        yield sandbox


def test_a_result_is_shown_as_text_and_as_html(box: Sandbox) -> None:
    (shown,) = run(box, "sql", "SELECT 'é' AS a, NULL AS b").outputs
    assert isinstance(shown, Display)
    assert shown.data["text/plain"].decode() == "a  b\n-  ----\né  NULL\n(1 row)"
    assert b"<td>\xc3\xa9</td>" in shown.data["text/html"]


def test_every_result_of_a_cell_is_shown_up_to_the_one_that_fails(box: Sandbox) -> None:
    done = run(box, "sql", "CREATE TABLE t (n);\nINSERT INTO t VALUES (1), (2);\nSELECT n FROM t;\nSELECT nosuch;")
    assert done.stdout == "2 rows changed\n"
    assert done.values == ["n\n-\n1\n2\n(2 rows)"]
    assert done.failure.value == "cell 1, line 4: no such column: nosuch"


def test_csv_files_are_imported_with_numbers_as_numbers(box: Sandbox) -> None:
    run(box, "shell", "printf 'zip,n,name\\n01234,7,\"Grüße, Ada\"\\n2,1.5,\\n' >a.csv")
    run(box, "shell", "printf 'a\\tb\\n1\\t2\\n' >b.tsv")
    done = run(box, "sql", ".import a.csv people\n.import b.tsv pairs\nSELECT *, typeof(n) AS t FROM people;"
                           "\nSELECT a + b AS c FROM pairs")
    assert done.stdout == "2 rows imported\n1 row imported\n"
    assert done.values[0].splitlines()[2:4] == ["01234    7  Grüße, Ada  integer", "2      1.5  NULL        real"]
    assert done.values[1].splitlines()[2] == "3"


def test_an_import_that_fails_leaves_no_half_a_table(box: Sandbox) -> None:
    run(box, "shell", "printf 'a\\n1\\n2,3\\n' >bad.csv")
    assert "2 values for 1 columns" in run(box, "sql", ".import bad.csv t").failure.value
    assert run(box, "sql", ".tables").values == ["name  type\n----  ----\n(0 rows)"]


def test_a_database_file_of_the_workspace_is_shared_with_other_languages(box: Sandbox) -> None:
    run(box, "sql", "ATTACH 'a.sqlite' AS a; CREATE TABLE a.t AS SELECT 42 AS n")
    assert run(box, "shell", "python3 -c \"import sqlite3; print(*sqlite3.connect('a.sqlite')"
                             ".execute('select n from t').fetchone())\"").stdout == "42\n"
    assert run(box, "sql", ".open a.sqlite\nSELECT n FROM t").values == [" n\n--\n42\n(1 row)"]


def test_a_long_result_is_cut_and_counted(box: Sandbox) -> None:
    (text,) = run(box, "sql", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 50000) "
                              "SELECT n FROM c").values
    assert len(text.splitlines()) == 1003
    assert text.endswith("(50000 rows, the first 1000 shown)")


def test_a_file_runs_as_a_program_of_its_own(box: Sandbox) -> None:
    run(box, "sql", "CREATE TABLE t (n)")
    done = run(box, "sql", "SELECT count(*) AS n FROM sqlite_schema", script=Script("a.sql"))
    assert (done.values, done.result.exit_code) == (["n\n-\n0\n(1 row)"], 0)
    assert run(box, "sql", "SELECT nosuch", script=Script("a.sql")).result.exit_code == 1
    assert run(box, "sql", "SELECT count(*) AS n FROM sqlite_schema").values == ["n\n-\n1\n(1 row)"]
