"""Every promise to users of the seed has a test that is there, and no test of the family holds none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.seed_contract import BEHAVIOURS, ROWS

TESTS = Path(__file__).parents[1]
FAMILY = sorted(TESTS.glob("end_to_end/test_seed_*.py"))
NAMED = [name for names in (*ROWS.values(), *BEHAVIOURS.values()) for name in names]
BESIDE = {"an_error_is_output_and_the_model_goes_on", "a_dead_connection_is_told_and_the_block_runs_once",
          "interrupting_lets_the_model_see_that_it_was"}
"""Tests of the family that hold what no row says."""


def names_in(path: Path) -> list[str]:
    body = ast.parse(path.read_text("utf-8")).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_the_test_of_a_promise_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert function in names_in(TESTS / file)


def test_there_are_all_rows_and_all_behaviours_in_their_order() -> None:
    assert len(ROWS) == 37
    assert list(BEHAVIOURS) == list(range(1, 16))
    for number, names in BEHAVIOURS.items():
        assert all(re.search(rf"::test_behaviour_{number:02d}_\w", name) for name in names)


@pytest.mark.parametrize("path", FAMILY, ids=lambda path: path.name)
def test_every_test_of_the_family_holds_a_promise(path: Path) -> None:
    named = {f"end_to_end/{path.name}::{name}" for name in names_in(path) if name.removeprefix("test_") not in BESIDE}
    assert named <= set(NAMED)
