"""The prompt on a terminal, with editing, history, completion and several lines: all of it prompt_toolkit's work.

Importing this takes some 90 ms, so it is imported where somebody is about to type.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import Completer
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import create_input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from sandbox_interpreter.terminal import keyboard, reflow
from sandbox_interpreter.terminal.editor import edit_text
from sandbox_interpreter.terminal.escape import mark
from sandbox_interpreter.terminal.past_prompts import PastPrompts
from sandbox_interpreter.terminal.triple_quotes import is_open

_PROMPT: StyleAndTextTuples = [("bold ansicyan", "> ")]
_CONTINUED, _WRAPPED = "| ", "  "
_MENU_ROWS = 8


class LineEditor:
    """Reads prompts from the terminal that stdin and stdout are.

    ``without_secrets`` is asked what may be kept of a prompt. ``when_shown`` is called once, when the first prompt is
    on the screen and waits.
    """

    def __init__(self, completer: Completer, without_secrets: Callable[[str], str], *,
                 when_shown: Callable[[], object] = lambda: None) -> None:
        self._input = create_input()
        self._keyboard = keyboard.Keyboard()
        self._session: PromptSession[str] = PromptSession(
            _PROMPT, multiline=True, prompt_continuation=_continuation, key_bindings=_keys(), completer=completer,
            complete_while_typing=False, reserve_space_for_menu=_MENU_ROWS, enable_suspend=True,
            history=_History(PastPrompts(), without_secrets), input_processors=[_Shown()],
            input=self._input, output=_output())
        self._when_shown: Callable[[], object] | None = when_shown
        self._session.app.after_render += self._shown
        reflow.follow(self._session.app)

    def read(self) -> str:
        """Return what was typed, in one or several lines. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""
        self._keyboard.mute()
        try:
            store_typeahead(self._input, _parsed(keyboard.take_typed_ahead()))
            return self._session.prompt(in_thread=_a_loop_runs())
        finally:
            # Keys that came with those of this prompt are for the next, unless a question drops them meanwhile.
            keyboard.keep_typed_ahead(_unparsed(get_typeahead(self._input)))
            self._keyboard.unmute()

    def _shown(self, _: object) -> None:
        call, self._when_shown = self._when_shown, None
        if call:
            call()


def _output() -> Output:
    output = create_output()
    if isinstance(output, Vt100_Output):
        # Otherwise every prompt asks the terminal for the place of its cursor. The answer is typed by the terminal,
        # and is a shell's to read, or a recording's, when the chat has ended meanwhile; some terminals never give it.
        output.enable_cpr = False
    return output


def _a_loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _continuation(_: int, __: int, wrapped: int) -> StyleAndTextTuples:
    return [("", _WRAPPED)] if wrapped else [("ansicyan", _CONTINUED)]


def _keys() -> KeyBindings:
    keys = KeyBindings()
    at_prompt = has_focus(DEFAULT_BUFFER)

    @keys.add("enter", filter=at_prompt)
    def enter(event: KeyPressEvent) -> None:
        _end_line(event, more=is_open(event.current_buffer.text))

    @keys.add("escape", "enter", filter=at_prompt)
    def the_other_way(event: KeyPressEvent) -> None:
        _end_line(event, more=not is_open(event.current_buffer.text))

    @keys.add("c-x", "c-e", filter=at_prompt)
    async def edit(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = await run_in_terminal(lambda: edit_text(buffer.text, "prompt.md", sys.stdout), in_executor=True)
        if text is not None:
            buffer.text = text.rstrip("\n")
            buffer.cursor_position = len(buffer.text)

    return keys


def _end_line(event: KeyPressEvent, *, more: bool) -> None:
    buffer = event.current_buffer
    if buffer.complete_state and buffer.complete_state.current_completion:
        buffer.complete_state = None  # what was chosen from the menu stands, and is read before it is sent
    elif more:
        buffer.newline(copy_margin=False)
    else:
        buffer.validate_and_handle()


def _parsed(text: str) -> list[KeyPress]:
    keys: list[KeyPress] = []
    parser = Vt100Parser(keys.append)
    parser.feed_and_flush(text)
    return keys


def _unparsed(keys: Iterable[KeyPress]) -> str:
    return "".join(f"\x1b[200~{key.data}\x1b[201~" if key.key == Keys.BracketedPaste else key.data for key in keys)


class _History(History):
    """What was typed before, here and in earlier sessions, without secrets."""

    def __init__(self, past: PastPrompts, without_secrets: Callable[[str], str]) -> None:
        super().__init__()
        self._past = past
        self._without_secrets = without_secrets

    def load_history_strings(self) -> Iterable[str]:
        """Yield what is kept, the newest first."""
        return self._past.newest_first()

    def store_string(self, string: str) -> None:
        """Keep one prompt."""
        self._past.add(self._without_secrets(string))


class _Shown(Processor):
    """Shows what would not be seen, or would reorder what is: the text itself stays as it is."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the same row with a visible character in the place of each that is none."""
        return Transformation([(fragment[0], mark(fragment[1])) for fragment in transformation_input.fragments])
