"""Runs whenever Python starts in this image, and makes an empty home on a read-only system comfortable."""

import os
import site
import sys

FONT_CACHE = "/opt/venv/share/matplotlib"


class FontCache:
    """Hands matplotlib the font list that was made with the image; making one takes it longer than a plot."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Find no module at all; only notice that matplotlib is about to look for its fonts."""
        if name == "matplotlib.font_manager":
            sys.meta_path.remove(cls)
            if not os.environ.keys() & {"MPLCONFIGDIR", "XDG_CACHE_HOME"}:
                cls.link(os.path.expanduser("~/.cache/matplotlib"))

    @staticmethod
    def link(cache):
        """Show the image's font list in ``cache``; a home that cannot be written to goes without."""
        try:
            os.makedirs(cache, exist_ok=True)
            for name in os.listdir(FONT_CACHE):
                os.symlink(os.path.join(FONT_CACHE, name), os.path.join(cache, name))
        except OSError:
            pass


class Offline:
    """Lets pip say at once, in one line, why it reaches no index; it would try for 8 s and blame the package."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Find what the usual finder does, and change it; only pip asks for this module."""
        if name != "pip._internal.network.session":
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(cls)
        spec = PathFinder.find_spec(name, path)
        if spec and not cls.has_route():
            os.environ.setdefault("PIP_RETRIES", "0")
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (load(module), cls.explain(module.PipSession))
        return spec

    @staticmethod
    def has_route():
        """Tell whether there is a way out: a proxy, or a route. Connecting a datagram socket sends nothing."""
        import socket

        if any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
            return True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return probe.connect_ex(("192.0.2.1", 9)) == 0  # an address of nobody's: RFC 5737

    @staticmethod
    def explain(session):
        """Let a session's failed connection end pip with the reason. A server of the sandbox's own is still reached."""
        from pip._internal.exceptions import CommandError
        from pip._vendor.requests import exceptions

        request = session.request

        def explained(self, *words, **options):
            try:
                return request(self, *words, **options)
            except exceptions.ConnectionError:
                raise CommandError("This sandbox has no network, so no package index can be reached. "
                                   "What changes that is the setting network (--network).") from None

        session.request = explained


def open_user_site():
    """Put the home's package folder on the path before it has packages, so that a running kernel sees `pip install`."""
    folder = site.getusersitepackages()
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if folder not in sys.path:
        sys.path.append(folder)


if site.ENABLE_USER_SITE is not False and not sys.flags.no_user_site:
    open_user_site()
sys.meta_path[:0] = [FontCache, Offline]
