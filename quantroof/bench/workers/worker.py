"""The worker process: one device, one request after another. It may crash; the run that started it does not.

Run as `python -m quantroof.bench.workers.worker FD`, where FD is one end of a socket pair.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from quantroof.bench.workers import protocol
from quantroof.bench.workers.parent import die_with_parent
from quantroof.errors import described


def main() -> None:
    """Serve requests until the other end closes."""
    connection = Connection(int(sys.argv[1]))
    _become_expendable()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a kernel prints must not look like a result
    setup = protocol.decode_request(connection.recv_bytes())
    assert isinstance(setup, protocol.Setup)
    try:
        from quantroof.bench.workers.server import Server  # here, because it imports torch

        server = Server(setup)
    except Exception as error:  # noqa: BLE001 - a broken library or an unusable device may raise anything
        connection.send_bytes(protocol.encode(protocol.Hello(trouble=described(error))))
        return
    connection.send_bytes(protocol.encode(protocol.Hello()))
    with suppress(EOFError, ConnectionResetError):
        while True:
            server.answer(connection, protocol.decode_request(connection.recv_bytes()))


def _become_expendable() -> None:
    """Ctrl-C is the parent's business; die with it; and go first when the host runs out of memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
