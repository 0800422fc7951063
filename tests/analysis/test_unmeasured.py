"""Cases without a time: a reason that several devices share is one group."""

from __future__ import annotations

import pytest

from quantroof.analysis.device_results import device_results
from quantroof.analysis.unmeasured import unmeasured
from tests.builders import LAYERS, gpu_device, info, run
from tests.builders import unmeasured as line


@pytest.mark.parametrize(("count", "where"), [(1, "cuda:0"), (3, "3 of 4 devices"), (4, "all 4 devices")])
def test_a_shared_reason_is_one_group(count: int, where: str) -> None:
    """Two cases of one reason on several of four GPUs are one group that names how many GPUs have it."""
    devices = [gpu_device(index) for index in range(4)]
    lines = [
        line(device, "int8-w8a8", m, LAYERS[0], "skipped", "needs M > 16")
        for device in devices[:count]
        for m in (1, 8)
    ]
    group = unmeasured(device_results([run(info(devices), lines)]))[0]

    assert (len(group.cases), group.records, group.where) == (2, 2 * count, where)


def test_a_limit_that_several_sizes_exceed_is_one_group() -> None:
    """The size that was asked for stands in the cases, not in the reason; other reasons stay apart."""
    device = gpu_device(0)
    lines = [
        line(device, "int4-w4a16", m, LAYERS[0], "skipped", f"takes at most 8 rows, not {m}")
        for m in (16, 64)
    ]
    lines.append(line(device, "bf16", 1, LAYERS[0], "skipped", "takes 16 rows"))
    groups = unmeasured(device_results([run(info([device]), lines)]))

    assert [(group.reason, len(group.cases)) for group in groups] == [
        ("takes at most 8 rows", 2),
        ("takes 16 rows", 1),
    ]
