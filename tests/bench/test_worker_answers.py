"""What a run makes of a worker's answers: for another kernel, too few, too many, and none at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from quantroof.bench.plan import DevicePlan, make_plan
from quantroof.bench.suite import parse
from quantroof.bench.workers import device_run, protocol
from quantroof.bench.workers.device_run import Deaths, DeviceRun
from quantroof.bench.workers.handle import WorkerLost
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling, Measurement
from quantroof.records.run import RunOptions
from tests.bench.conftest import FAULTY
from tests.bench.test_worker_loss import GROUPS, SUITE, _ceiling, _line

Answers = Callable[[tuple[str, ...]], list[str]]
"""The kernels that a worker answers for, of those that it was asked for; `lost` ends it."""
FOREIGN = ("faulty.raise", "faulty.nan")


class Scripted:
    """A worker that measures everything at once, by a script."""

    answers: Answers = staticmethod(lambda names: list(names))
    starts, killed = 0, 0
    asked: ClassVar[list[protocol.Request]]
    loses_ceilings = False

    def __init__(self, *_: object) -> None:
        type(self).starts += 1

    def ask(self, request: protocol.Request, timeout_s: float) -> Iterator[protocol.Answer]:
        """Answer as the script does."""
        self.asked.append(request)
        if isinstance(request, protocol.MeasureCeilings):
            if self.loses_ceilings:
                raise WorkerLost(f"no answer within {timeout_s:.0f} s: killed")
            for key in GROUPS:
                yield protocol.GroupStarted(group=key)
                yield protocol.CeilingReply(ceiling=_ceiling(key))
        elif isinstance(request, protocol.MeasureCase):
            for name in type(self).answers(request.kernels):
                if name == "lost":
                    raise WorkerLost("killed by SIGSEGV")
                yield protocol.MeasurementReply(measurement=_line(request.case, name, failed=False))

    def kill(self) -> None:
        """Counted."""
        type(self).killed += 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    """A fresh script."""

    class Fresh(Scripted):
        asked: ClassVar[list[protocol.Request]] = []

    monkeypatch.setattr(device_run, "Worker", Fresh)
    return Fresh


def _plan(device: Device, *, ceilings: bool = False) -> DevicePlan:
    """One case of torch's kernel and two kernels from outside."""
    suite = SUITE.replace(", {n = 128, k = 256}", "").replace("[1, 2, 4, 8]", "[4]")
    kernels = tuple(f"{FAULTY}:{name}" for name in ("RAISE", "NAN"))
    return make_plan(
        parse(suite, "one"), device, RunOptions(ceilings=ceilings, kernels=kernels, providers=("torch",))
    )


def _measured(plan: DevicePlan, deaths: Deaths | None = None) -> list[Any]:
    lines = list[Any]()
    DeviceRun(plan, lines.append, deaths=deaths).run()
    return lines


def _reasons(lines: list[Any]) -> dict[str, str]:
    return {line.kernel: line.reason for line in lines if line.kernel in FOREIGN}


def test_kernels_from_outside_have_a_worker_of_their_own(cpu: Device, worker: type[Scripted]) -> None:
    """Two workers, the first for ceilings and our kernels; both are ended with the run."""
    plan = _plan(cpu, ceilings=True)
    (planned,) = plan.cases
    lines = _measured(plan)
    asked = [request.kernels for request in worker.asked if isinstance(request, protocol.MeasureCase)]

    assert [line.kernel for line in lines if isinstance(line, Measurement)] == [
        k.name for k in planned.kernels
    ]
    assert asked == [tuple(k.name for k in planned.kernels if k.name not in FOREIGN), FOREIGN]
    assert (worker.starts, worker.killed) == (2, 2)


def test_an_answer_for_another_kernel_is_a_loss(cpu: Device, worker: type[Scripted]) -> None:
    """Of two kernels that are waited for in their order the second is not taken for the first."""
    deaths: Deaths = {}
    worker.answers = staticmethod(lambda names: list(reversed(names)))
    lines = _measured(_plan(cpu), deaths)

    assert _reasons(lines) == {
        FOREIGN[0]: "the worker answered for another kernel", FOREIGN[1]: "illegal address",
    }  # fmt: skip
    assert set(deaths) == {FOREIGN[0]}
    assert len(lines) == 3


def test_a_kernel_without_an_answer_is_a_failed_line(cpu: Device, worker: type[Scripted]) -> None:
    """The worker says that it is done after the first of two."""
    worker.answers = staticmethod(lambda names: [name for name in names if name != FOREIGN[1]])
    lines = _measured(_plan(cpu))

    assert _reasons(lines) == {FOREIGN[0]: "illegal address", FOREIGN[1]: "the worker gave no record of it"}


def test_an_answer_too_many_is_a_loss_of_the_last_kernel(cpu: Device, worker: type[Scripted]) -> None:
    """A second record of a kernel is not taken; the kernel that wrote it is the guilty one."""
    deaths: Deaths = {}
    worker.answers = staticmethod(lambda names: [*names, names[-1]])
    lines = _measured(_plan(cpu), deaths)

    assert len(lines) == 3
    assert deaths[FOREIGN[1]] == ["the worker answered for another kernel"]
    assert FOREIGN[0] not in deaths


def test_a_kernel_that_ends_its_worker_is_the_one_that_was_waited_for(
    cpu: Device, worker: type[Scripted]
) -> None:
    """The first answered, the second killed the worker; the worker of our kernels lives on."""
    deaths: Deaths = {}
    worker.answers = staticmethod(lambda names: ["lost" if name == FOREIGN[1] else name for name in names])
    lines = _measured(_plan(cpu), deaths)

    assert _reasons(lines) == {FOREIGN[0]: "illegal address", FOREIGN[1]: "killed by SIGSEGV"}
    assert deaths == {FOREIGN[1]: ["killed by SIGSEGV"]}
    assert (worker.starts, worker.killed) == (2, 2)


def test_our_kernels_do_not_wait_for_a_new_worker_of_others(cpu: Device, worker: type[Scripted]) -> None:
    """The first of the two kernels from outside kills its worker: one more is started for the second."""
    worker.answers = staticmethod(lambda names: ["lost" if name == FOREIGN[0] else name for name in names])
    lines = _measured(_plan(cpu))

    assert _reasons(lines) == {FOREIGN[0]: "killed by SIGSEGV", FOREIGN[1]: "illegal address"}
    assert (worker.starts, worker.killed) == (3, 3)


def test_ceilings_of_a_worker_that_never_begins_are_one_failed_line(
    cpu: Device, worker: type[Scripted]
) -> None:
    """After two minutes, and all of them: no group is known to be at fault, so that none is tried again."""
    worker.loses_ceilings = True
    ceilings = [line for line in _measured(_plan(cpu, ceilings=True)) if isinstance(line, Ceiling)]

    assert [(line.quantity, line.name, line.kernel, line.status) for line in ceilings] == [
        ("bandwidth", "any", "any", "failed")
    ]
    assert ceilings[0].reason == "no answer within 120 s: killed"


def test_at_the_end_read_and_copy_are_measured_quickly(cpu: Device, worker: type[Scripted]) -> None:
    """In one size, marked as of the end, with the limit of the beginning."""
    plan = replace(_plan(cpu, ceilings=True), ceilings_at_end=True)
    lines = _measured(plan)
    asked = [request for request in worker.asked if isinstance(request, protocol.MeasureCeilings)]

    assert [(request.quick, request.moment) for request in asked] == [
        (plan.settings.quick_ceilings, "start"), (True, "end"),
    ]  # fmt: skip
    assert [line.moment for line in lines if isinstance(line, Ceiling)] == ["start"] * 4 + ["end"] * 4


@pytest.mark.parametrize(("written", "kept"), [(b"", False), (b"\n", True)])
def test_a_log_with_nothing_in_it_is_not_left(
    cpu: Device, worker: type[Scripted], tmp_path: Path, written: bytes, *, kept: bool
) -> None:
    """A single byte is something that a library said."""
    log = tmp_path / "worker.log"
    log.write_bytes(written)
    DeviceRun(_plan(cpu), lambda _: None, log).run()

    assert log.exists() is kept
