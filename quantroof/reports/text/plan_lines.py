"""What a plan looks like before it runs: its time, its cases, its refusals with their reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any

from quantroof.bench.plan import DevicePlan
from quantroof.bench.run import Job


def headline(plan: DevicePlan) -> str:
    """`cpu:0 Intel Xeon: 84 cases, 84 measurements, at most about 2.9 min`."""
    what = f"{len(plan.cases)} cases, {plan.timed} measurements"
    return f"{plan.device.id} {plan.device.name}: {what}, {_duration(plan.estimate_s())}"


def plan_lines(job: Job) -> list[str]:
    """The plan as text: the estimate first, then a line a format, then refusals by reason."""
    lines = [f"{_duration(job.estimate_s())} in all; suite {job.info.suite}"]
    for plan in job.plans:
        lines.append(headline(plan))
        lines += [f"  {count:5d} x {what}" for what, count in _measured(plan).items()]
        lines += [f"  skip {count:3d} x {what}" for what, count in _skipped(plan).items()]
    return lines


def plan_document(job: Job) -> dict[str, Any]:
    """The plan as one JSON document."""
    return {
        "suite": job.info.suite,
        "estimate_s": job.estimate_s(),
        "devices": [
            {
                "device": plan.device.id,
                "name": plan.device.name,
                "estimate_s": plan.estimate_s(),
                "cases": [
                    {
                        "case": planned.case.id,
                        "kernels": [k.name for k in planned.kernels],
                        "skipped": [{"kernel": m.kernel, "reason": m.reason} for m in planned.skipped],
                    }
                    for planned in plan.cases
                ],
            }
            for plan in job.plans
        ],
    }


def _duration(seconds: float) -> str:
    """An upper bound: most cases are precise enough before their time is up."""
    return f"at most about {seconds / 60:.1f} min" if seconds else "no time (simulated)"


def _measured(plan: DevicePlan) -> Counter[str]:
    return Counter(f"{p.case.scheme} {kernel.name}" for p in plan.cases for kernel in p.kernels)


def _skipped(plan: DevicePlan) -> Counter[str]:
    return Counter(f"{m.kernel}: {m.reason}" for p in plan.cases for m in p.skipped)
