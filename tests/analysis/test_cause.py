"""Planted on simulated devices: the first sentence names the cause, and no other."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec.structs import replace

from quantroof.analysis.cause import NO_CAUSE, compare_runs
from quantroof.analysis.device_results import device_results
from quantroof.bench.run import execute, new_job
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.hwprofiles.types import CpuInfo
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


def _with_sources(run: Run, hashes: dict[str, str]) -> Run:
    header = replace(run.info, kernel_sources=hashes)
    return Run(run.path, header, run.ceilings, run.anchors, run.measurements, run.ends)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("memory", "the DRAM read ceiling fell 8."),
        ("clock", "the SM clock fell 5.0 %"),
        ("kernel", "(code_hash SIM.01 to SIM.02): the code, not the device"),
        ("driver", "the driver changed from SIM.01 to SIM.02"),
        ("busy", "the new run is disturbed"),
        ("slow", "no cause found"),
    ],
)
def test_the_first_sentence_names_the_cause(fault: str, words: str) -> None:
    """Memory, clock, kernels, driver and load, each planted alone; without a cause it says so."""
    base, now = simulated(), simulated(f"+{fault}@0")
    sentence = compare_runs(device_results([base]), device_results([now]), floor=0.03).summary

    assert words in sentence
    assert sum(one in sentence for one in ("ceiling", "code_hash", "driver", "disturbed", NO_CAUSE)) == 1


def test_the_environment_is_named_before_the_ceilings_that_follow_it() -> None:
    """A variable that slows the library slows its ceilings as well, and the device is not the cause."""
    base, now = simulated(), simulated("+memory@0")
    plain = Run(base.path, replace(base.info, environment={}), base.ceilings, base.anchors, base.measurements)
    slow = {"NVIDIA_TF32_OVERRIDE": "0"}
    steered = Run(now.path, replace(now.info, environment=slow), now.ceilings, now.anchors, now.measurements)
    changes = compare_runs(device_results([plain]), device_results([steered]), floor=0.03)

    assert "the environment changed: NVIDIA_TF32_OVERRIDE not set -> 0" in changes.summary
    assert "NVIDIA_TF32_OVERRIDE not set -> 0" in changes.differences


def test_instruction_sets_that_are_hidden_are_named_before_the_ceilings() -> None:
    """A CPU of the same name without AVX-512 runs other kernels, and its ceilings follow."""

    def on(run: Run, *sets: str) -> Run:
        cpu = CpuInfo(model="Xeon", physical_cores=8, usable_cores=8, isa=sets)
        header = replace(run.info, devices=tuple(replace(device, cpu=cpu) for device in run.info.devices))
        return Run(run.path, header, run.ceilings, run.anchors, run.measurements)

    base, now = on(simulated(), "avx2", "avx512f"), on(simulated("+memory@0"), "avx2")
    changes = compare_runs(device_results([base]), device_results([now]), floor=0.03)

    assert "the CPU's instruction sets changed: -avx512f" in changes.summary
    assert any(text.endswith("instruction sets -avx512f") for text in changes.differences)


def test_the_source_of_a_kernel_is_named() -> None:
    """Where the header's hashes differ, the kernels whose source changed are the cause."""
    kernels = [m.kernel for m in simulated().measurements if m.timing is not None]
    before = dict.fromkeys(kernels, "before")
    base = _with_sources(simulated(), before)
    now = _with_sources(simulated("+slow@0"), {**before, kernels[0]: "after"})
    sentence = compare_runs(device_results([base]), device_results([now])).summary

    assert f"the source of {kernels[0]} changed: the code, not the device" in sentence


def test_cases_of_a_slow_memory_are_grouped_by_their_bound() -> None:
    """Memory 8 % slower: 29 of 32 memory-bound cases are, in five processes, the compute-bound not."""
    before, after = simulated(processes=5), simulated("+memory@0", processes=5)
    comparison = compare_runs(device_results([before]), device_results([after]))
    first, _, why = comparison.summary.partition("; ")

    assert "29 memory-bound cases are 7." in first
    assert "compute-bound cases are unchanged" in first
    assert why.endswith("the device, not the code")


def test_one_process_per_side_differs() -> None:
    """The sentence keeps to `differ` where one process per side is all there is."""
    once, later = simulated(processes=1), simulated("+memory@0", processes=1)
    comparison = compare_runs(device_results([once]), device_results([later]))

    assert (comparison.count("slower"), comparison.verdict) == (0, "undecided")
    assert "differ, " in comparison.summary
    assert "the DRAM read ceiling fell" in comparison.summary


@pytest.mark.parametrize(
    ("dropped", "words"),
    [(False, "56 cases are unchanged"), (True, "1 case is missing, 55 cases are unchanged")],
)
def test_cases_without_a_time_open_the_sentence(words: str, *, dropped: bool) -> None:
    """A run that lost a case is not called unchanged."""
    base = simulated()
    lost = {line.key for line in base.measurements[:1]} if dropped else set()
    lines = [line for line in base.measurements if line.key not in lost]
    now = Run(base.path, base.info, base.ceilings, base.anchors, lines, base.ends)
    comparison = compare_runs(device_results([base]), device_results([now]))

    assert comparison.summary == words
    assert comparison.simulated
