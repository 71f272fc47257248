"""A matplotlib backend whose ``show`` sends every open figure as a PNG; loaded only with matplotlib."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from matplotlib.backend_bases import FigureManagerBase  # type: ignore[import-not-found]  # exists in the container
from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found]  # the same

if TYPE_CHECKING:
    from collections.abc import Callable

FigureManager = FigureManagerBase


deliver: Callable[[dict[str, bytes]], None] = print
"""Where pictures go; set by whoever chooses this backend."""


class FigureCanvas(FigureCanvasAgg):  # type: ignore[misc]  # its base is unknown on the host
    """Agg's canvas; named as matplotlib asks of a backend module."""

    manager_class = FigureManagerBase


def show(*_: Any, **__: Any) -> None:
    """Send and close every open figure, in the order they were made."""
    pyplot = sys.modules["matplotlib.pyplot"]
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        data = io.BytesIO()
        figure.savefig(data, format="png", bbox_inches="tight")
        deliver({"image/png": data.getvalue(), "text/plain": repr(figure).encode()})
        pyplot.close(figure)
