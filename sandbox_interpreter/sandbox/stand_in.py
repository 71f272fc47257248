"""A container whose image has no Python, with someone on the host who speaks in its agent's place.

To the rest of the sandbox it is a container like any other: frames go in and come out, bounded and checked as ever.
Each block is a command of its own there, which begins with no variables; files stay, and so does the policy.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sandbox_interpreter.agent import boot
from sandbox_interpreter.agent.fragments import Fragments
from sandbox_interpreter.agent.frames import HOST_FRAMES, HOST_PAYLOAD, PROTOCOL, Decoder, Frame, FrameError, encode
from sandbox_interpreter.engines.base import Command, Container, RunsCommands, Wire
from sandbox_interpreter.engines.sockets import READ_SIZE, SocketWire
from sandbox_interpreter.errors import ChannelError, EngineError, SandboxInterpreterError
from sandbox_interpreter.sandbox import block_script
from sandbox_interpreter.sandbox.block import Block, refused

NOTICE = ("The image {} has no python3: each block runs as a program of its own, with no variables of those before it, "
          "and held by the engine's filter of kernel calls alone. Files stay.")
_NO_FILES = "the image has no python3, which copies files; mount a workspace instead"
_LEFT = ("sync", "input_reply", "egress_start")  # what no stand-in has an answer to


def command(idle: float) -> tuple[str, ...]:
    """Return the main process of such a container, which ends after ``idle`` seconds without a sign of life."""
    return ("sh", "-c", block_script.KEEP, "sbi", str(max(round(idle), 1)))


class _Wire(SocketWire):
    """The stream of frames, and beside it what the container says on its stderr."""

    def __init__(self, host: socket.socket, keeper: Wire) -> None:
        super().__init__(host)
        self._keeper = keeper

    def diagnostics(self) -> str:
        """Return the last of what the container wrote to stderr, asked for where it has not begun to keep itself."""
        return f"{self._keeper.diagnostics()} (its image seems to have neither python3 nor sh)".lstrip()


class StandIn:
    """The container, and the agent that it does not have."""

    def __init__(self, inner: Container, *, idle: float) -> None:
        """Stand in for the agent of ``inner``, whose main process is ``command(idle)``. Raises EngineError."""
        if not isinstance(inner, RunsCommands):
            raise EngineError("This engine starts no further commands in a container.",
                              next_step="Use an image that has python3.")
        self._inner: Container = inner
        self._commands: RunsCommands = inner
        self._keeper: Wire = inner.attach()
        self._idle = idle
        self._begun = threading.Event()
        self._sending = threading.Lock()
        self._guest: socket.socket | None = None
        self._environment: dict[str, str] = {}
        self._languages: dict[str, dict[str, Any]] = {}
        self._grace = 2.0
        self._fragments = Fragments()
        self._block: Block | None = None
        self._folder = ""
        self._told_at = time.monotonic()

    # --- a container ---

    @property
    def id(self) -> str:
        """Return the engine's identifier."""
        return self._inner.id

    def attach(self) -> Wire:
        """Return the stream of frames."""
        host, self._guest = socket.socketpair()
        threading.Thread(target=self._serve, args=(self._guest,), name="sbi-stand-in", daemon=True).start()
        return _Wire(host, self._keeper)

    def start(self) -> None:
        """Start the main process."""
        try:
            self._inner.start()
        finally:
            self._begun.set()

    def state(self) -> str:
        """Return created, running, paused, exited, dead, or removed."""
        return self._inner.state()

    def command(self, words: Sequence[str]) -> Command:
        """Start a command."""
        return self._commands.command(words)

    def remove(self) -> None:
        """Kill and remove it."""
        self._begun.set()
        self._keeper.close()
        self._inner.remove()

    # --- the loop in the agent's place ---

    def _serve(self, guest: socket.socket) -> None:
        decoder = Decoder(HOST_FRAMES, strict=False, most_payload=HOST_PAYLOAD)
        skip = len(boot.bundle())  # the agent's source, which nobody here can read
        self._begun.wait()
        with suppress(OSError, FrameError, SandboxInterpreterError), guest:
            poll = select.poll()
            poll.register(self._keeper.fileno(), select.POLLIN)
            while not (said := self._keeper.receive()):
                if said is None:
                    return  # it has no shell either
                poll.poll()
            self._send("ready", protocol=PROTOCOL, python="", languages=["shell"], place=None, confined=False)
            poll.register(guest.fileno(), select.POLLIN)
            while self._keeper.receive() is not None and (data := self._heard(guest, poll)) is not None:
                skip, data = max(skip - len(data), 0), data[skip:]
                for frame in decoder.feed(data):
                    if whole := self._fragments.whole(frame):
                        getattr(self, "_on_" + whole.type, self._pass_over)(whole)
        # Whoever left, client or container: without variables there is nothing to come back to.
        with suppress(SandboxInterpreterError):
            self.remove()

    @staticmethod
    def _heard(guest: socket.socket, poll: select.poll) -> bytes | None:
        """Return what the host sent, b"" if it was the container that stirred; None at the end."""
        ready = [descriptor for descriptor, _ in poll.poll()]
        return (guest.recv(READ_SIZE) or None) if guest.fileno() in ready else b""

    def _send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        with self._sending, suppress(OSError):  # the host has let go
            if self._guest:
                self._guest.sendall(encode(kind, payload, **header))

    def _pass_over(self, frame: Frame) -> None:
        if not frame.type.startswith("egress_") and frame.type not in _LEFT:
            raise FrameError(f"nobody here knows a {frame.type}")

    def _on_hello(self, frame: Frame) -> None:
        self._grace = frame.header["grace"]
        self._environment |= json.loads(frame.payload) if frame.payload else {}

    def _on_language(self, frame: Frame) -> None:
        self._languages[frame.header["name"]] = frame.header

    def _on_ping(self, _: Frame) -> None:
        self._send("pong")
        if time.monotonic() - self._told_at > self._idle / 3:  # each line costs the container a process
            self._told_at = time.monotonic()
            with suppress(ChannelError):  # it has ended, which the loop sees
                self._keeper.send(b"\n")

    def _on_execute_request(self, frame: Frame) -> None:
        name = frame.header["language"]
        language = self._languages.get(name, {})
        if self._block is not None:
            refused(frame, self._send, "The sandbox is still running another block.", 1)
        elif name != "shell" and not language.get("program"):
            refused(frame, self._send, f"The image has no python3, which {name} needs.", block_script.NO_SUCH_COMMAND)
        else:
            former, self._folder = self._folder, f"/tmp/sbi-{os.urandom(6).hex()}"  # noqa: S108  # the container's own
            code = frame.payload.decode("utf-8", "surrogateescape").replace("\0", "")
            script = block_script.block(frame.header, code, language, self._environment, self._folder)
            self._block = Block(self._commands, frame, script, self._folder, former, grace=self._grace,
                                send=self._send, ended=self._has_ended)

    def _has_ended(self) -> None:
        self._block = None

    def _on_interrupt_request(self, frame: Frame) -> None:
        if (block := self._block) and block.id == frame.header["id"]:
            block.interrupt(hard=frame.header["hard"])

    def _on_credit(self, frame: Frame) -> None:
        if (block := self._block) and block.id == frame.header["id"]:
            block.grant(frame.header["bytes"])

    def _on_stdin(self, frame: Frame) -> None:
        if (block := self._block) and block.id == frame.header["id"]:
            block.feed(frame.payload, eof=frame.header["eof"])

    def _on_reset_request(self, _: Frame) -> None:
        if block := self._block:
            block.interrupt(hard=True)

    def _on_shutdown_request(self, _: Frame) -> None:
        raise OSError("told to leave")  # ends the loop

    def _no_files(self, frame: Frame) -> None:
        if not frame.header.get("more"):
            self._send("file_done", id=frame.header["id"], error=_NO_FILES)

    _on_file_put = _on_file_list = _on_file_get = _on_folder_put = _on_link_put = _on_tree_list = _no_files
