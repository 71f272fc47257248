from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.conversation import Conversation
from sandbox_interpreter.errors import EngineUnreachable, ModelUnavailable
from sandbox_interpreter.messages import Chunk, CodeBlock, Message, fold
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent, TextDelta
from tests.support.fakes import ReplayModel, ReplayRunner, block, text

USER: Message = {"role": "user", "type": "message", "content": "Go."}


def yes(_: CodeBlock) -> Approval:
    return Approval(run=True)


def no(_: CodeBlock) -> Approval:
    return Approval(run=False)


def conversation(*answers: Sequence[ModelEvent | BaseException], runner: ReplayRunner | None = None,
                 approve: Callable[[CodeBlock], Approval] | None = yes, auto_run: bool = False) -> Conversation:
    return Conversation([USER.copy()], ReplayModel(list(answers)), runner or ReplayRunner(), system="Be brief.",
                        approve=approve, auto_run=auto_run)


def model_of(talk: Conversation) -> ReplayModel:
    assert isinstance(talk.model, ReplayModel)
    return talk.model


def runner_of(talk: Conversation) -> ReplayRunner:
    assert isinstance(talk.runner, ReplayRunner)
    return talk.runner


def shape(messages: Sequence[Message]) -> list[tuple[str, str, str]]:
    return [(message["role"], message["type"], message["content"]) for message in messages]


def kinds(chunks: Sequence[Chunk]) -> list[str]:
    """Return the blocks that the chunks are, checking that each opens and closes once with none between."""
    seen: list[str] = []
    current = None
    for chunk in chunks:
        head = (chunk["role"], chunk["type"], chunk.get("format"))
        if chunk["type"] == "confirmation":
            assert current is None
            seen.append("confirmation")
        elif chunk.get("format") == "active_line":
            continue
        elif chunk.get("start"):
            assert current is None
            current = head
            seen.append(chunk["type"])
        else:
            assert current == head
            current = None if chunk.get("end") else current
    assert current is None
    return seen


# --- query, approve, execute, observe ---


def test_prose_ends_the_turn() -> None:
    talk = conversation(text("Hello."))
    chunks = list(talk.respond())
    assert kinds(chunks) == ["message"]
    assert shape(talk.messages) == [("user", "message", "Go."), ("assistant", "message", "Hello.")]
    assert model_of(talk).systems == ["Be brief."]


def test_an_empty_answer_is_told_and_behind_a_run_it_just_ends_the_turn() -> None:
    talk = conversation([])
    assert fold(talk.respond())[-1]["content"] == "The model answered nothing."
    talk = conversation(block("1"), [])
    assert fold(talk.respond())[-1]["type"] == "console"


def test_code_runs_and_its_output_goes_back_to_the_model() -> None:
    talk = conversation([*text("I run."), *block("1+1")], text("Done."))
    chunks = list(talk.respond())
    assert kinds(chunks) == ["message", "code", "confirmation", "console", "message"]
    assert runner_of(talk).ran == [("python", "1+1")]
    assert shape(talk.messages)[1:] == [
        ("assistant", "message", "I run."), ("assistant", "code", "1+1"), ("computer", "console", "ran 1+1\n"),
        ("assistant", "message", "Done.")]
    assert model_of(talk).asked[1] == talk.messages[:-1]
    assert fold(chunks) == talk.messages[1:]


def test_the_confirmation_holds_the_block_and_comes_before_the_question() -> None:
    asked: list[CodeBlock] = []

    def remember(code: CodeBlock) -> Approval:
        asked.append(code)
        return Approval(run=True)

    talk = conversation(block("ls", "bash"), text("Done."), approve=remember)
    confirmations = [(chunk, len(asked)) for chunk in talk.respond() if chunk["type"] == "confirmation"]
    assert confirmations == [({"role": "computer", "type": "confirmation", "format": "execution",
                               "content": {"type": "code", "format": "shell", "content": "ls"}}, 0)]
    assert asked == [CodeBlock("shell", "ls")]


def test_auto_run_asks_nobody() -> None:
    talk = conversation(block("1"), text("Done."), approve=no, auto_run=True)
    assert "confirmation" not in kinds(list(talk.respond()))
    assert runner_of(talk).ran == [("python", "1")]


def test_two_blocks_of_one_answer_each_run_before_the_next_is_shown() -> None:
    talk = conversation([*block("1"), *block("2"), *text("Both.")], text("Done."))
    assert kinds(list(talk.respond())) == ["code", "confirmation", "console", "code", "confirmation", "console",
                                           "message", "message"]
    assert [code for _, code in runner_of(talk).ran] == ["1", "2"]
    assert len(model_of(talk).asked) == 2


def test_code_that_prints_nothing_stores_an_empty_output() -> None:
    talk = conversation(block("x = 1"), text("Done."), runner=ReplayRunner(lambda _: ([], 0)))
    assert kinds(list(talk.respond())) == ["code", "confirmation", "console", "message"]
    assert ("computer", "console", "") in shape(talk.messages)


def test_output_comes_piece_by_piece() -> None:
    talk = conversation(block("x"), text("Done."), runner=ReplayRunner(lambda _: (["a", "b"], 0)))
    assert [chunk["content"] for chunk in talk.respond()
            if chunk["type"] == "console" and "content" in chunk] == ["a", 1, "b", 2]


# --- what is not run ---


def test_a_declined_block_is_told_to_the_model() -> None:
    talk = conversation(block("1"), text("As you like."), approve=no)
    list(talk.respond())
    assert runner_of(talk).ran == []
    assert model_of(talk).asked[1][-1]["content"] == "[not run: the user declined it]\n"
    assert talk.messages[-1]["content"] == "As you like."


def test_with_nobody_to_ask_nothing_runs_and_both_sides_are_told() -> None:
    talk = conversation(block("1"), text("Then not."), approve=None)
    chunks = list(talk.respond())
    assert runner_of(talk).ran == []
    assert not talk.may_run
    assert "nobody to ask" in model_of(talk).asked[1][-1]["content"]
    assert any("nobody to ask" in str(chunk.get("content")) for chunk in chunks)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, EOFError])
def test_leaving_the_question_means_no_and_ends_the_turn(reason: type[BaseException]) -> None:
    def leave(_: CodeBlock) -> Approval:
        raise reason

    talk = conversation(block("1"), approve=leave)
    list(talk.respond())
    assert runner_of(talk).ran == []
    assert shape(talk.messages)[-2:] == [("computer", "console", "[not run: the user declined it]\n"),
                                         ("computer", "message", "Stopped at the question.")]


def test_edited_code_runs_as_the_users_own() -> None:
    talk = conversation(block("rm x"), text("Done."), approve=lambda _: Approval(run=True, code="ls x"))
    chunks = list(talk.respond())
    assert runner_of(talk).ran == [("python", "ls x")]
    assert shape(talk.messages)[1:5] == [
        ("assistant", "code", "rm x"), ("computer", "console", "[not run: the user changed it, to what follows]\n"),
        ("user", "code", "ls x"), ("computer", "console", "ran ls x\n")]
    assert fold(chunks) == talk.messages[1:]


def test_code_that_was_opened_and_not_changed_runs_as_it_is() -> None:
    talk = conversation(block("ls"), text("Done."), approve=lambda code: Approval(run=True, code=code.code))
    list(talk.respond())
    assert [message["role"] for message in talk.messages] == ["user", "assistant", "computer", "assistant"]


def test_an_unknown_language_is_told_to_the_model_and_the_loop_goes_on() -> None:
    talk = conversation(block("x", "pyhton"), block("x", "PY"), text("Done."))
    list(talk.respond())
    assert runner_of(talk).ran == [("python", "x")]
    told = model_of(talk).asked[1]
    assert told[-2]["format"] == "pyhton"
    assert "Unknown language 'pyhton'" in told[-1]["content"]
    assert "Did you mean 'python'" in told[-1]["content"]


@pytest.mark.parametrize("code", ["", " \n"])
def test_an_empty_block_is_not_run(code: str) -> None:
    talk = conversation([CodeDelta("python", code), CodeEnd()], text("Oh."))
    list(talk.respond())
    assert runner_of(talk).ran == []
    assert "empty" in model_of(talk).asked[1][-1]["content"]


# --- when the loop stops ---


def test_the_same_block_failing_three_times_stops_the_loop() -> None:
    talk = conversation(*[block("1/0")] * 9, runner=ReplayRunner(lambda _: (["ZeroDivisionError\n"], 1)))
    assert kinds(list(talk.respond()))[-1] == "message"
    assert len(runner_of(talk).ran) == 3
    assert shape(talk.messages)[-1] == ("computer", "message", "Stopped: the same block failed 3 times in a row.")


def test_the_same_block_succeeding_goes_on() -> None:
    talk = conversation(*[block("poll()")] * 5, text("Done."))
    list(talk.respond())
    assert len(runner_of(talk).ran) == 5


def test_another_block_between_starts_the_count_again() -> None:
    answers = [block("1/0"), block("1/0"), block("2/0"), block("1/0"), block("1/0"), text("I give up.")]
    talk = conversation(*answers, runner=ReplayRunner(lambda _: (["error\n"], 1)))
    list(talk.respond())
    assert talk.messages[-1]["content"] == "I give up."


def test_three_blocks_in_a_row_that_are_not_run_stop_the_loop() -> None:
    talk = conversation(*[block(str(number)) for number in range(9)], approve=None)
    list(talk.respond())
    assert len(model_of(talk).asked) == 3
    assert talk.messages[-1]["content"] == "Stopped: 3 blocks in a row were not run."


# --- what breaks ---


def test_an_answer_that_begins_again_says_so() -> None:
    talk = conversation([*text("Hel"), BrokenOff("The connection broke.", again=True), *text("Hello.")])
    assert kinds(list(talk.respond())) == ["message", "message", "message"]
    assert shape(talk.messages)[1:] == [
        ("assistant", "message", "Hel"), ("computer", "message", "The connection broke."),
        ("assistant", "message", "Hello.")]
    assert len(model_of(talk).asked) == 1


def test_a_block_that_is_not_whole_is_never_run() -> None:
    half = [CodeDelta("python", "rm("), BrokenOff("It broke.", again=True), *text("Sorry.")]
    talk = conversation(half)
    list(talk.respond())
    assert runner_of(talk).ran == []
    assert shape(talk.messages)[2:] == [("computer", "console", "[not run: it is not whole. It broke.]\n"),
                                        ("assistant", "message", "Sorry.")]


def test_a_model_is_told_of_the_block_that_reached_the_limit() -> None:
    talk = conversation([CodeDelta("python", "x" * 9), BrokenOff("Too long.", again=False)], text("Shorter."))
    list(talk.respond())
    assert model_of(talk).asked[1][-1]["content"] == "[not run: it is not whole. Too long.]\n"


def test_prose_that_reaches_the_limit_ends_the_turn_with_a_notice() -> None:
    talk = conversation([*text("And so"), BrokenOff("Too long.", again=False)])
    list(talk.respond())
    assert shape(talk.messages)[-1] == ("computer", "message", "Too long.")


@pytest.mark.parametrize("begun", [[], text("Hel"), [CodeDelta("python", "x")]])
def test_a_model_error_keeps_what_came_and_closes_what_is_open(begun: list[ModelEvent]) -> None:
    talk = conversation([*begun, ModelUnavailable("It is down.")], text("Hello."))
    chunks: list[Chunk] = []
    with pytest.raises(ModelUnavailable):  # noqa: PT012  # what came before the error is asserted below
        for chunk in talk.respond():
            chunks.append(chunk)  # noqa: PERF402  # extend would lose them
    kinds(chunks)
    assert talk.messages[0] == USER
    assert fold(chunks) == talk.messages[1:]
    list(talk.respond())
    assert talk.messages[-1]["content"] == "Hello."


def test_an_error_of_the_engine_is_raised_with_the_conversation_intact() -> None:
    def unreachable(_: str) -> tuple[list[str], int]:
        raise EngineUnreachable("No engine answers.")

    talk = conversation([*text("I run."), *block("1")], runner=ReplayRunner(unreachable))
    with pytest.raises(EngineUnreachable):
        list(talk.respond())
    assert shape(talk.messages)[1:] == [("assistant", "message", "I run."), ("assistant", "code", "1")]


def test_ctrl_c_in_an_answer_keeps_what_came() -> None:
    talk = conversation([*text("Hel"), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        list(talk.respond())
    assert shape(talk.messages)[1:] == [("assistant", "message", "Hel")]


def test_abandoning_a_run_interrupts_it_and_keeps_what_it_said() -> None:
    talk = conversation(block("loop()"), runner=ReplayRunner(lambda _: (["one\n", "two\n"], 0)))
    chunks = talk.respond()
    next(chunk for chunk in chunks if chunk.get("content") == "one\n")
    chunks.close()
    assert runner_of(talk).interrupted == 1
    assert shape(talk.messages)[1:] == [("assistant", "code", "loop()"), ("computer", "console", "one\n")]


def test_abandoning_an_answer_hangs_up() -> None:
    talk = conversation([TextDelta("Hel"), TextDelta("lo")])
    chunks = talk.respond()
    next(chunk for chunk in chunks if "content" in chunk)
    chunks.close()
    assert model_of(talk).hung_up == 1
    assert talk.messages[-1]["content"] == "Hel"


def test_a_flood_of_output_is_stored_in_time_that_grows_with_it() -> None:
    piece = "x" * 16384
    talk = conversation(block("flood()"), text("Done."), runner=ReplayRunner(lambda _: ([piece] * 2000, 0)))
    started = time.process_time()  # others on this machine are no reason to fail
    list(talk.respond())
    assert time.process_time() - started < 5  # 0.1 s; half a minute where each piece copies all before it
    assert len(talk.messages[2]["content"]) == 2000 * len(piece)
