"""One point per case and kernel out of all its processes."""

from __future__ import annotations

from msgspec.structs import replace

from quantroof.analysis.device_results import device_results
from quantroof.records.lines import Measurement
from tests.builders import ceilings, gpu_device, info, measurement, run
from tests.runs import GPU_BANDWIDTH, GPU_RATES


def test_the_guard_judges_the_process_that_the_point_shows() -> None:
    """A first process that failed does not hide that the second is far above the roof."""
    device = gpu_device()
    fast = measurement(device, "bf16", 1, (8192, 28672), 60_000)
    failed = replace(fast, status="failed", reason="out of memory", timing=None, accuracy=None)

    def codes(lines: list[Measurement]) -> set[str]:
        built = run(info([device]), [*ceilings(device, GPU_BANDWIDTH, GPU_RATES), *lines])
        (point,) = device_results([built])[0].points
        return {flag.code for flag in point.flags}

    assert codes([failed, replace(fast, process=1)]) == codes([fast]) >= {"impossible", "above_roof"}
    assert codes([failed]) == set()
