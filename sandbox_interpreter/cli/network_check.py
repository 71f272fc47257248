"""What the setting network comes to on this machine, for sbi doctor: which hosts can be had, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import images_of
from sandbox_interpreter.network import Network, as_address, parse, shown

_MOST_HOSTS = 10
"""Names that are resolved; each may take seconds."""

Finding = tuple[bool, str, str]
"""Whether it works, what was found, and what mends it."""


def findings(settings: Settings, engine: ContainerEngine) -> Iterator[Finding]:
    """Yield what is to be said of the network that code gets. Raises EngineError, ConfigError."""
    network = parse(settings.network)
    if network.full:
        yield _full(engine)
    elif network.is_relayed:
        yield True, f"code reaches {settings.network}, through sbi", ""
        yield from _names(network)
        if network.packages:
            yield _packages(settings)


def _full(engine: ContainerEngine) -> Finding:
    from sandbox_interpreter.catalogue import index

    images = images_of(engine)
    if images is not None and images.image(index.resolve("base")) is None:
        return False, "full needs the image base, which closes this machine's own addresses", "sbi images build base"
    return True, "code reaches everything but this machine's own addresses, over a bridge of its own", ""


def _names(network: Network) -> Iterator[Finding]:
    """Yield what is wrong with the names that are listed: unknown ones, and those that lead inside unlisted."""
    from sandbox_interpreter.sandbox.addresses import kind_of
    from sandbox_interpreter.sandbox.gate import resolve

    names = dict.fromkeys(entry.name for entry in network.hosts
                          if entry.name and not entry.below and entry.name != "localhost")
    for name in list(names)[:_MOST_HOSTS]:
        port = next((entry.port for entry in network.hosts if entry.name == name and entry.port), 443)
        try:
            addresses = resolve(name, port)
        except OSError as error:
            yield False, f"{name} cannot be resolved here: {error.strerror or error}", "Correct it, or your resolver."
            continue
        found = [address for text in addresses if (address := as_address(text)) is not None]
        closed = [address for address in found if kind_of(address)
                  and not any(entry.covers(str(address), port) for entry in network.hosts)]
        if closed and len(closed) == len(found):
            yield (False, f"{name} leads to {closed[0]}, {kind_of(closed[0])}, which is refused",
                   f"List the address as well: {shown(str(closed[0]), port)}")


def _packages(settings: Settings) -> Finding:
    from sandbox_interpreter.sandbox import way_out

    places = way_out.packages_of(settings).places()
    if not places:
        return False, "no index was found that pip or npm is configured to use", "Set index-url in pip.conf, say."
    return True, f"packages come from {', '.join(shown(*place) for place in sorted(places))}", ""
