"""The worker process: one device, one request after another. It may crash; the run that started it does not.

Run as `python -m quantroof.bench.workers.worker FD`, where FD is one end of a socket pair.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from quantroof.bench.anchors import measure_anchors
from quantroof.bench.ceilings import measure_ceilings
from quantroof.bench.local import local_bench, lost_context, tidy
from quantroof.bench.measure import Bench, first_line, measure
from quantroof.bench.workers import protocol
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem, forget_weights
from quantroof.records.lines import Anchor, Ceiling, Measurement

_PR_SET_PDEATHSIG = 1
_Line = Measurement | Ceiling | Anchor
_OUT_OF_MEMORY = "out of memory"
_BROKEN_CAPTURE = "cannot be captured"  # torch's allocator does not recover from it


def main() -> None:
    """Serve requests until the other end closes."""
    connection = Connection(int(sys.argv[1]))
    _become_expendable()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a kernel prints must not look like a result
    setup = protocol.decode_request(connection.recv_bytes())
    assert isinstance(setup, protocol.Setup)
    try:
        bench = local_bench(setup.device, setup.settings)
    except Exception as error:  # noqa: BLE001 - a library may raise anything of a device that it cannot use
        connection.send_bytes(protocol.encode(protocol.Hello(trouble=first_line(error))))
        return
    connection.send_bytes(protocol.encode(protocol.Hello()))
    with suppress(EOFError, ConnectionResetError):
        while True:
            _answer(connection, bench, protocol.decode_request(connection.recv_bytes()))


def _answer(connection: Connection, bench: Bench, request: protocol.Request) -> None:
    poisoned: str | None = None
    for answer, line in _lines(bench, request):
        connection.send_bytes(protocol.encode(answer))
        if poisoned := _poison(bench, line):
            break
    connection.send_bytes(protocol.encode(protocol.Done(poisoned=poisoned)))


def _lines(bench: Bench, request: protocol.Request) -> Iterator[tuple[protocol.Answer, _Line]]:
    """What a request asks for, measured one by one: the message and the line in it."""
    match request:
        case protocol.MeasureCase():
            tidy(bench)
            problem = Problem(Case.parse(request.case), bench.device, bench.settings.seed)
            for name in request.kernels:
                line = measure(bench, problem, registry.load(bench.settings.kernels).kernels[name])
                if line.status in ("failed", "incorrect"):
                    forget_weights()
                    problem = Problem(problem.case, bench.device, bench.settings.seed)
                yield protocol.Result(measurement=line), line
        case protocol.MeasureCeilings():
            for ceiling in measure_ceilings(bench, quick=request.quick):
                yield protocol.Found(ceiling=ceiling), ceiling
            bench.arena.release()  # the largest arrays of a run were in it
        case protocol.MeasureAnchors():
            for anchor in measure_anchors(bench, request.moment):
                yield protocol.Anchored(anchor=anchor), anchor
        case protocol.Setup():
            raise ValueError("a worker is set up once")


def _poison(bench: Bench, line: _Line) -> str | None:
    """Why this process must not be used again after a failure, or None: the GPU itself is asked.

    Many errors of a library leave the context sound, and each new process costs ten seconds.
    """
    if line.status != "failed":
        return None
    text = line.reason or ""
    if bench.device.kind != "cpu" and _BROKEN_CAPTURE in text:
        return text
    if _OUT_OF_MEMORY in text:
        tidy(bench, after_shortage=True)
    return lost_context(bench)


def _become_expendable() -> None:
    """Ctrl-C is the parent's business; die with it; and go first when the host runs out of memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
