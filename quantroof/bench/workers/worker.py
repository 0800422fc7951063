"""The worker process: one device, one request after another. If it crashes, the run continues.

Run as `python -m quantroof.bench.workers.worker FD`, where FD is one end of a socket pair.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from quantroof.bench import failures
from quantroof.bench.workers import protocol
from quantroof.bench.workers.parent import die_with_parent


def main() -> None:
    """Serve requests until the other end closes."""
    connection = Connection(int(sys.argv[1]))
    _prepare_process()
    failures.LOG.addHandler(logging.StreamHandler())
    faulthandler.enable()  # where in Python a kernel brought the process down
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a kernel prints must not look like a result
    setup = protocol.decode_request(connection.recv_bytes())
    assert isinstance(setup, protocol.Setup)
    try:
        from quantroof.bench.workers.server import Server  # here, because it imports torch

        server = Server(setup)
    except Exception as error:  # noqa: BLE001 - a broken library or an unusable device may raise anything
        connection.send_bytes(protocol.encode(protocol.Hello(trouble=failures.reason(error, "start"))))
        return
    connection.send_bytes(protocol.encode(protocol.Hello()))
    with suppress(EOFError, ConnectionResetError):
        while True:
            server.answer(connection, protocol.decode_request(connection.recv_bytes()))


def _prepare_process() -> None:
    """Ignore SIGINT, die with the parent (PR_SET_PDEATHSIG), and be the OOM killer's first choice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
