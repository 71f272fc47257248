"""Values and pictures in every form they offer: MIME type to bytes, as notebooks have it."""

from __future__ import annotations

import builtins
import os
import sys

from .control import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Method, MIME type; the names are IPython's, and libraries implement them.
_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
)
MOST_BYTES = 32 * 1024 * 1024  # of all forms together; one that does not fit is left out
MOST_FORMS, MOST_NAME = 50, 100  # and characters of each one's type; all of them stand in one header


def forms(value: Any) -> dict[str, bytes]:
    """Return every form of ``value``; ``text/plain`` is always there."""
    parts = {"text/plain": encode(_plain(value))}
    bundle = _call(value, "_repr_mimebundle_")
    if isinstance(bundle, tuple):
        bundle = bundle[0]
    if isinstance(bundle, dict):
        parts |= {str(mime): encode(data) for mime, data in bundle.items() if data is not None}
    for method, mime in _METHODS:
        if mime not in parts and (data := _call(value, method)) is not None:
            parts[mime] = encode(data[0] if isinstance(data, tuple) else data)
    return parts


def _within_bounds(parts: dict[str, bytes]) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    left = MOST_BYTES
    for mime, data in parts.items():
        if len(data) <= left and len(mime) <= MOST_NAME and len(kept) < MOST_FORMS:
            kept[mime] = data
            left -= len(data)
    return kept


def _plain(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _call(value: Any, method: str) -> Any:
    # Looked up on the type: a mock or a proxy answers every attribute name, a class is not its instances.
    if isinstance(value, type) or not hasattr(type(value), method):
        return None
    try:
        return getattr(value, method)()
    except Exception:
        return None  # one broken form must not hide the others


def encode(data: Any) -> bytes:
    """Return one form as bytes: text as UTF-8, anything that is neither text nor bytes as JSON."""
    if isinstance(data, bytes):
        return data
    if not isinstance(data, str):
        import json

        data = json.dumps(data, default=repr)
    return str(data).encode("utf-8", "replace")


class Displayer:
    """Shows values, pictures and figures to whoever runs the cell."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def install(self, namespace: dict[str, Any]) -> None:
        """Give the program ``display``, and figures when it loads matplotlib."""
        setattr(builtins, "display", self.display)  # noqa: B010  # builtins has no such attribute to check against
        namespace["_"] = None
        sys.meta_path.insert(0, _FigureHook(self))

    def display(self, *values: Any, **_: Any) -> None:
        """Show values now."""
        for value in values:
            self.show(forms(value))

    def show(self, parts: dict[str, bytes], *, result: bool = False) -> None:
        """Send one display; what was printed before it goes first."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._control.send_display(_within_bounds(parts), result=result)

    def show_result(self, value: Any, namespace: dict[str, Any]) -> None:
        """Show the value of a cell's last expression, unless it is None, and keep it as ``_``."""
        if value is not None:
            namespace["_"] = value
            self.show(forms(value), result=True)

    def flush_figures(self) -> None:
        """Show the figures that a cell drew and did not show."""
        if "matplotlib.pyplot" in sys.modules and "sbi_figures" in sys.modules:
            sys.modules["sbi_figures"].show()


class _FigureHook:
    """Makes matplotlib, when it is imported, draw through the module ``sbi_figures``."""

    def __init__(self, displayer: Displayer) -> None:
        self._displayer = displayer

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return matplotlib's own spec, with a loader that chooses the backend once it is loaded."""
        if name != "matplotlib":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            sys.meta_path.remove(self)
            _after_exec(spec.loader, self._choose)
        return spec

    def _choose(self, module: ModuleType) -> None:
        from . import figures

        figures.deliver = self._displayer.show
        sys.modules["sbi_figures"] = figures
        if os.environ.get("MPLBACKEND", "agg").lower() == "agg":
            module.rcParams["backend"] = "module://sbi_figures"


def _after_exec(loader: Any, then: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        then(module)

    loader.exec_module = exec_module
