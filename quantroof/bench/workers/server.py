"""The worker's side of each request: measure, and report whether the process can continue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from msgspec.structs import replace

from quantroof.bench.calls.measure import measure_call
from quantroof.bench.ceilings.anchors import measure_anchors
from quantroof.bench.ceilings.measure import ceiling_groups
from quantroof.bench.local import local_bench, lost_context, tidy
from quantroof.bench.measure import Bench, measure
from quantroof.bench.plan import REPEATED
from quantroof.bench.timing.cuda_graph import CANNOT_CAPTURE
from quantroof.bench.workers import protocol
from quantroof.bench.workers.guard import CHANGED, CHANGED_DATA, Guard
from quantroof.errors import described
from quantroof.kernels import registry
from quantroof.kernels.cases import CallCase, Case
from quantroof.kernels.problem import Problem
from quantroof.kernels.reference import forget_data
from quantroof.records.lines import Anchor, Ceiling, Measurement, Status

_Line = Measurement | Ceiling | Anchor | None
_OUT_OF_MEMORY = "out of memory"


class Server:
    """Answers requests with one device. The constructor opens it and may raise whatever a library raises."""

    def __init__(self, setup: protocol.Setup) -> None:
        self._bench = local_bench(setup.device, setup.settings)

    def answer(self, send: Callable[[protocol.Reply], None], request: protocol.Request) -> None:
        """Send one message per record, then Done."""
        unusable: str | None = None
        for answer, line in _lines(self._bench, request):
            send(answer)
            if unusable := _unusable(self._bench, line):
                break
        send(protocol.Done(unusable=unusable))


def _lines(bench: Bench, request: protocol.Request) -> Iterator[tuple[protocol.Answer, _Line]]:
    """Measure what a request asks for, one by one: the message and the record in it."""
    match request:
        case protocol.MeasureCase():
            tidy(bench)
            case = Case.parse(request.case)
            if isinstance(case, CallCase):
                yield from _calls(bench, case, request.kernels)
                return
            problem = Problem(case, bench.device, bench.settings.seed)
            for name in request.kernels:
                kernel = registry.own().kernels.get(name)
                line = (
                    _foreign_line(bench, problem, name) if kernel is None else measure(bench, problem, kernel)
                )
                if line.status in ("failed", "incorrect"):
                    forget_data()
                    problem = Problem(problem.case, bench.device, bench.settings.seed)
                yield protocol.MeasurementReply(measurement=line), line
        case protocol.MeasureCeilings():
            yield from _ceilings(bench, request)
        case protocol.MeasureAnchors():
            for anchor in measure_anchors(bench, request.moment):
                yield protocol.AnchorReply(anchor=anchor), anchor
        case protocol.Setup():
            raise ValueError("a worker is set up once")


def _foreign_line(bench: Bench, problem: Problem, name: str) -> Measurement:
    """Measure a kernel from outside; where it changed its data or this process, its record has no time."""
    before = Guard(problem)
    kernel = registry.load(bench.settings.kernels).kernels[name]
    return _guarded(before, partial(measure, bench, problem, kernel, foreign=True))


def _calls(bench: Bench, case: CallCase, names: tuple[str, ...]) -> Iterator[tuple[protocol.Answer, _Line]]:
    """Measure functions of the user's own on one case."""
    for name in names:
        line = _guarded(Guard(None), partial(measure_call, bench, case, name))
        yield protocol.MeasurementReply(measurement=line), line


def _guarded(before: Guard, measured: Callable[[], Measurement]) -> Measurement:
    """A measurement, without its time where it changed its data or this process."""
    line = measured()
    try:
        change = before.changed_data() or before.changed_worker()
    except Exception as error:  # noqa: BLE001 - torch or a limit may be in any state now
        change = f"{CHANGED} so that it cannot be examined: {described(error)}"
    if change is None:
        return line
    reason = f"{line.reason}; {change}" if line.reason else change
    status: Status = "failed" if line.status == "failed" else "incorrect"
    return replace(line, status=status, reason=reason, timing=None, state=None, flags=())


def _ceilings(bench: Bench, request: protocol.MeasureCeilings) -> Iterator[tuple[protocol.Answer, _Line]]:
    groups = ceiling_groups(bench, quick=request.quick)
    if request.moment == "end":
        groups = islice((group for group in groups if group.key[1] in REPEATED), len(REPEATED))
    for group in groups:
        if group.key in request.done:
            continue
        yield protocol.GroupStarted(group=group.key), None
        for ceiling in group.measure(bench):
            yield protocol.CeilingReply(ceiling=ceiling), ceiling
    bench.arena.release()  # the largest arrays of a run were in it


def _unusable(bench: Bench, line: _Line) -> str | None:
    """Why this process must not be used again after a failure, or None.

    A small operation on the GPU decides: after many library errors the context still works, and each new
    process costs ten seconds.
    """
    text = "" if line is None else line.reason or ""
    if CHANGED in text or CHANGED_DATA in text:
        return text
    if line is None or line.status != "failed":
        return None
    if bench.device.processor == "gpu" and CANNOT_CAPTURE in text:
        return text
    if _OUT_OF_MEMORY in text:
        tidy(bench, after_shortage=True)
    return lost_context(bench)
