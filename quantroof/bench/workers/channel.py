"""One end of the connection of a run and a worker: whole messages, with a size limit and one deadline."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable

_HEADER = struct.Struct("!I")
_MOST_BYTES = 64 << 20  # a sustained case of a million samples takes about 20 MB
_PIECE_BYTES = 1 << 20
_LOOK_S = 0.2  # how often a silent peer's process is asked for


class BrokenMessage(Exception):
    """What came is not a message: too large, or it ends in the middle."""


class Channel:
    """Messages over one end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, data: bytes) -> None:
        """Send one message. OSError where the other end is gone."""
        self._socket.sendall(_HEADER.pack(len(data)) + data)

    def receive(self, timeout_s: float | None = None, is_alive: Callable[[], bool] = lambda: True) -> bytes:
        """The next message; the limit is for all of it.

        TimeoutError past the limit, EOFError where the other end is closed or its process ended, and
        BrokenMessage for anything that is not a message.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        header = self._exactly(_HEADER.size, deadline, is_alive)
        (size,) = _HEADER.unpack(header)
        if size > _MOST_BYTES:
            raise BrokenMessage(f"a message of {size} bytes")
        return self._exactly(size, deadline, is_alive)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def close_in_children(self) -> None:
        """Close this end in every process that is forked from now on."""
        os.register_at_fork(after_in_child=self._socket.close)

    def _exactly(self, size: int, deadline: float | None, is_alive: Callable[[], bool]) -> bytes:
        parts, left = list[bytes](), size
        while left:
            self._wait(deadline, is_alive)
            part = self._socket.recv(min(left, _PIECE_BYTES))
            if not part:
                raise EOFError
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _wait(self, deadline: float | None, is_alive: Callable[[], bool]) -> None:
        """Return when there is something to read. A child of a dead peer may hold its end open for long."""
        while True:
            left = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
            alive = is_alive()  # asked before looking: what a process sent before it ended is still read
            if select.select([self._socket], [], [], max(0.0, left))[0]:
                return
            if not alive:
                raise EOFError
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
