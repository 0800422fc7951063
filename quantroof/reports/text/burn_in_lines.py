"""What `quantroof doctor --burn-in` prints and writes as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quantroof.reports.text.fleet_lines import speed

if TYPE_CHECKING:
    from quantroof.fleet.analysis import GpuResult
    from quantroof.fleet.burn_in import BurnInResult
    from quantroof.fleet.node import GpuReport


def estimate_line(devices: int, once_s: float, again_s: float) -> str:
    """How long it takes at most, for everybody who waits."""
    what = f"burst and sustained load on {devices} device{'' if devices == 1 else 's'} at once"
    if not once_s:
        return f"{what}: no time (simulated)"
    return f"{what}: at most about {once_s / 60:.1f} min, {again_s / 60:.1f} if something must be repeated"


def burn_in_lines(outcome: BurnInResult) -> Iterator[str]:
    """The node's verdict with its reason, a line a GPU, remarks, and where the runs lie."""
    found = outcome.verdict
    if found.simulated:
        yield "SIMULATED: no figure below was measured on any device"
    yield f"node {found.node}: {found.verdict}" + (f": {found.reason}" if found.reason else "")
    width = max(len(gpu.device.id) for gpu in found.gpus)
    yield f"{'GPU':<{width}}  verdict     memory  compute     past  read  why"
    yield from (_gpu_line(gpu, width) for gpu in found.gpus)
    yield from (f"  {remark}" for remark in found.remarks)
    yield from (str(directory) for directory in outcome.directories)


def burn_in_document(outcome: BurnInResult) -> dict[str, Any]:
    """Everything, for programs: changes of speed are relative, -0.05 is 5 % slower."""
    found = outcome.verdict
    return {
        "node": found.node,
        "verdict": found.verdict,
        "reason": found.reason,
        "simulated": found.simulated,
        "gpus": [_gpu(gpu) for gpu in found.gpus],
        "remarks": list(found.remarks),
        "problems": list(found.problems),
        "runs": [str(directory) for directory in outcome.directories],
    }


def _gpu_line(gpu: GpuReport, width: int) -> str:
    """The slower of both modes stands in each column."""
    judged = list(gpu.judged.values())
    memory, compute = (_slowest([one.level[name] for one in judged]) for name in ("memory", "compute"))
    past = _slowest([level for one in judged for level in one.past.values()])
    reads = [one.datasheet["read"] for one in judged if "read" in one.datasheet]
    read = f"{min(reads):.0%}" if reads else "-"
    why = "; ".join(finding.text for finding in gpu.reasons)
    levels = "  ".join(f"{speed(level):>7}" for level in (memory, compute, past))
    return f"{gpu.device.id:<{width}}  {gpu.verdict:<10}  {levels}  {read:>4}  {why}".rstrip()


def _slowest(levels: list[float | None]) -> float | None:
    return max((level for level in levels if level is not None), default=None)


def _gpu(gpu: GpuReport) -> dict[str, Any]:
    return {
        "device": gpu.device.id,
        "name": gpu.device.name,
        "uuid": gpu.device.uuid,
        "verdict": gpu.verdict,
        "reasons": [{"grade": f.grade, "code": f.code, "text": f.text} for f in gpu.reasons],
        "modes": {mode: _mode(judged) for mode, judged in gpu.judged.items()},
    }


def _mode(judged: GpuResult) -> dict[str, Any]:
    return {
        "run_id": judged.unit.run_id,
        "against_siblings": _changes(judged.level),
        "against_past": _changes(judged.past),
        "against_reference": _changes(judged.reference),
        "share_of_datasheet": judged.datasheet,
    }


def _changes(levels: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if level is None else math.expm1(-level) for name, level in levels.items()}
