from __future__ import annotations

import subprocess
import sys

import pytest

import sandbox_interpreter


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("code", [
    "from sandbox_interpreter import interpreter, Interpreter",
    "from sandbox_interpreter.interpreter import Interpreter\nfrom sandbox_interpreter import interpreter",
    "from sandbox_interpreter import interpreter\nfrom sandbox_interpreter.interpreter import Interpreter",
    "import sandbox_interpreter.interpreter\nfrom sandbox_interpreter import *",
])
def test_interpreter_is_the_object_however_its_module_was_imported(code: str) -> None:
    check = "assert package.interpreter is interpreter and isinstance(interpreter, Interpreter)\nprint('same')"
    assert run(f"{code}\nimport sandbox_interpreter as package\n{check}") == "same\n"


def test_every_public_name_is_there_and_listed() -> None:
    for name in sandbox_interpreter.__all__:
        assert getattr(sandbox_interpreter, name) is getattr(sandbox_interpreter, name)
    assert set(sandbox_interpreter.__all__) <= set(dir(sandbox_interpreter))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = sandbox_interpreter.nonsense  # type: ignore[attr-defined]  # that is the point


def test_importing_takes_a_few_milliseconds() -> None:
    times = [float(run("import time\nbegun = time.process_time()\nimport sandbox_interpreter\n"
                       "print(time.process_time() - begun)")) for _ in range(5)]
    # The best of five: what is measured is the import, not what else this machine does.
    assert min(times) < 0.015


def test_the_names_are_known_to_a_type_checker(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("typed") / "user.py"
    file.write_text("from sandbox_interpreter import Interpreter, interpreter\n"
                    "object_of_ours: Interpreter = interpreter\n"
                    "count: int = len(interpreter.chat('Hi.', display=False))\n"
                    "first = next(interpreter.chat('Hi.', stream=True))['type']\n"
                    "wrong: int = interpreter.model\n")
    result = subprocess.run([sys.executable, "-m", "mypy", "--config-file=", "--strict", str(file)],
                            capture_output=True, text=True, timeout=100)
    errors = [line for line in result.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1, result.stdout
    assert 'user.py:5' in errors[0]
