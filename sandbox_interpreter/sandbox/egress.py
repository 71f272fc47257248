"""Connections of the code to the outside, as the host carries them: one thread for a sandbox relays all of them.

The agent that asks for them may have been taken over. It may have ``MOST_STREAMS`` open, send each as many bytes as it
was granted, and learns of nothing but the bytes of a connection that the gate let through; whatever goes beyond ends
its channel. Nothing here grows with what it sends: what waits is counted, and a server that does not read holds it up.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

from sandbox_interpreter.agent.frames import HOST_PAYLOAD, MOST_STREAMS, Frame, FrameError
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox.gate import Gate, Refused
from sandbox_interpreter.sandbox.relayed import Relayed

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.channel import Channel

MOST_DIALS = 16
"""Connections that are judged, resolved or dialled at the same time; the others wait for their turn."""
_MOST_HELD = 2 * MOST_STREAMS
"""Connections at this end: the agent counts one no more as soon as it has said that it is over."""


class Egress:
    """The connections of one channel. ``receive`` is called by the reactor's thread, and never waits."""

    def __init__(self, channel: Channel, gate: Gate) -> None:
        self._channel = channel
        self._gate = gate
        self._lock = threading.Lock()
        self._streams: dict[int, Relayed] = {}
        self._undialled: OrderedDict[int, Relayed] = OrderedDict()
        self._dials = 0
        self._touched: set[Relayed] = set()
        self._closed = False
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = -1, -1  # a pipe, once there is a thread to wake

    # --- the reactor's side ---

    def receive(self, frame: Frame) -> None:
        """Take a frame of the agent's. Raises FrameError for what it may not send."""
        identifier = frame.header["id"]
        with self._lock:
            if frame.type == "egress_connect":
                self._ask_for(identifier, frame)
                return
            stream = self._streams.get(identifier)
            if stream is None:
                return  # it has ended at this end, which the agent did not know yet
            stream.take(frame)
            if stream.is_over and stream.connection is None:
                self._drop(stream)
            else:
                self._touch(stream)  # its place is free when the relay has closed its socket

    def _ask_for(self, identifier: int, frame: Frame) -> None:
        if identifier in self._streams or identifier <= 0:
            raise FrameError("a connection by a number that cannot be")
        if len(self._streams) >= _MOST_HELD:
            raise FrameError(f"more than {MOST_STREAMS} connections at once")
        stream = self._streams[identifier] = Relayed(identifier, frame.header["host"], frame.header["port"])
        self._undialled[identifier] = stream
        if self._dials < MOST_DIALS and not self._closed:
            self._dials += 1
            threading.Thread(target=self._dial_all, name="sbi-dial", daemon=True).start()

    def _drop(self, stream: Relayed) -> None:
        self._streams.pop(stream.id, None)
        self._undialled.pop(stream.id, None)

    def _touch(self, stream: Relayed) -> None:
        """Have the relay look at a stream; with the lock held."""
        self._touched.add(stream)
        if len(self._touched) == 1 and self._bell >= 0:
            os.write(self._bell, b"\0")

    def close(self) -> None:
        """Break every connection; harmless when repeated."""
        with self._lock:
            self._closed = True
            self._undialled.clear()
            if self._bell >= 0:
                with suppress(BlockingIOError):
                    os.write(self._bell, b"\0")
            elif self._alarm < 0:  # no thread has begun that would do it
                self._selector.close()

    # --- dialling ---

    def _dial_all(self) -> None:
        while True:
            with self._lock:
                if not self._undialled:
                    self._dials -= 1
                    return
                _, stream = self._undialled.popitem(last=False)
            with suppress(ChannelError):  # whoever runs code is told
                self._dial(stream)

    def _dial(self, stream: Relayed) -> None:
        try:
            connection = self._gate.connect(stream.host, stream.port)
        except Refused as refused:
            self._refuse(stream, refused)
            return
        except Exception as error:  # a broken record, or a fault of ours: whoever waits must hear of it
            self._refuse(stream, Refused(502, f"sbi cannot judge this connection: {error}"))
            return
        with self._lock:
            if self._closed or stream.id not in self._streams:
                connection.close()
                return
            try:
                self._start_relay()
            except OSError as error:  # no descriptor is left
                connection.close()
                problem = Refused(502, f"sbi cannot carry this connection: {error.strerror}")
            else:
                stream.open(connection)
                self._touch(stream)
                return
        self._refuse(stream, problem)

    def _refuse(self, stream: Relayed, refused: Refused) -> None:
        with self._lock:
            wanted = self._streams.pop(stream.id, None)
        if wanted:
            self._channel.send("egress_refuse", refused.body, id=stream.id, status=refused.status,
                               reason=refused.reason)

    def _start_relay(self) -> None:
        if self._bell < 0:
            self._alarm, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._selector.register(self._alarm, selectors.EVENT_READ, None)
            threading.Thread(target=self._relay, name="sbi-egress", daemon=True).start()

    # --- the relay's thread ---

    def _relay(self) -> None:
        try:
            while not self._closed:
                for key, _ in self._selector.select():
                    if key.data is None:
                        self._look_at_touched()
                    else:
                        self._serve(key.data)
        except ChannelError:
            pass  # the channel has failed, and closes this
        except Exception as error:  # a fault of ours must not leave connections that nobody serves
            self._channel.fail(ChannelError(f"The sandbox's connections failed: {type(error).__name__}: {error}.",
                                            next_step="This is a fault of sbi; please report it."))
        finally:
            self._end_all()

    def _look_at_touched(self) -> None:
        os.read(self._alarm, 4096)
        with self._lock:
            touched, self._touched = self._touched, set()
        for stream in touched:
            if stream.is_new:
                stream.is_new = False
                self._channel.send("egress_accept", id=stream.id)
            self._serve(stream)

    def _serve(self, stream: Relayed) -> None:
        """Move what can be moved of one connection: one piece each way, so that all get their turn."""
        try:
            if not stream.is_over:
                stream.write()
                if data := stream.read(HOST_PAYLOAD):
                    self._channel.send_bulk("egress_data", data, stream.id)
        except OSError:
            stream.is_broken = True
        self._tell(stream)
        self._watch(stream)

    def _tell(self, stream: Relayed) -> None:
        """Tell the agent what became of a stream: room for more, or its end."""
        if stream.is_cut:  # by the agent itself
            return
        if granted := stream.take_grant():
            self._channel.send("egress_credit", id=stream.id, bytes=granted)
        if (stream.is_broken or stream.server_ended) and not stream.told_end:
            stream.told_end = True
            self._channel.send("egress_end", id=stream.id, broken=stream.is_broken)

    def _watch(self, stream: Relayed) -> None:
        connection, events = stream.connection, stream.events
        if connection is None:
            return
        if stream.is_over:
            with self._lock:
                self._drop(stream)
            if stream.watched:
                self._selector.unregister(connection)
            stream.close()
        elif events != stream.watched:
            if not events:
                self._selector.unregister(connection)
            elif stream.watched:
                self._selector.modify(connection, events, stream)
            else:
                self._selector.register(connection, events, stream)
            stream.watched = events

    def _end_all(self) -> None:
        with self._lock:
            self._closed = True
            streams = {*self._streams.values(), *self._touched}
            self._streams.clear()
            bell, self._bell = self._bell, -1
        watched = [key.data for key in self._selector.get_map().values() if key.data]
        for stream in streams.union(watched):
            stream.close()
        self._selector.close()
        for descriptor in (self._alarm, bell):
            os.close(descriptor)

