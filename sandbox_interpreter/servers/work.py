"""A job under way: its thread, and whoever ends it early."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

from anyio import to_thread

from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.servers.jobs import Job
from sandbox_interpreter.servers.mailbox import Mailbox, ReaderLeft

logger = logging.getLogger(__name__)


class Work:
    """Runs ``job`` in a thread; what it puts out is in ``mailbox``. All but the job belongs to the event loop."""

    def __init__(self, job: Job) -> None:
        self.mailbox = Mailbox()
        self.error: Exception | None = None
        """Why there is not all of it, once the mailbox is over."""
        self.left = False
        """Whether its end is near since nobody waits for it."""
        self._job = job
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        threading.Thread(target=self._run, name="sbi-request", daemon=True).start()

    def cut(self, error: Exception) -> None:
        """Break it off because of ``error``; what it has put out is still read."""
        self.error = self.error or error
        self.left = True
        self.mailbox.finish()

    def leave(self) -> None:
        """Break it off because nobody reads."""
        self.left = True
        self.mailbox.finish(drop=True)

    async def end(self) -> None:
        """Return once the job has ended, which it is asked to do now."""
        if not self._ended.is_set():
            self.leave()
            await to_thread.run_sync(self._job.interrupt)
            await self._ended.wait()

    def _run(self) -> None:
        try:
            self._job.run(self.mailbox)
        except ReaderLeft:
            pass
        except SandboxInterpreterError as error:
            self.error = self.error or error
        except Exception as error:  # whatever it is, the client gets an answer and the log gets the details
            logger.exception("sbi serve failed in a way that it should not")
            self.error = self.error or error
        finally:
            self.mailbox.finish()
            with suppress(RuntimeError):  # the loop is closed: the server has ended without waiting
                self._loop.call_soon_threadsafe(self._ended.set)
