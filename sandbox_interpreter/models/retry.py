"""When a failed call to a model is worth another try, and after how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff: ``first`` seconds, doubled up to ``longest``, unless the server says how long to wait.

    The defaults wait 1 + 2 + 4 + 8 s. ``patience``: a server that asks for more seconds than that is not waited for.
    ``sleep`` is what waits; a test passes one that does not.
    """

    attempts: int = 5
    first: float = 1.0
    longest: float = 30.0
    patience: float = 90.0
    sleep: Callable[[float], None] = time.sleep

    def tries(self, transient: Callable[[BaseException], bool], server_wait: Callable[[BaseException], float | None],
              notify: Callable[[BaseException, float], None]) -> Retrying:
        """Return tenacity's iterator of attempts, which raises the last error when it gives up.

        ``transient`` judges an error, ``server_wait`` returns the seconds that the server asked for, if it did, and
        ``notify`` is told of an error and of the seconds until the next try.
        """
        import tenacity

        def worth_it(error: BaseException) -> bool:
            return transient(error) and (server_wait(error) or 0) <= self.patience

        backoff = tenacity.wait_exponential(multiplier=self.first, max=self.longest)

        def wait(state: RetryCallState) -> float:
            asked = server_wait(_error(state))
            return backoff(state) if asked is None else asked

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts), wait=wait, reraise=True, sleep=self.sleep,
            retry=tenacity.retry_if_exception(worth_it),
            before_sleep=lambda state: notify(_error(state), state.upcoming_sleep))


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None  # tenacity asks for a wait only behind a failure
    return error
