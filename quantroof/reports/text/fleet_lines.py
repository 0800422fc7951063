"""What `quantroof fleet` prints and writes as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis, GpuResult, PopulationSummary

_GROUPS = 12


def fleet_lines(found: Analysis, top: int) -> Iterator[str]:
    """The headline, what was compared, the worst GPUs by node, groups that differ."""
    counts = Counter(gpu.grade for gpu in found.gpus)
    nodes = found.nodes()
    words = ", ".join(f"{n} {grade}" for grade, n in counts.most_common())
    yield f"{_count(len(found.gpus), 'GPU')} on {_count(len(nodes), 'node')}: {words}"
    for summary in found.populations:
        yield from _population_lines(summary, found.policy.floor)
    shown = found.bad[:top]
    if shown:
        width = max(len(gpu.unit.label) for gpu in shown)
        yield f"{'GPU':<{width}}  {'memory':>7}  {'compute':>7}  {'past':>7}  grade         why"
        yield from (_gpu_line(gpu, width) for gpu in shown)
    if len(found.bad) > top:
        yield f"... {len(found.bad) - top} more: --top, or --json for all"
    for row in [row for row in found.groups if row.differs][:_GROUPS]:
        yield (
            f"{row.attribute} {row.value}: {row.resource} {speed(row.difference)} in the median of "
            f"{row.nodes} nodes beside all others (p = {row.p:.0e})"
        )


def fleet_document(found: Analysis) -> dict[str, Any]:
    """Everything, for programs: changes are relative changes of speed, 0.05 faster, -0.05 slower."""
    import msgspec

    return {
        "policy": msgspec.to_builtins(found.policy),
        "problems": found.problems,
        "populations": [
            {
                **_kind(summary.population), "gpus": summary.gpus, "cases": summary.works,
                "compared": summary.compared, "spread": summary.spread,
                "expected_below_floor": summary.expected_below,
                "remarks": list(summary.remarks),
            }
            for summary in found.populations
        ],
        "nodes": [
            {"node": node, "grade": gpus[0].grade, "gpus": [_gpu(gpu) for gpu in gpus]}
            for node, gpus in found.nodes()
        ],
        "groups": [
            {
                **_kind(row.population), "attribute": row.attribute, "value": row.value,
                "resource": row.resource, "nodes": row.nodes, "change": math.expm1(-row.difference),
                "p": row.p, "differs": row.differs,
            }
            for row in found.groups
        ],
    }  # fmt: skip


def speed(level: float | None) -> str:
    """A log time as a change of speed; a dash where it is not known."""
    return "-" if level is None else f"{math.expm1(-level):+.1%}"


def _population_lines(summary: PopulationSummary, floor: float) -> Iterator[str]:
    head = f"{summary.population}: {_count(summary.gpus, 'GPU')}, {_count(summary.works, 'case')}"
    yield from _comparison(summary, head, floor)
    yield from (f"  {remark}" for remark in summary.remarks)


def _comparison(summary: PopulationSummary, head: str, floor: float) -> Iterator[str]:
    if not summary.compared:
        yield f"{head}; too few to be compared with each other"
        return
    spreads = ", ".join(f"{name} {value:.1%}" for name, value in summary.spread.items())
    yield f"{head}; healthy ones spread by {spreads}"
    expected = ", ".join(f"{name} {share:.2%}" for name, share in summary.expected_below.items())
    yield f"  a floor of {floor:.0%} of the median catches this share of healthy GPUs by chance: {expected}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _gpu_line(gpu: GpuResult, width: int) -> str:
    past = max((v for v in gpu.past.values() if v is not None), key=abs, default=None)
    levels = "  ".join(f"{speed(level):>7}" for level in (*gpu.level.values(), past))
    why = "; ".join(finding.text for finding in gpu.findings)
    return f"{gpu.unit.label:<{width}}  {levels}  {gpu.grade:<12}  {why}"


def _gpu(gpu: GpuResult) -> dict[str, Any]:
    change = {name: None if v is None else math.expm1(-v) for name, v in gpu.level.items()}
    past = {name: None if v is None else math.expm1(-v) for name, v in gpu.past.items()}
    return {
        "device": gpu.unit.device.id,
        "uuid": gpu.unit.device.uuid,
        "run_id": gpu.unit.run_id,
        **_kind(gpu.population),
        "grade": gpu.grade,
        "against_siblings": change,
        "against_past": past,
        "slow_cases": gpu.slow_cases,
        "findings": [{"grade": f.grade, "code": f.code, "text": f.text} for f in gpu.findings],
    }


def _kind(population: Any) -> dict[str, Any]:
    return dict(population._asdict())
