"""Which web pages may use the server, told from the headers that a browser sends and no page can forge.

A page of any site can make its visitor's browser send requests to 127.0.0.1. Three headers tell those apart: ``Host``
holds the name that the browser resolved (DNS rebinding points a foreign name here), ``Origin`` the page that asks, and
``Sec-Fetch-Site`` is there even where Origin is not, as for pictures and links.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from sandbox_interpreter.errors import RequestRefused

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?")
_OWN = ("same-origin", "none")
"""Sec-Fetch-Site for pages of our own, and for addresses that a person typed."""


def check(headers: Headers, *, hosts: Collection[str], origins: Collection[str]) -> None:
    """Raise RequestRefused for a request that a foreign page caused, or that came by a name that is not ours.

    ``hosts`` are names besides localhost and addresses; ``origins`` the pages' origins that are welcome.
    """
    host = headers.get("host", "")
    name = _name(host)
    if name != "localhost" and not is_address(name) and name not in hosts:
        raise RequestRefused(f"This server is not called {name[:80]!r}.", status=403, kind="unknown_host",
                             next_step="If it is: sbi serve --allow-host NAME")
    origin = headers.get("origin")
    if origin is not None:
        # Behind a proxy that speaks TLS only the scheme differs, so it does not count.
        if origin not in origins and netloc(origin) != host.lower():
            raise _foreign(origin)
    elif headers.get("sec-fetch-site", "none") not in _OWN:
        raise _foreign("another site")


def is_address(name: str) -> bool:
    """Tell whether a host is an IP address: what was asked for by address cannot have been rebound by a name server."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def netloc(origin: str) -> str:
    """Return host and port of an origin, in lower case; "" for ``null`` and what is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return a Host header's name or address without the port, in lower case; "" for what is neither."""
    match = _HOST.fullmatch(host)
    return (match["address"] or match["name"]).lower() if match else ""


def _foreign(origin: str) -> RequestRefused:
    return RequestRefused(f"Pages of {origin[:80]!r} may not use this server.", status=403, kind="foreign_origin",
                          next_step="To let them: sbi serve --allow-origin ORIGIN")
