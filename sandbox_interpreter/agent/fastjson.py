"""JSON by the interpreter's C module alone: the json package compiles regular expressions, 6 ms of a cold start.

Both functions behave as their namesakes in json do for what frames hold. Where the C module is missing or not as
expected (another implementation, a future version), json itself does the work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _refuse(constant: object) -> Any:
    raise ValueError(f"{constant} is not JSON")


class _Context:
    """The settings that the C scanner reads from its caller, json.JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)
    memo: dict[str, str] = {}  # noqa: RUF012  # as the scanner expects it


def _from_c_module() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    import _json

    encode = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False)
    scan = _json.make_scanner(_Context)  # type: ignore[arg-type]  # the stub knows only json's own class

    def dumps(value: Any) -> str:
        return "".join(encode(value, 0))

    def loads(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("not JSON") from None
        if end != len(text):
            raise ValueError("more than one JSON value")
        return value

    if loads(dumps({"a": [1, "\u00e9\n", None, True, 0.5]})) != {"a": [1, "\u00e9\n", None, True, 0.5]}:
        raise ValueError("the C module is not as expected")
    return dumps, loads


def _from_package() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    import json

    return (lambda value: json.dumps(value, separators=(",", ":")),
            lambda text: json.loads(text, parse_constant=_refuse))


try:
    dumps, loads = _from_c_module()
except Exception:
    dumps, loads = _from_package()
