"""Anchors: a library GEMM and a large copy, timed at the start and the end of every process of a gated run.

They contain no kernel of this project, so a change in them is a change of the machine. A gate divides the
time of a case by the anchor of its bottleneck, and gives no verdict on a run whose anchors moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from quantroof.bench.failures import reason
from quantroof.bench.measure import Bench, time_prepared
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Prepared
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import own
from quantroof.kernels.schemes import SCHEMES
from quantroof.kernels.stream.torch_stream import stream_kernels
from quantroof.records.lines import Anchor, AnchorName, Moment

_LIBRARY = "torch.linear"
_PRECISION = 0.002
_SECONDS = 0.5
# Half a second of work at most. At 8192^3 the power limit of an H200 sets the clock, so that the anchor would
# move by itself; at 4096^3 it holds its highest clock. A CPU without bf16 instructions multiplies bf16 in
# software: fp32 there.
_GEMM = {
    "gpu": Case.linear(SCHEMES["bf16"], 4096, 4096, 4096),
    "cpu": Case.linear(SCHEMES["fp32"], 256, 2048, 2048),
}


def measure_anchors(bench: Bench, moment: Moment) -> Iterator[Anchor]:
    """Time both anchors now; the record of one that cannot be timed has the reason."""
    settings = msgspec.structs.replace(
        bench.settings, precision=_PRECISION, seconds_per_case=_SECONDS, mode="burst", cache="cold"
    )
    quick = replace(bench, settings=settings)
    yield _anchor(quick, "gemm", moment, _gemm)
    yield _anchor(quick, "copy", moment, _copy)


def _anchor(bench: Bench, name: AnchorName, moment: Moment, build: Any) -> Anchor:
    try:
        amount, prepared = build(bench)
        timing, state, flags = time_prepared(bench, prepared)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; a gate sees the failed anchor
        why = reason(error, f"anchor {name}")
        return Anchor(device=bench.device.id, name=name, moment=moment, status="failed", reason=why)
    return Anchor(
        device=bench.device.id,
        name=name,
        moment=moment,
        status="ok",
        timing=timing,
        state=state,
        flags=flags,
        **amount,
    )


def _gemm(bench: Bench) -> tuple[dict[str, int], Prepared]:
    case = _GEMM[bench.device.processor]
    prepared = own().kernels[_LIBRARY].build(Problem(case, bench.device, bench.settings.seed))
    assert isinstance(prepared, Prepared)
    return {"flops": case.flops}, prepared


def _copy(bench: Bench) -> tuple[dict[str, int], Prepared]:
    stream = next(kernel for kernel in stream_kernels(bench.device) if kernel.name == "copy")
    return {"bytes_moved": stream.bytes_moved(bench.device)}, stream.build(bench.device)
