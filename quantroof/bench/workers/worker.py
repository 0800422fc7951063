"""The worker process: one device, one request after another. If it crashes, the run continues.

Run as `python -m quantroof.bench.workers.worker FD`, where FD is one end of a socket pair.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from quantroof.bench import failures
from quantroof.bench.workers import protocol
from quantroof.bench.workers.channel import Channel
from quantroof.bench.workers.parent import COPY_RETURNED, adopt_orphans, die_with_parent


def main() -> None:
    """Serve requests until the other end closes."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    channel.close_in_children()
    _prepare_process()
    failures.LOG.addHandler(logging.StreamHandler())
    faulthandler.enable()  # where in Python a kernel brought the process down
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a kernel prints must not look like a result
    setup = protocol.decode_request(channel.receive())
    assert isinstance(setup, protocol.Setup)
    replies = _Replies(channel, setup.token)
    try:
        from quantroof.bench.workers.server import Server  # here, because it imports torch

        server = Server(setup)
    except Exception as error:  # noqa: BLE001 - a broken library or an unusable device may raise anything
        replies.send(protocol.Hello(trouble=failures.reason(error, "start")))
        return
    replies.send(protocol.Hello())
    with suppress(EOFError, ConnectionResetError):
        while True:
            request = protocol.decode_request(channel.receive())
            replies.next_request()
            server.answer(replies.send, request)


class _Replies:
    """Sends replies in numbered envelopes, from this process alone."""

    def __init__(self, channel: Channel, token: str) -> None:
        self._channel, self._token, self._pid = channel, token, os.getpid()
        self._request = self._number = 0

    def next_request(self) -> None:
        """The replies from now on answer the next request."""
        self._request, self._number = self._request + 1, 0

    def send(self, reply: protocol.Reply) -> None:
        """Send one reply. A copy of this process, as a kernel's fork leaves it, ends here."""
        if os.getpid() != self._pid:
            os._exit(COPY_RETURNED)
        envelope = protocol.Envelope(
            token=self._token, pid=self._pid, request=self._request, number=self._number, reply=reply
        )
        self._number += 1
        self._channel.send(protocol.encode(envelope))


def _prepare_process() -> None:
    """Ignore SIGINT, die with the parent, adopt orphans, and be the OOM killer's first choice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    adopt_orphans()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
