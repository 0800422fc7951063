"""Runs for the gate's tests: of the simulated device, and of many cases made up. No figure is a result."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from quantroof.bench.run import execute, new_job
from quantroof.gate.baseline import Baseline
from quantroof.gate.learning import learn_baseline
from quantroof.gate.times import RunTimes, run_times
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.lines import Anchor, AnchorName, Ceiling, Measurement, Moment
from quantroof.records.run import RunOptions
from tests.builders import gpu_device, info, measurement, run, timing

PAIRS = 10
SUITE = """
schema = "quantroof-suite/1"
name = "gated"
[[sweep]]
shapes = [{n = 4096, k = 4096}]
m = [1, 16, 2048]
formats = ["bf16", "int4-w4a16"]
"""


class Silent:
    """An observer that says nothing."""

    def line(self, line: Ceiling | Measurement) -> None:
        """Nothing."""


def simulated(directory: Path, seed: int, processes: int = 5) -> Run:
    """One run on the simulated device with ceilings and anchors; a later provider changes no count."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    suite = directory.parent / "gated.toml"
    suite.write_text(SUITE)
    run_options = RunOptions(
        suite=str(suite), devices=("sim:h100-sxm5-80gb",), processes=processes, seed=seed, anchors=True,
        providers=("torch", "triton"),
    )  # fmt: skip
    job = new_job(run_options, select(Detection(devices=()), run_options.devices), ("quantroof", "run"))
    with RunWriter.create(directory, job.info) as writer:
        execute(job, writer, Silent())
    return read_run(directory)


def changed(original: Run, edit: Callable[[Measurement], Measurement | None]) -> Run:
    """A run with every measurement edited, or dropped where the edit says None."""
    edited = [edit(line) for line in original.measurements]
    return Run(
        path=original.path,
        info=msgspec.structs.replace(original.info, run_id=f"{original.info.run_id}-changed"),
        ceilings=original.ceilings,
        anchors=original.anchors,
        measurements=[line for line in edited if line is not None],
        ends=original.ends,
    )


def slower(line: Measurement, share: float) -> Measurement:
    """The measurement with all of its times longer."""
    if line.timing is None:
        return line
    samples = tuple(value * (1 + share) for value in line.timing.samples_ns)
    return msgspec.structs.replace(line, timing=msgspec.structs.replace(line.timing, samples_ns=samples))


def made_up(seed: int, cases: int, processes: int = 5) -> Run:
    """A run of a made-up GPU with any number of cases, three samples each."""
    source, device = random.Random(seed), gpu_device()
    lines = [
        msgspec.structs.replace(
            measurement(device, "bf16", 1 + number, (4096, 4096), _noisy(source, 20_000 + number), count=3,
                        spread=0.002, seed=seed * 10 + process),
            process=process,
        )
        for number in range(cases)
        for process in range(processes)
    ]  # fmt: skip
    made = run(info([device], run_id=f"made-{seed}"), lines, Path(f"made-{seed}"))
    made.anchors += [_anchor(name, moment, process, source) for process in range(processes)
                     for moment in ("start", "end") for name in ("gemm", "copy")]  # fmt: skip
    return made


def learned(runs: list[Run]) -> Baseline:
    """The baseline of some runs."""
    return learn_baseline([run_times(one) for one in runs], PAIRS)


def times(one: Run) -> RunTimes:
    """What a gate reads of a run."""
    return run_times(one)


def case_id(m: int) -> str:
    """The id of a made-up case."""
    return Case.linear(SCHEMES["bf16"], m, 4096, 4096).id


def _noisy(source: random.Random, center: float) -> float:
    return center * math.exp(source.gauss(0, 0.004))


def _anchor(name: AnchorName, moment: Moment, process: int, source: random.Random) -> Anchor:
    center = 1.4e6 if name == "gemm" else 7e5
    return Anchor(
        device="cuda:0", name=name, moment=moment, process=process, status="ok",
        timing=timing(center * math.exp(source.gauss(0, 0.001)), count=3, spread=0.001, seed=process),
    )  # fmt: skip
