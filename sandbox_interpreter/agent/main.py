"""The agent's loop: one thread, one poll, no waiting on anyone.

It reads frames from the host, drives kernels, and ends itself when no client was heard for the idle time: the
container removes itself then, so a host process that was killed leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import sys

from . import confine, fastjson, init, signals
from .fragments import Fragments
from .frames import PROTOCOL, Frame
from .kernel import Kernel, now
from .limits import Watch, cause_of_death, limit_of
from .link import HostLink
from .poller import Poller
from .request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .egress import Egress
    from .files import Files
    from .teaching import Taught

BOOT_IDLE = 60.0  # seconds to wait for the first frame, before the host has said its own idle time
MISSED_HEARTBEATS = 2.5  # after so many without a sign of life the client is taken for lost
LANGUAGES = ("python", "shell")


class Agent:
    """The container's main process."""

    def __init__(self, *, confined: bool) -> None:
        self.poller = Poller()
        self._confined = confined
        self.link = HostLink(self.poller)
        self.environment: dict[str, str] = {}
        self.idle, self.grace = BOOT_IDLE, 2.0
        self.kernels: dict[int, Kernel] = {}
        self.limits = Watch()
        self._heard_at = now()
        self._lost_after = BOOT_IDLE
        self._last: Request | None = None
        self._files: Files | None = None
        self._egress: Egress | None = None
        self._taught: dict[str, Taught] = {}
        self._fragments = Fragments()

    def run(self) -> None:
        """Serve the host until it is gone."""
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        signals.wake_on_child(writer)
        self.poller.listen(reader, lambda: self._reap(reader))
        self.poller.listen(self.link.input, self._read_host)
        self.link.send("ready", protocol=PROTOCOL, python=sys.version.split()[0], languages=list(LANGUAGES),
                       place=_place(), confined=self._confined)
        while True:
            self.poller.wait(self._patience())
            self._tick()

    # --- time ---

    def _patience(self) -> float:
        due = [kernel.request.due for kernel in self.kernels.values() if kernel.request and kernel.request.due]
        if self._egress is not None and self._egress.due:
            due.append(self._egress.due)
        silence = self.idle if self.link.lost else min(self.idle, self._lost_after)
        return max(min([*due, self._heard_at + silence]) - now(), 0) + 0.001

    def _tick(self) -> None:
        for kernel in list(self.kernels.values()):
            if kernel.request:
                kernel.request.tick(kernel)
        silence = now() - self._heard_at
        if silence > self.idle:
            os._exit(0)
        if silence > self._lost_after and not self.link.lost:
            self.link.lost = True
            for kernel in list(self.kernels.values()):
                kernel.resume()
        if self._files is not None and not self.link.congested:
            self._files.pump()
        if self._egress is not None:
            self._egress.tick()

    # --- the host ---

    def _read_host(self) -> None:
        for frame in self.link.read():
            self._heard_at = now()
            if self.link.lost and frame.type != "sync":
                self._found_again()
            if whole := self._fragments.whole(frame):
                getattr(self, "_on_" + frame.type)(whole)

    def _found_again(self) -> None:
        self.link.lost = False
        for request in self._requests():
            request.catch_up()

    def _requests(self) -> list[Request]:
        """Return the requests that run, and the one that began last: its end may not have reached anyone."""
        running = [kernel.request for kernel in self.kernels.values() if kernel.request]
        return running + ([self._last] if self._last and self._last not in running else [])

    def _on_hello(self, frame: Frame) -> None:
        self.idle, self.grace = frame.header["idle"], frame.header["grace"]
        if frame.payload:
            self.environment |= fastjson.loads(frame.payload.decode())
        self._lost_after = frame.header["heartbeat"] * MISSED_HEARTBEATS

    def _on_sync(self, frame: Frame) -> None:
        self.link.lost = False
        requests = self._requests()
        self.link.send_sync(frame.header["nonce"])
        last = max((request.id for request in requests), default=0)
        self.link.send("sync_reply", requests=[request.id for request in requests], last=last)
        if self._egress is not None:
            self._egress.drop_all()  # their other ends are gone with the former client
        for request in requests:
            request.replay(frame.header["credit"])
        for kernel in list(self.kernels.values()):
            kernel.resume()

    def _on_ping(self, _: Frame) -> None:
        self.link.send("pong")

    def _on_execute_request(self, frame: Frame) -> None:
        request = self._last = Request(self.link, frame, self.grace)
        try:
            self._begin(request)
        except OSError as error:  # no process or no space left: the code before this took them all
            request.limit = "pids" if error.errno == errno.EAGAIN else limit_of(error)
            request.send("error", ename="KernelFailed", evalue=f"The code could not be started: {error.strerror}.")
            request.finish(1)

    def _begin(self, request: Request) -> None:
        kernel = self._kernel_for(request)
        if kernel.request is None:
            kernel.begin(request)
        else:
            request.send("error", ename="KernelBusy", evalue="The kernel is still running another cell.")
            request.finish(1)

    def _on_language(self, frame: Frame) -> None:
        from .teaching import Taught

        self._taught[frame.header["name"]] = Taught(frame)

    def _on_interrupt_request(self, frame: Frame) -> None:
        if kernel := self._running(frame):
            assert kernel.request is not None
            kernel.request.interrupt(kernel, hard=frame.header["hard"])

    def _on_credit(self, frame: Frame) -> None:
        if kernel := self._running(frame):
            assert kernel.request is not None
            kernel.request.grant(frame.header["bytes"])
            kernel.resume()
        elif self._files is not None:
            self._files.grant(frame)

    def _on_input_reply(self, frame: Frame) -> None:
        if kernel := self._running(frame):
            kernel.reply(frame.payload)

    def _on_stdin(self, frame: Frame) -> None:
        if kernel := self._running(frame):
            kernel.feed(frame.payload, eof=frame.header["eof"])

    def _on_reset_request(self, _: Frame) -> None:
        for kernel in list(self.kernels.values()):
            request, kernel.request = kernel.request, None
            kernel.end()
            if request is not None:  # whoever waits for it must hear of its end
                request.interrupted = True
                request.send("error", ename="KernelReset", evalue="The sandbox was reset while this ran.")
                request.finish(128 + signals.SIGKILL)

    def _on_shutdown_request(self, _: Frame) -> None:
        os._exit(0)

    def _file_frame(self, frame: Frame) -> None:
        if self._files is None:
            from .files import Files

            self._files = Files(self.link)
        self._files.handle(frame)

    _on_file_put = _on_file_list = _on_file_get = _on_folder_put = _on_link_put = _on_tree_list = _file_frame

    def _on_egress_start(self, frame: Frame) -> None:
        from .egress import Egress

        self._egress = Egress(self.poller, self.link, frame.header["port"], frame.payload)

    def _egress_frame(self, frame: Frame) -> None:
        if self._egress is not None:
            self._egress.handle(frame)

    _on_egress_accept = _on_egress_refuse = _on_egress_data = _on_egress_credit = _on_egress_end = _egress_frame

    # --- kernels ---

    def _running(self, frame: Frame) -> Kernel | None:
        wanted = frame.header["id"]
        return next((k for k in self.kernels.values() if k.request and k.request.id == wanted), None)

    def living(self, name: str) -> Kernel | None:
        """Return the kernel of that name that keeps state, if it lives."""
        for kernel in self.kernels.values():
            if kernel.language == name and not (kernel.ends_with_request or kernel.once):
                return kernel
        return None

    def _kernel_for(self, request: Request) -> Kernel:
        language = request.language
        if taught := self._taught.get(language):
            return taught.kernel_for(self, request)
        if request.mode == "script":
            from .script import ScriptKernel

            return ScriptKernel(self, language)
        if living := self.living(language):
            return living
        if language == "shell":
            from .shell import ShellKernel as Kind
        else:
            from .python import PythonKernel as Kind  # type: ignore[assignment]  # both are Kernels
        return Kind(self, language)

    def _reap(self, reader: int) -> None:
        os.read(reader, 4096)
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if kernel := self.kernels.get(ended[0]):  # else it was reset, and needs no more than this
                    kernel.exited(ended[1])
        except ChildProcessError:
            pass  # none is left

    def heard(self, kernel: Kernel, frame: Frame) -> None:
        """Pass on what a kernel said, after the output that came before it."""
        request = kernel.request
        if frame.type == "exit":
            self._kernel_ended(kernel, frame.header["code"])
        elif request is None:
            return  # a thread that still displays after its cell has ended
        elif frame.type == "missed":
            if request.interrupted or request.limit:
                kernel.signal(signals.SIGINT)
        elif frame.type == "done" and kernel.ends_with_request:
            request.limit = request.limit or frame.header["limit"]  # its exit ends it, after atexit functions
        elif frame.type == "done":
            kernel.request = None
            request.limit = request.limit or frame.header["limit"]
            if frame.header["exit_code"]:
                request.limit = request.limit or self.limits.of_failure()
            request.finish(frame.header["exit_code"])
            if kernel.once:
                kernel.end()
        else:
            frame.header.pop("count", None)  # between kernel and agent only
            request.send(frame.type, frame.payload, **frame.header)

    def _kernel_ended(self, kernel: Kernel, code: int) -> None:
        request, kernel.request = kernel.request, None
        kernel.end()
        if request is None:
            return
        exit_code = code if code >= 0 else 128 - code
        if code == -signals.SIGKILL and self.limits.struck("memory"):
            request.limit = "memory"
        elif exit_code:
            request.limit = request.limit or self.limits.of_failure()
        if not kernel.ends_with_request:
            request.send("error", b"", ename="KernelDied", evalue=cause_of_death(code, request.limit))
        request.finish(exit_code)


def _place() -> str:
    try:
        return str(os.stat("/workspace").st_ctime_ns)
    except OSError:
        return ""


def main() -> None:
    """Run the agent; never returns."""
    confined = confine.confine()  # first: whatever is started from here on is held by it
    if os.getpid() == 1:
        init.begin()
    Agent(confined=confined).run()
