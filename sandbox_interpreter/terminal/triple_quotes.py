'''Prompts of several lines: between """ and """, as many programs of this kind take them.

Where the opening mark has text behind it on its line, the next mark closes. Where it stands alone, marks inside are
taken to come in pairs, as in Python, and the one that ends a line after all pairs closes.
'''

from __future__ import annotations

MARK = '"""'


def is_open(text: str) -> bool:
    """Tell whether ``text`` begins with a mark that nothing closes yet, so that more lines are to come."""
    body = text.strip()
    if not body.startswith(MARK):
        return False
    if body.partition("\n")[0].strip() == MARK:
        return body == MARK or not body.endswith(MARK) or body.count(MARK) % 2 == 1
    return body.count(MARK) == 1


def unquoted(text: str) -> str:
    """Return what stands between the marks, if they are around all of ``text``; else ``text``, without blanks around.

    Blanks at the beginning of lines stay: code keeps its form.
    """
    body = text.strip()
    alone = body.partition("\n")[0].strip() == MARK
    is_quoted = body.startswith(MARK) and body.endswith(MARK) and len(body) >= 2 * len(MARK)
    if not is_quoted or is_open(body) or (body.count(MARK) != 2 and not alone):
        return body
    return body[len(MARK):-len(MARK)].strip("\n").rstrip()
