"""A conversation as a Jupyter notebook (nbformat 4.5) that can be run again: what ran is a cell with its outputs.

Python is what the notebook's kernel runs, and shell a cell for bash. Code in other languages, and blocks that were
never run, are shown as text: running the notebook runs nothing that was declined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox_interpreter.exports.blocks import Run, parts
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.request import fenced
from sandbox_interpreter.pictures import from_base64

_FIRST_LINES = {"python": "", "shell": "%%bash --no-raise-error\n"}
"""What stands before the code of each language that the notebook can run."""
_FAILURE = re.compile(r"^Traceback \(most recent call last\):|^\w+(Error|Exception|Interrupt|Exit)(: .*)?\s*\Z",
                      re.MULTILINE)


def notebook(messages: Sequence[Message]) -> bytes:
    """Return the notebook's file."""
    cells: list[dict[str, Any]] = []
    for part in parts(messages):
        for cell in _cells(part):
            cells.append({"id": f"cell-{len(cells) + 1}", **cell})
    executed = [cell for cell in cells if cell["cell_type"] == "code"]
    for number, cell in enumerate(executed, 1):
        cell["execution_count"] = number
    document = {
        "cells": cells,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5}
    # Lone halves of characters are replaced: Jupyter refuses a file with them.
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


def _cells(part: Message | Run) -> Iterator[dict[str, Any]]:
    if not isinstance(part, Run):
        yield from _said(part)
    elif part.happened and part.language in _FIRST_LINES:
        yield _code(part)
    else:
        yield _markdown(fenced(part.code["content"].rstrip("\n"), part.language))
        for output in part.outputs:
            yield from _said(output)


def _said(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the cells of a message that stands by itself; a picture is an output of a cell without code."""
    if message["type"] == "image":
        if picture := _picture(message):
            yield {"cell_type": "code", "metadata": {}, "source": "", "outputs": [picture]}
    elif message["type"] == "console":
        yield _markdown(fenced(message["content"].rstrip("\n"), "text"))
    elif message["role"] == "user":
        yield _markdown("\n".join(f"> {line}" for line in message["content"].splitlines()))
    elif message["content"].strip():
        yield _markdown(message["content"])


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(run: Run) -> dict[str, Any]:
    printed = "".join(each["content"] for each in run.outputs if each["type"] == "console")
    # A cell that failed may fail again, without ending the whole.
    metadata = {"tags": ["raises-exception"]} if _FAILURE.search(printed) else {}
    return {"cell_type": "code", "metadata": metadata, "source": _FIRST_LINES[run.language] + run.code["content"],
            "outputs": [output for each in run.outputs if (output := _output(each))]}


def _output(message: Message) -> dict[str, Any] | None:
    if message["type"] == "image":
        return _picture(message)
    return {"output_type": "stream", "name": "stdout", "text": message["content"]} if message["content"] else None


def _picture(message: Message) -> dict[str, Any] | None:
    picture = from_base64(message["content"])
    if picture is None:
        return None
    data = picture.data.decode("utf-8", "replace") if picture.suffix == ".svg" else message["content"]
    return {"output_type": "display_data", "metadata": {}, "data": {f"image/{picture.kind}": data}}
