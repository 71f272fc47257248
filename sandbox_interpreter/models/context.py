"""Making a request fit into what a model can read.

The system message, the user's last message and the newest run always stay, shortened if they must be. From the newest
to the oldest, everything else follows as long as there is room, whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sandbox_interpreter.errors import ModelUnavailable
from sandbox_interpreter.models.request import Entry, Group, cut, note
from sandbox_interpreter.models.tokens import TokenCount, at_most, of_entry, pictures

LEAST_ROOM = 150
"""Tokens without which there is no conversation: a short question, its answer's call, and a note."""
_NOTE = "{} earlier messages are left out here, since the conversation is longer than you can read."
_NOTE_TOKENS = 40
_MARKER = 60
"""Characters of the marker that stands for what is cut out of a text."""
_MARKER_TOKENS = 20
_UNSEEN = "[a picture that there is no room for]"


def fitted(groups: Sequence[Group], room: int, count: TokenCount, *, window: int) -> list[Entry]:
    """Return the entries of as many groups as ``room`` tokens hold, in time that is linear in the groups.

    Nothing is counted where there is room for more than there can be. ``window``: all that the model reads, for the
    error: raises ModelUnavailable where there is no room to speak of.
    """
    if _cost(groups, at_most) <= room:
        return _entries(groups)
    if room < LEAST_ROOM:
        raise ModelUnavailable(f"The model reads {window} tokens. Beside the system message and room for an answer, "
                               f"{max(room, 0)} are left: too few for a conversation.",
                               next_step="Raise context_window, lower max_tokens, or shorten the system message.")
    kept = _indispensable(groups, room - _NOTE_TOKENS, count)
    room -= _NOTE_TOKENS + _cost(kept.values(), count)
    for at in range(len(groups) - 1, -1, -1):
        if at in kept:
            continue
        room -= _cost([groups[at]], count)
        if room < 0:
            break
        kept[at] = groups[at]
    else:
        return _entries(kept[at] for at in range(len(groups)))
    gap = Group([note(_NOTE.format(len(groups) - len(kept)))])
    before, behind = [i for i in sorted(kept) if i < at], [i for i in sorted(kept) if i > at]
    return _entries([*(kept[i] for i in before), gap, *(kept[i] for i in behind)])


def _indispensable(groups: Sequence[Group], room: int, count: TokenCount) -> dict[int, Group]:
    """Return what must stay, by its index, made to fit: the user's last message, and what is newest."""
    newest = len(groups) - 1
    prompt = next((at for at in range(newest, -1, -1) if groups[at].prompt), newest)
    # Where both are too long, each gets half.
    kept = {prompt: _shortened(groups[prompt], room if prompt == newest else room // 2, count)}
    if prompt != newest:
        kept[newest] = _shortened(groups[newest], room - _cost(kept.values(), count), count)
    return kept


def _entries(groups: Iterable[Group]) -> list[Entry]:
    return [entry for group in groups for entry in group.entries]


def _cost(groups: Iterable[Group], count: TokenCount) -> int:
    return sum(of_entry(entry, count) for entry in _entries(groups))


# --- shortening ---


def _shortened(group: Group, room: int, count: TokenCount) -> Group:
    """Return a group of at most ``room`` tokens: without its pictures if need be, then with its longest texts cut."""
    if _cost([group], count) <= room:
        return group
    group = Group([_without_pictures(entry) for entry in group.entries], group.prompt)
    # The longest text first; what is cut once is seldom as long as the next, so this ends after a few rounds.
    while (excess := _cost([group], count) - room) > 0:
        text = max(_texts(group), key=lambda each: len(each.value))
        if len(text.value) <= 2 * _MARKER:
            break
        has = count(text.value)
        # A tenth less than would do, since a token here is not as long as a token there.
        share = max(0.0, 0.9 * (has - excess - _MARKER_TOKENS) / has) if has else 0.0
        text.replace(cut(text.value, min(int(len(text.value) * share), len(text.value) - 2 * _MARKER)))
    return group


def _without_pictures(entry: Entry) -> Entry:
    """Return a copy of an entry that may be changed, with a line of text for each picture."""
    copy = json.loads(json.dumps(entry)) if "tool_calls" in entry else dict(entry)
    if pictures(entry):
        copy["content"] = "\n".join(part.get("text") or _UNSEEN for part in entry["content"])
    return copy


@dataclass(frozen=True)
class _Text:
    """A text inside an entry, and the place that it stands in."""

    value: str
    holder: Entry
    key: str

    def replace(self, text: str) -> None:
        """Put another text in its place; arguments of a call stay JSON."""
        if self.key == "code":
            arguments = json.loads(self.holder["arguments"])
            self.holder["arguments"] = json.dumps(arguments | {"code": text}, ensure_ascii=False)
        else:
            self.holder[self.key] = text


def _texts(group: Group) -> Iterator[_Text]:
    for entry in group.entries:
        yield _Text(entry["content"] or "", entry, "content")
        for call in entry.get("tool_calls", ()):
            function = call["function"]
            yield _Text(json.loads(function["arguments"])["code"], function, "code")
