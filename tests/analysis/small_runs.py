"""Small runs of one GPU with exact times and ceilings, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from quantroof.analysis.cause import compare_runs
from quantroof.analysis.comparison import RunComparison
from quantroof.analysis.device_results import device_results
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement
from tests.analysis.lines import at_rate, exact
from tests.builders import ceilings, gpu_device, info, run, state

GPU = gpu_device()
NS = 20_000.0


def case(
    ns: float = NS, *, m: int = 1, processes: int = 3, mhz: float = 1755.0, **rest: Any
) -> list[Measurement]:
    """One bf16 case of some processes that agree to the nanosecond."""
    line = replace(exact(GPU, rest.pop("scheme", "bf16"), ns, m=m), state=state(mhz), **rest)
    return [replace(line, process=process) for process in range(processes)]


def one_gpu(
    lines: Sequence[Measurement],
    *,
    device: Device = GPU,
    read: float = 3e12,
    bf16: float = 7e14,
    versions: dict[str, str] | None = None,
    sources: dict[str, str] | None = None,
) -> Run:
    """A run with these lines, with ceilings of `read` in bytes/s and `bf16` in operations/s."""
    rates = {"read": read, "bf16": bf16}
    largest = {ceiling.name: ceiling for ceiling in ceilings(device, read, {"bf16": bf16})}
    exactly = [at_rate(largest[name], rate) for name, rate in rates.items()]
    built = run(info([device], versions=versions), [*exactly, *lines])
    built.info = replace(built.info, kernel_sources=sources or {})
    return built


def compared(base: Run, now: Run) -> RunComparison:
    """The second run compared with the first, with its summary."""
    return compare_runs(device_results([base]), device_results([now]))


def reason_of(base: Run, now: Run) -> str:
    """What the summary says after the changes: their cause."""
    return compared(base, now).summary.partition("; ")[2]
