"""A run directory of what `gpu_benchmark` measured: every pytest session adds a process, with anchors.

The gate counts processes, not samples. Sessions into the same directory are its processes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from quantroof.bench import provenance
from quantroof.bench.ceilings.anchors import measure_anchors
from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog
from quantroof.kernels.case import CallCase
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.lines import Measurement, Moment
from quantroof.records.run import PYTEST, SCHEMA, RunEnd, RunInfo, RunOptions

if TYPE_CHECKING:
    from quantroof.bench.measure import Bench
    from quantroof.hwprofiles.types import Device
    from quantroof.records.lines import DeviceState, Flag, Timing

_ELEMENTS = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}


class PytestRun:
    """Appends one process to a run directory, or begins one."""

    def __init__(self, directory: Path, bench: Bench) -> None:
        self._bench, self.process = bench, 0
        if directory.is_dir() and any(directory.iterdir()):
            self.process = _next_process(directory, bench.device)
            self._writer = RunWriter.reopen(directory)
        else:
            self._writer = RunWriter.create(directory, _header(bench.device))
        self._seen: set[tuple[str, str]] = set()
        self._anchors("start")

    def add(
        self,
        test: str,
        function: str,
        tensors: tuple[Any, ...],
        timed: tuple[Timing, DeviceState, tuple[Flag, ...]],
    ) -> None:
        """One timed function; a second time in one test raises, because both would have the same case id."""
        timing, state, flags = timed
        element = next((_ELEMENTS[d] for t in tensors if (d := str(t.dtype)) in _ELEMENTS), "fp32")
        case = CallCase.of(_word(test), element, (), 0, sum(t.nbytes for t in tensors))
        key = case.id, _word(function)
        if key in self._seen:
            what = f"'{test}' times '{function}' twice"
            raise UsageError(
                what, where="--quantroof-out", hint="one call of gpu_benchmark per test and function"
            )
        self._seen.add(key)
        self._writer.write(
            Measurement(
                device=self._bench.device.id,
                case=case.id,
                kernel=key[1],
                provider="own",
                status="ok",
                flops=case.flops,
                bytes_moved=case.bytes_moved,
                timing=timing,
                state=state,
                flags=flags,
                process=self.process,
            )
        )

    def end(self, *, complete: bool) -> None:
        """The anchors once more, and the end of this process."""
        self._anchors("end")
        end = RunEnd(finished_at=provenance.now(), outcome="complete" if complete else "interrupted")
        self._writer.write(end)
        self._writer.close()

    def _anchors(self, moment: Moment) -> None:
        for anchor in measure_anchors(self._bench, moment):
            self._writer.write(replace(anchor, process=self.process))


def _header(device: Device) -> RunInfo:
    profile = catalog.match(device)
    return RunInfo(
        schema=SCHEMA,
        run_id=provenance.new_run_id(),
        started_at=provenance.now(),
        command=("pytest",),
        suite=PYTEST,
        suite_source="",
        options=RunOptions(suite=PYTEST, devices=(device.id,), ceilings=False, anchors=True),
        devices=(device,),
        profiles={} if profile is None else {device.id: profile},
        versions=provenance.versions(),
        environment=provenance.environment(),
        host=provenance.host(),
        git=provenance.source_revision(),
    )


def _next_process(directory: Path, device: Device) -> int:
    run = read_run(directory)
    if run.info.suite != PYTEST:
        raise UsageError("holds another run, not one of pytest", where=str(directory))
    first = run.info.devices[0]
    if (first.name, first.uuid, first.driver) != (device.name, device.uuid, device.driver):
        raise UsageError(f"was measured on {first.name}, and this is {device.name}", where=str(directory))
    used = [line.process for line in run.measurements] + [anchor.process for anchor in run.anchors]
    return 1 + max(used, default=-1)


def _word(text: str) -> str:
    """A name of a test or function as part of a case id: letters, digits and `._+-`, 80 at most."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-._+")[:80] or "unnamed"
