"""HTML: a cell is a page, drawn by the image's Chromium and shown as a picture.

The page may name files of the workspace. What its scripts write to the console comes out on stdout and stderr.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile

from ..cells import CellRunner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_TEXT = 64 * 1024  # characters of a page's text
SETTLED = "return document.readyState === 'complete' && document.fonts.status === 'loaded'"
# What may stand before a page's head; behind it is the place for a base.
PLACE = re.compile(r"\s*(<!doctype\b[^>]*>)?(\s*<html\b[^>]*>)?(\s*<head\b[^>]*>)?", re.IGNORECASE)


class Runner(CellRunner):
    """Draws one page after another in one browser, which starts with the first."""

    def __init__(self) -> None:
        super().__init__()
        self._browser: Any = None
        self._file = os.path.join(tempfile.mkdtemp(prefix="sbi-page-"), "page.html")

    def run(self, source: str, name: str) -> int:  # noqa: ARG002  # a page has no lines to name
        """Return 0 once the page has been shown. Raises ImportError where the image has no browser."""
        import sandbox_browser  # type: ignore[import-not-found]  # exists in the container

        with open(self._file, "w", encoding="utf-8") as file:
            file.write(with_base(source, os.getcwd()))
        try:
            if self._browser is None:
                self._browser = sandbox_browser.start()
            self._browser.get(f"file://{self._file}")
            self._wait()
            self._show(sandbox_browser.picture(self._browser))
        except BaseException:  # half a conversation with a browser cannot be gone on with
            browser, self._browser = self._browser, None
            if browser is not None:
                browser.service.stop()
            raise
        return 0

    def _wait(self) -> None:
        """Wait until the page, its pictures and its fonts are there, 5 s at most."""
        import time

        deadline = time.monotonic() + 5
        while not self._browser.execute_script(SETTLED) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _show(self, picture: bytes) -> None:
        for entry in self._browser.get_log("browser"):
            severe = entry["level"] == "SEVERE"
            print(entry["message"].partition(" ")[2], file=sys.stderr if severe else sys.stdout)  # its output
        text = self._browser.execute_script("return document.body ? document.body.innerText : ''") or ""
        self.displayer.show({"image/png": bytes(picture), "text/plain": text[:MOST_TEXT].encode("utf-8", "replace")},
                            result=True)


def with_base(source: str, folder: str) -> str:
    """Return a page whose relative addresses lie in ``folder``, unless it says another place itself."""
    if re.search(r"<base\b", source, re.IGNORECASE):
        return source
    place = PLACE.match(source)
    at = place.end() if place else 0
    return f'{source[:at]}<meta charset="utf-8"><base href="file://{folder.rstrip("/")}/">{source[at:]}'
