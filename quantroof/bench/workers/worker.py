"""The worker process: one device, one request after another. It may crash; the run that started it does not.

Run as `python -m quantroof.bench.workers.worker FD`, where FD is one end of a socket pair.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from quantroof.bench.anchors import measure_anchors
from quantroof.bench.ceilings import measure_ceilings
from quantroof.bench.local import local_bench
from quantroof.bench.measure import Bench, measure
from quantroof.bench.workers import protocol
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem
from quantroof.records.lines import Measurement

_PR_SET_PDEATHSIG = 1
_STICKY = ("CUDA error", "an illegal memory access", "device-side assert", "unspecified launch failure")


def main() -> None:
    """Serve requests until the other end closes."""
    connection = Connection(int(sys.argv[1]))
    _become_expendable()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a kernel prints must not look like a result
    setup = protocol.decode_request(connection.recv_bytes())
    assert isinstance(setup, protocol.Setup)
    bench = local_bench(setup.device, setup.settings)
    connection.send_bytes(protocol.encode(protocol.Hello()))
    with suppress(EOFError, ConnectionResetError):
        while True:
            _answer(connection, bench, protocol.decode_request(connection.recv_bytes()))


def _answer(connection: Connection, bench: Bench, request: protocol.Request) -> None:
    poisoned: str | None = None
    match request:
        case protocol.MeasureCase():
            problem = Problem(Case.parse(request.case), bench.device, bench.settings.seed)
            for name in request.kernels:
                line = measure(bench, problem, registry.load(bench.settings.kernels).kernels[name])
                connection.send_bytes(protocol.encode(protocol.Result(measurement=line)))
                if poisoned := _poison(line):
                    break
        case protocol.MeasureCeilings():
            for ceiling in measure_ceilings(bench, quick=request.quick):
                connection.send_bytes(protocol.encode(protocol.Found(ceiling=ceiling)))
        case protocol.MeasureAnchors():
            for anchor in measure_anchors(bench, request.moment):
                connection.send_bytes(protocol.encode(protocol.Anchored(anchor=anchor)))
        case protocol.Setup():
            raise ValueError("a worker is set up once")
    connection.send_bytes(protocol.encode(protocol.Done(poisoned=poisoned)))


def _poison(line: Measurement) -> str | None:
    """A CUDA context is lost after most errors: every later call of this process would fail too."""
    text = line.reason or ""
    return text if line.status == "failed" and any(mark in text for mark in _STICKY) else None


def _become_expendable() -> None:
    """Ctrl-C is the parent's business; die with it; and go first when the host runs out of memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
