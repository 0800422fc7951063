"""The steps of scripts/gpu_acceptance.sh with the seconds that each may take, as tab-separated lines.

Usage: python scripts/gpu_acceptance_plan.py SUITE DEVICE     a device as in `quantroof run --device`
Exit code 1: the plan is longer than the budget.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from quantroof.bench.plan import make_plan
from quantroof.bench.suite import load
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.select import select
from quantroof.records.run import RunOptions

BUDGET_S = 250
SECONDS_PER_CASE = 0.12
# Estimates for an idle machine with an H200; none was measured.
_START_S = 16.0  # a worker imports torch and opens the device; compilers run beside it
_CASE_S = 0.15  # a kernel's set-up, check and settling
_CEILINGS_S = 22.0  # the quick set
_PROFILED = 16
_PROFILED_S = (18.0, 1.3)  # torch under ncu, then each case
_TESTS_S = 34.0  # collection, and 60 compilations in 8 processes
_MARGIN = 1.15


@dataclass(frozen=True, slots=True)
class Step:
    """A step, its limit in whole seconds, and what the limit is made of."""

    name: str
    limit_s: int
    why: str


def steps(suite: str, device: str) -> list[Step]:
    """Every step in its order."""
    kernels = make_plan(load(suite), select(detect(), (device,))[0], RunOptions(ceilings=False)).timed
    cases_s = kernels * (SECONDS_PER_CASE + _CASE_S)
    each = f"{kernels} kernels x {SECONDS_PER_CASE + _CASE_S:.2f} s"
    counters_s = _PROFILED_S[0] + _PROFILED * _PROFILED_S[1]
    return [
        Step("machine", 8, "nvidia-smi"),
        Step("doctor", 20, "two imports of torch from a cold disk"),
        _step("suite", _START_S + _CEILINGS_S + cases_s, f"start, quick ceilings, {each}"),
        _step("counters", counters_s, f"torch under ncu, {_PROFILED} cases"),
        _step("again", _START_S + cases_s, f"start, {each}"),
        _step("gpu_tests", _TESTS_S, "two files in parallel"),
        Step("summary", 8, "tables, archive"),
    ]


def _step(name: str, seconds: float, why: str) -> Step:
    return Step(name, round(seconds * _MARGIN), why)


def main(suite: str, device: str) -> int:
    """Print the plan and its sum."""
    plan = steps(suite, device)
    total = sum(step.limit_s for step in plan)
    for step in plan:
        print(f"{step.name}\t{step.limit_s}\t{step.why}")
    print(f"total\t{total}\tof a budget of {BUDGET_S} s")
    return int(total > BUDGET_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
