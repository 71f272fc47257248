"""IPython on the kernel's own namespace; loaded only when a cell needs it, since its import takes half a second."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from .display import encode

if TYPE_CHECKING:
    from .display import Displayer

_SYNTAX = re.compile(r"^\s*(?:[%!?]|[\w, ]+=\s*[%!])|\?\s*$", re.MULTILINE)


def looks_like_ipython(source: str) -> bool:
    """Tell whether source that is not Python has a line that IPython would understand (``!``, ``%``, ``?``)."""
    return bool(_SYNTAX.search(source))


class Shell:
    """An IPython shell whose namespace is the kernel's, and whose displays and errors go the kernel's way.

    Raises ImportError where the image has no IPython.
    """

    def __init__(self, namespace: dict[str, Any], displayer: Displayer) -> None:
        try:
            from IPython.core.interactiveshell import InteractiveShell
        except ImportError:
            raise ImportError("this cell uses IPython syntax (! or %), and the image has no IPython") from None
        InteractiveShell.displayhook_class, InteractiveShell.display_pub_class = _outlets(displayer)
        # Not IPython's own system: it runs commands on a pseudo-terminal, which turns every newline into two bytes.
        InteractiveShell.system = InteractiveShell.system_raw
        InteractiveShell.showtraceback = InteractiveShell.showsyntaxerror = _show_nothing
        self._shell = InteractiveShell.instance(user_ns=namespace, colors="nocolor")
        self._shell.history_manager.enabled = False
        self._name = ""
        self._shell.compile.get_code_name = lambda *_: self._name

    def run(self, source: str, name: str) -> None:
        """Run a cell under the file name ``name``. Raises what the cell raises."""
        self._name = name
        result = self._shell.run_cell(source, store_history=True)
        if error := result.error_before_exec or result.error_in_exec:
            raise error


def _show_nothing(*_: Any, **__: Any) -> None:
    """Leave a cell's error to the kernel, which reports it as it does every other."""


def _outlets(displayer: Displayer) -> tuple[type, type]:
    """Return the classes through which IPython shows results and displays."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher

    class Hook(DisplayHook):  # type: ignore[misc]  # its base is unknown on the host
        def write_output_prompt(self) -> None:
            """Write none: a cell here has no number to show."""

        def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:  # noqa: ARG002  # IPython's
            displayer.show(_as_bytes(format_dict), result=True)

    class Publisher(DisplayPublisher):  # type: ignore[misc]  # its base is unknown on the host
        def publish(self, data: dict[str, Any], *_: Any, **__: Any) -> None:
            displayer.show(_as_bytes(data))

    return Hook, Publisher


def _as_bytes(data: dict[str, Any]) -> dict[str, bytes]:
    return {mime: _form(mime, value) for mime, value in data.items()}


def _form(mime: str, value: Any) -> bytes:
    """Return one form as bytes; IPython gives pictures other than SVG as base64 text."""
    if mime.startswith("image/") and mime != "image/svg+xml" and isinstance(value, str):
        return base64.b64decode(value)
    return encode(value)
