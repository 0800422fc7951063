"""Planted on simulated devices: the first sentence names the cause, and no other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec.structs import replace

from quantroof.analysis.cause import compare_runs
from quantroof.analysis.device_results import device_results
from quantroof.bench.run import execute, new_job
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.lines import Ceiling, Measurement
from quantroof.records.run import RunOptions

SUITE = """
schema = "quantroof-suite/1"
name = "tiny"
[[sweep]]
shapes = [{n = 4096, k = 4096}, {n = 14336, k = 4096}]
m = [1, 16, 4096]
formats = ["bf16", "fp8-w8a8", "int4-w4a16"]
"""


class _Quiet:
    def line(self, line: Ceiling | Measurement) -> None:
        """Nothing is shown."""


@cache
def simulated(fault: str = "", processes: int = 3) -> Run:
    """A run on one simulated H100, in three processes."""
    with TemporaryDirectory() as folder:
        suite = Path(folder) / "tiny.toml"
        suite.write_text(SUITE)
        devices = select(Detection(devices=()), [f"sim:h100-sxm5-80gb{fault}"])
        job = new_job(RunOptions(suite=str(suite), processes=processes), devices, ("test",))
        with RunWriter.create(Path(folder) / "run", job.info) as writer:
            execute(job, writer, _Quiet())
        return read_run(Path(folder) / "run")


def _changed(run: Run, line: Callable[[Measurement], Measurement], **header: object) -> Run:
    lines = [line(m) for m in run.measurements]
    return Run(run.path, replace(run.info, **header), run.ceilings, run.anchors, lines, run.ends)


def _slower(line: Measurement, factor: float, clock: float = 1.0) -> Measurement:
    if line.timing is None or line.state is None:
        return line
    samples = tuple(sample * factor for sample in line.timing.samples_ns)
    mhz = None if line.state.sm_clock_mhz is None else line.state.sm_clock_mhz * clock
    return replace(
        line,
        timing=replace(line.timing, samples_ns=samples),
        state=replace(line.state, sm_clock_mhz=mhz),
    )


def _clock_fell(run: Run) -> Run:
    return _changed(run, lambda line: _slower(line, 1 / 0.95, 0.95))


def _kernels_slower(run: Run) -> Run:
    hashes = {m.kernel: "before" for m in run.measurements}
    run.info = replace(run.info, kernel_sources=hashes)
    changed = {m.kernel: "after" for m in run.measurements if "int4" in m.case}
    return _changed(
        run,
        lambda line: _slower(line, 1.1) if "int4" in line.case else line,
        kernel_sources={**hashes, **changed},
    )


def _other_driver(run: Run) -> Run:
    devices = tuple(replace(device, driver="590.01") for device in run.info.devices)
    return _changed(run, lambda line: _slower(line, 1.1), devices=devices)


def _everything_slower(run: Run) -> Run:
    return _changed(run, lambda line: _slower(line, 1.1))


def _with_driver(run: Run) -> Run:
    devices = tuple(replace(device, driver="580.01") for device in run.info.devices)
    return _changed(run, lambda line: line, devices=devices)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (lambda _: simulated("+memory@0"), "the DRAM read ceiling fell 8."),
        (_clock_fell, "the SM clock fell 5.0 %"),
        (_kernels_slower, "the code, not the device"),
        (_other_driver, "the driver changed from 580.01 to 590.01"),
        (lambda _: simulated("+busy@0"), "now run is disturbed"),
        (_everything_slower, "no cause found"),
    ],
    ids=["memory", "clock", "kernels", "driver", "load", "unexplained"],
)
def test_the_first_sentence_names_the_cause(now: Callable[[Run], Run], words: str) -> None:
    """Memory, clock, kernels, driver and load, each planted alone; without a cause it says so."""
    base = _with_driver(simulated())
    later = now(base)
    if later.info.devices[0].driver is None:
        later = _with_driver(later)
    comparison = compare_runs(device_results([base]), device_results([later]), floor=0.03)

    assert words in comparison.summary


def test_cases_of_a_slow_memory_are_grouped_by_their_bound() -> None:
    """Memory 8 % slower: the memory-bound cases are, the compute-bound ones are unchanged."""
    comparison = compare_runs(device_results([simulated()]), device_results([simulated("+memory@0")]))
    first, _, why = comparison.summary.partition("; ")

    assert "32 memory-bound cases are 7." in first
    assert "compute-bound cases are unchanged" in first
    assert why.endswith("the device, not the code")


def test_one_process_per_side_differs() -> None:
    """The sentence keeps to `differ` where one process per side is all there is."""
    once, later = simulated(processes=1), simulated("+memory@0", processes=1)
    comparison = compare_runs(device_results([once]), device_results([later]))

    assert (comparison.count("slower"), comparison.verdict) == (0, "undecided")
    assert "differ, " in comparison.summary
    assert "the DRAM read ceiling fell" in comparison.summary
