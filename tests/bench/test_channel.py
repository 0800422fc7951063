"""Messages of a worker that are cut, endless or huge: the one limit holds for the whole message."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from quantroof.bench.workers.channel import BrokenMessage, Channel


def _receive(sent: bytes, *, alive: bool = True) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        return Channel(ours).receive(0.3, lambda: alive)


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack("!I", 9) + b"half"])
def test_the_limit_is_for_the_whole_message(sent: bytes) -> None:
    """A peer that begins a message and stops costs the time limit, not for ever."""
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        _receive(sent)

    assert 0.25 < time.monotonic() - started < 5


def test_a_message_beyond_the_largest_is_not_waited_for() -> None:
    """A length of 2 GB is refused, whatever follows; 64 MiB is the largest there is."""
    with pytest.raises(BrokenMessage, match="a message of 2147483647 bytes"):
        _receive(struct.pack("!I", 2**31 - 1) + b"x")
    with pytest.raises(BrokenMessage):
        _receive(struct.pack("!I", (64 << 20) + 1))
    with pytest.raises(TimeoutError):
        _receive(struct.pack("!I", 64 << 20))


def test_a_peer_that_ended_is_noticed_though_its_child_holds_the_connection() -> None:
    """What it sent before is read; then the end is reported at once, not after the limit of the case."""
    assert _receive(struct.pack("!I", 4) + b"last", alive=False) == b"last"
    with pytest.raises(EOFError):
        _receive(b"", alive=False)
