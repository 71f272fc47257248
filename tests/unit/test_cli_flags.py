from __future__ import annotations

import pytest

from sandbox_interpreter.cli import run
from sandbox_interpreter.cli.flags import Flag, Parsed, parse
from sandbox_interpreter.errors import UsageError

FLAGS = (
    Flag("memory", "SIZE", "Memory."),
    Flag("env_file", "FILE", "File."),
    Flag("env", "K=V", "Variable.", many=True),
    Flag("code", "CODE", "Code.", short="-c"),
    Flag("json", "", "Lines."),
)


@pytest.mark.parametrize(("line", "values", "words"), [
    ([], {}, []),
    (["--memory", "1g"], {"memory": "1g"}, []),
    (["--memory=1g"], {"memory": "1g"}, []),
    (["--memory="], {"memory": ""}, []),
    (["--memory", "--json"], {"memory": "--json"}, []),
    (["--memory", "1g", "--memory", "2g"], {"memory": "2g"}, []),
    (["--env", "A=1", "--env=B=2=3"], {"env": ["A=1", "B=2=3"]}, []),
    (["--env-file", "x"], {"env_file": "x"}, []),
    (["--env_file", "x"], {"env_file": "x"}, []),
    (["--env_file=a_b"], {"env_file": "a_b"}, []),
    (["-c", "print(1)"], {"code": "print(1)"}, []),
    (["-cprint(1)"], {"code": "print(1)"}, []),
    (["-c", "-x", "--json", "a", "--json"], {"code": "-x", "json": True}, ["a", "--json"]),
    (["file.py", "--memory", "1g", "--", "-c"], {}, ["file.py", "--memory", "1g", "--", "-c"]),
    (["-", "--json"], {}, ["-", "--json"]),
    (["--json", "--", "--json", "-c"], {"json": True}, ["--json", "-c"]),
    (["--", "--", "x"], {}, ["--", "x"]),
    ([""], {}, [""]),
])
def test_a_command_line_comes_apart(line: list[str], values: dict[str, object], words: list[str]) -> None:
    assert parse(line, FLAGS) == Parsed(values, words)


@pytest.mark.parametrize(("line", "message", "step"), [
    (["--memry", "1g"], "There is no flag --memry.", "--memory"),
    (["--zzz"], "There is no flag --zzz.", "--help"),
    (["-x"], "There is no flag -x.", ""),
    (["--memory"], "--memory needs a value.", "--memory SIZE"),
    (["-c"], "-c needs a value.", "-c CODE"),
    (["--json=1"], "--json takes no value.", "--json"),
])
def test_a_wrong_flag_is_named_with_the_next_step(line: list[str], message: str, step: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, FLAGS)
    assert str(caught.value) == message
    assert step in caught.value.next_step


def test_typer_takes_every_flag_of_run_as_the_small_parser_does() -> None:
    """The help text and the parser must not drift apart, so Typer is made to parse what the parser parses."""
    import typer
    from typer.main import get_command

    from sandbox_interpreter.cli.options import accept, parameter

    seen: dict[str, object] = {}
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    def command(**values: object) -> None:
        seen.update(values)

    accept(command, [parameter(flag) for flag in run.FLAGS])
    app.command()(command)
    line = [part for flag in run.FLAGS for part in ((flag.spelling, "v") if flag.metavar else (flag.spelling,))]
    get_command(app).main(line, standalone_mode=False)
    assert seen == parse(line, run.FLAGS).values
