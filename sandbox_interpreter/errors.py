"""Every error this package raises, in one tree.

    SandboxInterpreterError
    ├── UsageError                exit 2    the caller asked for something that cannot be
    │   ├── ConfigError                     a setting is unknown, malformed or not allowed
    │   ├── UnknownLanguage
    │   ├── WorkspaceError                  missing, a file, or not readable
    │   └── RequestRefused                  the HTTP server does not serve it, now or at all
    ├── EngineError               exit 125  the container engine failed
    │   ├── EngineUnreachable
    │   ├── NodeLost                        the machine of a cluster that a sandbox was on is gone
    │   ├── ImageMissing
    │   ├── FolderUnseen                    the engine runs where a folder of this machine is not
    │   ├── ImageDiffers                    it is not the one that the project has locked
    │   └── BuildFailed
    ├── SandboxError              exit 125  a running sandbox failed
    │   ├── ChannelError                    the stream to the agent broke or was forged
    │   │   └── NoAgent                     the image has no Python for it
    │   ├── SandboxClosed
    │   └── TransferError                   a file could not be copied in or out
    └── ModelError                exit 125  the language model could not answer
        ├── ModelNotConfigured
        ├── ModelUnavailable                retries are used up, or retrying cannot help
        ├── BudgetReached
        └── RecordingMismatch               recorded answers do not fit what is said now

What a user's program does wrong is never an exception here: it is an output of the run.
"""

from __future__ import annotations

from typing import ClassVar


class SandboxInterpreterError(Exception):
    """One failure of ours: what happened, and the next step that mends it.

    ``str(error)`` is the "what, which" sentence; ``next_step`` is a sentence or a command and may be
    empty only where nothing can be done.
    """

    exit_code: ClassVar[int] = 125

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step

    def report(self) -> str:
        """Return the text that a command line prints: the sentence, then the next step."""
        return f"{self}\n{self.next_step}" if self.next_step else str(self)


class UsageError(SandboxInterpreterError):
    """The request itself is wrong; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, malformed, or not allowed where it stands."""


class UnknownLanguage(UsageError):
    """No kernel answers to that language name."""


class WorkspaceError(UsageError):
    """The workspace does not exist, is not a folder, or cannot be used."""


class RequestRefused(UsageError):
    """An HTTP request is not served.

    ``status`` is the HTTP status, ``kind`` a word for programs, ``retry_after`` the seconds after which trying again
    may help (0: it will not).
    """

    def __init__(self, message: str, *, next_step: str = "", status: int = 400, kind: str = "bad_request",
                 retry_after: int = 0) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after


class EngineError(SandboxInterpreterError):
    """The container engine refused or failed a request."""


class EngineUnreachable(EngineError):
    """No engine answers at the configured address."""


class NodeLost(EngineError):
    """The machine of a cluster that a sandbox was on is gone, or its engine; ``node`` is what it is called by."""

    def __init__(self, message: str, *, next_step: str = "", node: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.node = node


class ImageMissing(EngineError):
    """The image is not present and may not, or cannot, be built or pulled."""


class ImageDiffers(EngineError):
    """The image is not the one that was locked; the message tells both digests."""


class FolderUnseen(EngineError):
    """The engine cannot mount a folder of this machine, since it runs on another."""


class BuildFailed(EngineError):
    """An image build ended with an error; the message carries its last lines."""


class SandboxError(SandboxInterpreterError):
    """A sandbox that was running failed."""


class ChannelError(SandboxError):
    """The byte stream to the agent ended early or broke the protocol.

    ``limit`` names the limit for which it was ended on purpose, such as ``disk``; "" where it was none.
    """

    def __init__(self, message: str, *, next_step: str = "", limit: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.limit = limit


class NoAgent(ChannelError):
    """The image has no python3, which the agent runs on."""


class SandboxClosed(SandboxError):
    """The sandbox was closed, or its container is gone."""


class TransferError(SandboxError):
    """A file could not be copied into or out of the sandbox."""


class ModelError(SandboxInterpreterError):
    """The language model could not answer."""


class ModelNotConfigured(ModelError):
    """No model is chosen, or its key is missing."""


class ModelUnavailable(ModelError):
    """The model's server failed and retrying is of no use, or was tried often enough."""


class BudgetReached(ModelError):
    """The next call would pass the configured budget."""


class RecordingMismatch(ModelError):
    """A model's recorded answers are missing, malformed, or were given to something else than is said now."""
