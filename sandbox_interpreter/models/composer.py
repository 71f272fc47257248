"""What is sent to a model of a conversation: as much of it as the model reads, in the form that it understands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import tool_calls
from sandbox_interpreter.models.context import fitted
from sandbox_interpreter.models.request import Entry, Form
from sandbox_interpreter.models.tokens import TokenCount, of_entries

_USUAL_ANSWER = 4096
"""Tokens that are kept free for an answer whose length nobody has limited, if they are not a quarter of the window."""
_MARGIN = 20
"""One part in so many of the window stays free: tokenizers differ from model to model by about as much."""


@dataclass(frozen=True)
class Composer:
    """Composes requests. ``window``: tokens that the model reads and writes together, None where nobody knows."""

    form: Form
    window: int | None
    max_tokens: int | None
    count: TokenCount

    def compose(self, messages: Sequence[Message], *, system: str) -> list[Entry]:
        """Return the messages of a request. Raises ModelUnavailable where not even the newest of them have room."""
        head = self.form.head(system)
        groups = list(self.form.groups(messages))
        if self.window is None:
            return [head, *(entry for group in groups for entry in group.entries)]
        room = self.window - self.window // _MARGIN - self._answer(self.window) - self.tokens([head])
        return [head, *fitted(groups, room, self.count, window=self.window)]

    def tokens(self, entries: Sequence[Entry]) -> int:
        """Return the tokens of a request of these messages, the description of the tool included."""
        tool = self.count(json.dumps(tool_calls.tool())) if self.form.tools else 0
        return tool + of_entries(entries, self.count)

    def _answer(self, window: int) -> int:
        return self.max_tokens or min(_USUAL_ANSWER, window // 4)
