from __future__ import annotations

import inspect

import pytest

from sandbox_interpreter import errors
from sandbox_interpreter.errors import SandboxInterpreterError

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SandboxInterpreterError)]
USAGE = {"UsageError", "ConfigError", "UnknownLanguage", "WorkspaceError", "RequestRefused"}


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = {word for word in errors.__doc__.split() if word[0].isupper() and hasattr(errors, word)} \
        if errors.__doc__ else set()
    assert drawn == {kind.__name__ for kind in TREE}


@pytest.mark.parametrize("kind", TREE)
def test_bad_usage_exits_with_2_and_every_other_failure_of_ours_with_125(kind: type[SandboxInterpreterError]) -> None:
    assert kind("What.").exit_code == (2 if kind.__name__ in USAGE else 125)


def test_a_report_is_the_sentence_and_the_next_step() -> None:
    error = errors.ImageMissing("Image 'r' is not built.", next_step="Run: sbi images build r")
    assert str(error) == "Image 'r' is not built."
    assert error.report() == "Image 'r' is not built.\nRun: sbi images build r"
    assert SandboxInterpreterError("What.").report() == "What."
