"""Makes text from a container or a model safe to put on a terminal, without losing what it says.

Only colour and style sequences (SGR, ECMA-48 8.3.117) survive. Every other control character is replaced by a
character that shows it: ``ESC ] 52 ; …`` becomes ``␛]52;…``. Since the introducer is gone, the rest of a
sequence is ordinary text, so no sequence can be left unterminated and nothing has to be parsed but SGR.
"""

from __future__ import annotations

import codecs
import re

RESET = "\x1b[0m"

_SGR_PARAMETERS = 64
"""Characters of parameters that a style sequence may have; the longest useful one, two colours in full, has 44."""

_HARMFUL = (
    "\x00-\x08\x0b\x0c\x0e-\x1f"  # C0, without tab, newline and carriage return
    "\x7f-\x9f"  # DEL, and C1: once decoded, the 8-bit forms of CSI, OSC, DCS
    "\u2028\u2029"  # line and paragraph separators: a new line to some languages, nothing on a screen
    "\u202a-\u202e\u2066-\u2069"  # bidirectional embeddings, overrides and isolates (CVE-2021-42574)
    "\ud800-\udfff"  # lone surrogates, which no output stream can encode
)
_SGR = f"\x1b\\[[0-9;:]{{0,{_SGR_PARAMETERS}}}m"
_SPECIAL = re.compile(f"{_SGR}|[{_HARMFUL}]")
_HIDDEN = re.compile(f"[{_HARMFUL}\r]")
_BEGINNING = re.compile(f"\x1b(?:\\[[0-9;:]{{0,{_SGR_PARAMETERS}}})?\\Z")
_CLEARING = re.compile(r"\x1b\[[0;:]*m")
STYLE = re.compile(_SGR)
"""One style sequence, in text that a filter has passed."""


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # the Control Pictures block mirrors C0
    if code == 0x7F:
        return "␡"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"⟨U+{code:04X}⟩"


def reveal(text: str) -> str:
    """Return ``text`` with every control character shown, styles and carriage returns too.

    For text that has no business to style itself: prose, code that waits for approval, names.
    """
    return _HIDDEN.sub(_picture, text)


def mark(text: str) -> str:
    """Return the same with one character in the place of each, for who has to find every character again."""
    return _HIDDEN.sub(lambda match: picture if len(picture := _picture(match)) == 1 else "\ufffd", text)


def clears(style: str) -> bool:
    """Tell whether a style sequence does nothing but return to the terminal's default style."""
    return _CLEARING.fullmatch(style) is not None


def utf8_decoder() -> codecs.IncrementalDecoder:
    """Return a decoder for a byte stream that is split anywhere; what is not UTF-8 becomes U+FFFD.

    Call ``decode(data)`` for each piece and ``decode(b"", final=True)`` after the last one.
    """
    return codecs.getincrementaldecoder("utf-8")("replace")


class Filter:
    """A streaming filter for one stream of output; pieces may be split between any two characters.

    With ``colour=False`` style sequences are left out instead of kept, for places that are no terminal.
    """

    def __init__(self, *, colour: bool = True) -> None:
        self._colour = colour
        self._held = ""
        self._styled = False

    def feed(self, text: str) -> str:
        """Return what is safe to write now; at most the 66 characters of a style sequence's beginning are held back."""
        text = self._held + text
        start = text.rfind("\x1b", max(0, len(text) - _SGR_PARAMETERS - 2))
        held = start >= 0 and _BEGINNING.match(text, start) is not None
        self._held = text[start:] if held else ""
        return _SPECIAL.sub(self._replace, text[:start] if held else text)

    def close(self) -> str:
        """Return what was held back, shown, and a reset if a style is still on. The filter is as new then."""
        rest = _HIDDEN.sub(_picture, self._held) + (RESET if self._styled else "")
        self._held, self._styled = "", False
        return rest

    def _replace(self, match: re.Match[str]) -> str:
        if len(match[0]) == 1:
            return _picture(match)
        self._styled = self._colour and not clears(match[0])
        return match[0] if self._colour else ""
