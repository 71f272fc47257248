"""safe_mode: what is put to whoever approves is scanned first, or offered to be."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace

from sandbox_interpreter import scanner
from sandbox_interpreter.config import Settings
from sandbox_interpreter.findings import Scan
from sandbox_interpreter.inspection import Inspector
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.notices import Notices


class Guard:
    """Scans blocks as the setting ``safe_mode`` says at that time, in a container that the first scan starts."""

    def __init__(self, settings: Settings, notices: Notices) -> None:
        self._settings = settings
        self._notices = notices
        self._lock = threading.Lock()
        self._inspector: Inspector | None = None
        self._closer: weakref.finalize[[], Guard] | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether code is scanned, so that nothing runs without a question."""
        return self._settings.safe_mode != "off"

    def inspect(self, block: CodeBlock) -> CodeBlock:
        """Return the block as it is to be put to whoever approves: scanned, with a scanner to offer, or as it is."""
        match self._settings.safe_mode:
            case "auto":
                if self._notices.waiting:
                    self._notices.waiting("Scanning the code")
                return replace(block, scan=self._scan(block))
            case "ask":
                return replace(block, scanner=lambda: self._scan(block))
        return block

    def _scan(self, block: CodeBlock) -> Scan:
        with self._lock:
            if self._inspector is None:
                self._inspector = Inspector(self._settings, self._notices)
                # For when nobody calls close: it is done when this object or the process ends.
                self._closer = weakref.finalize(self, self._inspector.close)
            return scanner.scan(block, self._inspector)

    def close(self) -> None:
        """End the container, if there is one; harmless when repeated."""
        closer, self._closer, self._inspector = self._closer, None, None
        if closer:
            closer()
