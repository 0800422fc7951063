"""What a lost worker costs: a kernel two workers at most, a ceiling itself only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from quantroof.bench.plan import DevicePlan, make_plan
from quantroof.bench.run import resumed_job
from quantroof.bench.suite import parse
from quantroof.bench.workers import device_run, protocol
from quantroof.bench.workers.device_run import DeviceRun
from quantroof.bench.workers.handle import ContextLost, WorkerLost, end_marked
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling, GroupKey, Measurement, Status
from quantroof.records.run import RunOptions
from tests.runs import cpu_run

SUITE = """
schema = "quantroof-suite/1"
name = "many"
[[sweep]]
shapes = [{n = 64, k = 256}, {n = 128, k = 256}]
m = [1, 2, 4, 8]
formats = ["fp32"]
"""
GROUPS: tuple[GroupKey, ...] = tuple(
    ("bandwidth", name, "torch.x") for name in ("read", "write", "copy", "triad")
)


class FakeWorker:
    """Measures everything at once, but for one kernel and one ceiling that bring it down, or never end.

    Its anchors never end.
    """

    starts = 0
    hangs, waited_s = False, 0.0
    kernel, ceiling = "", ""
    loss: type[WorkerLost] = WorkerLost

    def __init__(self, *_: object) -> None:
        type(self).starts += 1

    def ask(self, request: protocol.Request, timeout_s: float) -> Iterator[protocol.Answer]:
        """Answer as the server does."""
        if isinstance(request, protocol.MeasureAnchors):
            type(self).waited_s += timeout_s
            raise WorkerLost(f"no answer within {timeout_s:.0f} s: killed")
        if isinstance(request, protocol.MeasureCeilings):
            yield from self._ceilings(request)
        elif isinstance(request, protocol.MeasureCase):
            for name in request.kernels:
                if name == self.kernel and self.hangs:
                    type(self).waited_s += timeout_s
                    raise WorkerLost(f"no answer within {timeout_s:.0f} s: killed")
                if name == self.kernel and self.loss is WorkerLost:
                    raise WorkerLost("killed by SIGSEGV")
                yield protocol.MeasurementReply(
                    measurement=_line(request.case, name, failed=name == self.kernel)
                )
                if name == self.kernel:
                    raise ContextLost("illegal address")

    def _ceilings(self, request: protocol.MeasureCeilings) -> Iterator[protocol.Answer]:
        for key in GROUPS:
            if key in request.done:
                continue
            yield protocol.GroupStarted(group=key)
            lost = key[1] == self.ceiling
            if lost and self.loss is WorkerLost:
                raise WorkerLost("killed by SIGSEGV")
            yield protocol.CeilingReply(ceiling=_ceiling(key))
            if lost:
                raise ContextLost("illegal address")

    def kill(self) -> None:
        """It is gone."""


def _line(case: str, kernel: str, *, failed: bool) -> Measurement:
    status: Status = "failed" if failed else "skipped"
    return Measurement(
        device="cpu:0",
        case=case,
        kernel=kernel,
        provider="torch",
        status=status,
        reason="illegal address",
        flops=1,
        bytes_moved=1,
    )


def _ceiling(key: GroupKey) -> Ceiling:
    quantity, name, kernel = key
    return Ceiling(
        device="cpu:0", quantity=quantity, name=name, kernel=f"{kernel}/4x256", status="failed", reason="no"
    )


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> type[FakeWorker]:
    """A fresh stand-in for the worker process."""

    class Fresh(FakeWorker):
        pass

    monkeypatch.setattr(device_run, "Worker", Fresh)
    return Fresh


def _plan(device: Device, suite: str = SUITE, **fields: Any) -> DevicePlan:
    return make_plan(parse(suite, "many"), device, RunOptions(ceilings=False, **fields))


@pytest.mark.parametrize("loss", [WorkerLost, ContextLost])
def test_a_kernel_that_always_kills_costs_two_workers(
    cpu: Device, worker: type[FakeWorker], loss: type[WorkerLost]
) -> None:
    """Its other cases give the first reason, and no third worker is started for them."""
    plan, lines = _plan(cpu), list[Any]()
    worker.kernel, worker.loss = plan.cases[0].kernels[0].name, loss
    DeviceRun(plan, lines.append).run()
    guilty = [line for line in lines if line.kernel == worker.kernel]

    assert worker.starts == 2
    assert len(lines) == plan.timed
    assert len(guilty) == 8
    assert sum("brought the worker down twice (first: " in line.reason for line in guilty) == 6
    assert all(line.status == "failed" for line in guilty)


def test_a_kernel_that_hangs_costs_two_time_limits(cpu: Device, worker: type[FakeWorker]) -> None:
    """Of its eight cases two are waited for, and the other kernels are measured by a third worker."""
    plan = _plan(cpu, SUITE.replace('"fp32"', '"fp32", "int4-w4a16"'), case_timeout_s=20.0)
    lines = list[Any]()
    worker.kernel, worker.hangs = plan.cases[0].kernels[0].name, True
    DeviceRun(plan, lines.append).run()
    hung = [line for line in lines if line.kernel == worker.kernel]

    assert worker.waited_s == 2 * 20.0
    assert worker.starts == 3
    assert len(hung) == 8
    assert {line.status for line in hung} == {"failed"}
    assert len({line.kernel for line in lines}) > 1
    assert len(lines) == plan.timed


def test_deaths_count_over_all_processes_of_a_device(cpu: Device, worker: type[FakeWorker]) -> None:
    """The second process of a run does not try it again."""
    plan, deaths = _plan(cpu), dict[str, list[str]]()
    worker.kernel = plan.cases[0].kernels[0].name
    for _ in range(2):
        DeviceRun(plan, lambda _: None, deaths=deaths).run()

    assert len(deaths[worker.kernel]) == 2


def test_anchors_that_hang_cost_a_minute_each_time(cpu: Device, worker: type[FakeWorker]) -> None:
    """At the start and at the end of a process 60 s are waited, and every case is measured between them."""
    plan, lines = _plan(cpu, anchors=True), list[Any]()
    DeviceRun(plan, lines.append).run()

    assert worker.waited_s == 2 * 60.0
    assert len(lines) == plan.timed


@pytest.mark.parametrize(("more", "dropped"), [(0, 0), (1, 1)])
def test_of_a_long_log_the_last_mebibyte_is_kept(
    cpu: Device, worker: type[FakeWorker], tmp_path: Path, more: int, dropped: int
) -> None:
    """A log of 1 MiB stays whole; of one that is a byte longer the first byte goes."""
    log, written = tmp_path / "worker.log", b"ab" * (1 << 19) + b"c" * more
    log.write_bytes(written)
    DeviceRun(_plan(cpu), lambda _: None, log).run()
    kept = log.read_bytes() == written[dropped:]

    assert kept  # not the bytes: pytest would look for the difference of a mebibyte for minutes


@pytest.mark.parametrize("loss", [WorkerLost, ContextLost])
def test_a_ceiling_that_is_lost_costs_itself_only(
    cpu: Device, worker: type[FakeWorker], loss: type[WorkerLost]
) -> None:
    """The third of four: the fourth is measured by a new worker, and the third has its line."""
    worker.ceiling, worker.loss = "copy", loss
    lines = list[Any]()
    plan = make_plan(parse(SUITE, "many"), cpu, RunOptions(ceilings=True))
    DeviceRun(plan, lines.append).run()
    ceilings = [line for line in lines if isinstance(line, Ceiling)]

    assert [line.name for line in ceilings] == ["read", "write", "copy", "triad"]
    assert worker.starts == 2


@pytest.mark.parametrize(
    ("measured", "done"),
    [(False, GROUPS[:2]), (True, GROUPS[:3])],
    ids=["interrupted among the ceilings", "past the ceilings"],
)
def test_resume_knows_which_ceilings_are_missing(measured: bool, done: tuple[GroupKey, ...]) -> None:
    """The group that was being measured is measured again; a finished group is not."""
    whole = cpu_run()
    run = Run(path=whole.path, info=whole.info)
    device = run.info.devices[0].id
    run.ceilings = [_on(device, _ceiling(key)) for key in GROUPS[:3]]
    run.measurements = whole.measurements[:1] if measured else []
    (plan, *_) = resumed_job(run, run.info.devices).plans

    assert plan.ceilings
    assert plan.ceilings_done == done


def _on(device: str, ceiling: Ceiling) -> Ceiling:
    from msgspec.structs import replace

    return replace(ceiling, device=device)


def test_what_left_the_group_of_a_dead_worker_is_ended_with_it() -> None:
    """A child in a session of its own, whose parent has died, is found by the mark that it inherited."""
    marked = {**os.environ, "QUANTROOF_WORKER": "of this test"}
    started = subprocess.run(
        ["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"],
        env=marked,
        capture_output=True,
        text=True,
        check=True,
    )
    orphan = psutil.Process(int(started.stdout))
    end_marked("of another")
    assert orphan.is_running()
    end_marked("of this test")

    for _ in range(200):
        if not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.01)
    pytest.fail("it still runs")
