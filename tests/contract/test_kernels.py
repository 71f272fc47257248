"""What every stateful kernel must do, for each language that has one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.languages import LANGUAGES
from sandbox_interpreter.sandbox.outputs import Display, InputRequest, Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.dialects import DIALECTS, Dialect, those_with
from tests.support.runs import Run, finish, run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each language that has what a test's ``@needs`` names; without one, every language."""
    if "dialect" in metafunc.fixturenames:
        needs = metafunc.definition.get_closest_marker("needs")
        metafunc.parametrize("dialect", those_with(needs.args[0]) if needs else DIALECTS, ids=str)


needs = pytest.mark.needs

MOMENTS, SPREAD = 200, 0.003
"""So many interrupts are spread over the first milliseconds of a cell: it begins, runs and ends within them."""


@pytest.fixture
def box(engine: DockerEngine, dialect: Dialect) -> Iterator[Sandbox]:
    """Give a sandbox of the dialect's image, with a short grace."""
    with Sandbox(dialect.image, engine=engine, policy=Policy(grace=0.5)) as sandbox:
        yield sandbox


def said(done: Run) -> str:
    """Return what a run printed, and the values it showed."""
    return done.stdout + "".join(done.values)


def spin(seconds: float) -> None:
    """Return after ``seconds``, which no sleep would keep to the microsecond."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def knows_its_value(box: Sandbox, dialect: Dialect) -> bool:
    return said(run(box, dialect.language, dialect.show)) == dialect.shown


def test_every_language_with_a_kernel_stands_in_this_contract() -> None:
    with_kernel = {language.name for language in LANGUAGES if language.kernel or language.is_built_in}
    assert with_kernel - {dialect.language for dialect in DIALECTS} == {"html"}  # a page keeps nothing for the next


def test_state_is_kept_from_cell_to_cell(box: Sandbox, dialect: Dialect) -> None:
    assert run(box, dialect.language, dialect.assign).result.exit_code == 0
    assert knows_its_value(box, dialect)


@needs("value")
def test_the_last_value_is_shown_as_the_result(box: Sandbox, dialect: Dialect) -> None:
    (shown,) = [each for each in run(box, dialect.language, dialect.value).outputs if isinstance(each, Display)]
    assert shown.result
    assert b"42" in shown.data["text/plain"]


@needs("both_streams")
def test_stdout_and_stderr_come_apart(box: Sandbox, dialect: Dialect) -> None:
    done = run(box, dialect.language, dialect.both_streams)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


@needs("slow")
def test_output_comes_while_it_is_written(box: Sandbox, dialect: Dialect) -> None:
    arrivals = []
    for output in box.execute(dialect.language, dialect.slow):
        assert isinstance(output, Stream)
        arrivals.append((output.data, time.monotonic()))
    assert b"".join(data for data, _ in arrivals) == b"012"
    assert arrivals[-1][1] - arrivals[0][1] > 0.4


@needs("letters")
def test_characters_of_many_bytes_arrive_whole_wherever_they_are_split(box: Sandbox, dialect: Dialect) -> None:
    assert run(box, dialect.language, dialect.letters).stdout == "aéあ😀" * 100_000 + "\n"


def test_a_failure_names_the_users_own_line(box: Sandbox, dialect: Dialect) -> None:
    done = run(box, dialect.language, dialect.fail_on_line_2)
    assert done.result.exit_code != 0
    text = done.stderr if dialect.language == "shell" else done.failure.traceback
    assert dialect.line_2 in text
    assert "nosuch" in text
    assert "sbi_agent" not in text


def test_an_interrupt_ends_the_cell_and_keeps_the_state(box: Sandbox, dialect: Dialect) -> None:
    run(box, dialect.language, dialect.assign)
    execution = box.execute(dialect.language, dialect.endless)
    time.sleep(0.3)
    execution.interrupt()
    done = finish(execution)
    assert (done.result.exit_code, done.result.interrupted) == (130, True)
    assert knows_its_value(box, dialect)


def test_an_interrupt_that_comes_at_once_is_not_lost(box: Sandbox, dialect: Dialect) -> None:
    run(box, dialect.language, dialect.assign)
    for _ in range(5):
        execution = box.execute(dialect.language, dialect.endless)
        execution.interrupt()
        assert finish(execution).result.exit_code == 130
    assert knows_its_value(box, dialect)


@pytest.mark.parametrize("program", ["endless", "waiting", "many"])
def test_an_interrupt_in_any_moment_of_a_cell_keeps_the_state_and_spares_the_next(
        engine: DockerEngine, dialect: Dialect, program: str) -> None:
    code = getattr(dialect, program)
    # A long grace: a machine that is busy must not be taken for a kernel that does not hear.
    with Sandbox(dialect.image, engine=engine, policy=Policy(grace=30)) as box:
        run(box, dialect.language, dialect.assign)
        for at in range(MOMENTS if code else 0):
            execution = box.execute(dialect.language, code)
            spin(at * SPREAD / MOMENTS)
            execution.interrupt()
            assert finish(execution).result.exit_code in ((0, 130) if program == "many" else (130,))
            shown = run(box, dialect.language, dialect.show)
            assert (shown.result.exit_code, said(shown)) == (0, dialect.shown)


def test_a_timeout_ends_the_cell_and_keeps_the_state(box: Sandbox, dialect: Dialect) -> None:
    run(box, dialect.language, dialect.assign)
    done = run(box, dialect.language, dialect.endless, timeout=0.3)
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert knows_its_value(box, dialect)


@needs("deaf")
def test_a_program_deaf_to_signals_is_killed_and_the_next_cell_runs(box: Sandbox, dialect: Dialect) -> None:
    done = run(box, dialect.language, dialect.deaf, timeout=0.3)
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert "time limit" in done.failure.value
    run(box, dialect.language, dialect.assign)
    assert knows_its_value(box, dialect)


@needs("leave_with_7")
def test_a_kernel_that_leaves_says_so_and_the_next_cell_gets_a_new_one(box: Sandbox, dialect: Dialect) -> None:
    run(box, dialect.language, dialect.assign)
    done = run(box, dialect.language, dialect.leave_with_7)
    assert done.result.exit_code == 7
    assert "exited with code 7" in done.failure.value
    assert not knows_its_value(box, dialect)


@needs("crash")
def test_a_kernel_that_crashes_says_so_and_the_next_cell_gets_a_new_one(box: Sandbox, dialect: Dialect) -> None:
    run(box, dialect.language, dialect.assign)
    done = run(box, dialect.language, dialect.crash)
    assert done.result.exit_code == 128 + 11
    assert "signal 11" in done.failure.value
    assert not knows_its_value(box, dialect)


@needs("background")
def test_a_background_child_that_keeps_stdout_open_delays_nothing(box: Sandbox, dialect: Dialect) -> None:
    begun = time.monotonic()
    done = run(box, dialect.language, dialect.background)
    assert done.stdout.endswith("now\n")
    assert time.monotonic() - begun < 10


@needs("flood")
def test_a_flood_arrives_whole(box: Sandbox, dialect: Dialect) -> None:
    size = sum(len(each.data) for each in box.execute(dialect.language, dialect.flood) if isinstance(each, Stream))
    assert size == 20 * 1024 * 1024


@needs("flood")
def test_a_slow_reader_holds_the_program_back_and_can_still_interrupt_it(box: Sandbox, dialect: Dialect) -> None:
    execution = box.execute(dialect.language, dialect.flood)
    next(iter(execution))
    time.sleep(0.3)
    begun = time.monotonic()
    execution.close()
    assert time.monotonic() - begun < 5
    run(box, dialect.language, dialect.assign)
    assert knows_its_value(box, dialect)


@needs("question")
def test_a_program_that_asks_gets_the_answer(box: Sandbox, dialect: Dialect) -> None:
    execution = box.execute(dialect.language, dialect.question, stdin="ask")
    asked = ""
    for output in execution:
        if isinstance(output, InputRequest):
            asked += output.prompt
            break
        assert isinstance(output, Stream)  # some languages print the question, and then read
        asked += output.data.decode()
    assert asked == "name? "
    execution.reply("Ada é")
    assert finish(execution).stdout == "hello Ada é\n"


@needs("question")
def test_a_program_that_asks_nobody_fails(box: Sandbox, dialect: Dialect) -> None:
    done = run(box, dialect.language, dialect.question)
    assert done.result.exit_code == 1
    assert "no one to answer" in done.failure.value


@needs("picture")
def test_a_picture_arrives_as_it_was_drawn(box: Sandbox, dialect: Dialect) -> None:
    (shown,) = [each for each in run(box, dialect.language, dialect.picture).outputs if isinstance(each, Display)]
    assert shown.data["image/png"].startswith(b"\x89PNG\r\n")
