"""The fleet's judgement in the simulated world, beside the rules of other tools on the same data.

`python -m tests.fleet.simulate docs/measured/fleet-simulation.md` makes the whole table. Seeds used while the
thresholds were chosen start with TUNING to JUDGING - 1, those of the table with JUDGING; they share no draw.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.past import change_from_past
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import preflight
from quantroof.fleet.scores import (
    Mask,
    Scores,
    Siblings,
    below_floor,
    confirmed_by_retest,
    defective,
    expected_below,
    learn_siblings,
    score,
)
from quantroof.hwprofiles.types import PcieLink
from tests.builders import gpu_device
from tests.fleet.world import PLANTED, SimulatedFleet
from tests.gate.bounds import upper_bound

TUNING, JUDGING = 1, 4
GPUS = 1024
OURS, BELOW, PAST, SCREEN = "`defective`", "`below policy`", "slower than its own past", "before the re-test"
SUPERBENCH = "any case 5 % slower than the mean of those that pass, as SuperBench does"
FLOOR = "any case 25 % slower than the median, as DCGM's floors"
ANY_CASE = "any case 4 spreads slower than the median"
KINDS = ("healthy", *PLANTED)


@dataclass
class Tally:
    """How many GPUs of each kind a rule flagged, over all sweeps."""

    flagged: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, flags: Mask, kinds: list[str]) -> None:
        """Count one sweep."""
        for flag, kind in zip(flags, kinds, strict=True):
            self.seen[kind] += 1
            self.flagged[kind] += bool(flag)

    def share(self, kind: str) -> float:
        """Share of the GPUs of a kind that were flagged."""
        return self.flagged[kind] / self.seen[kind]


@dataclass
class Outcome:
    """Tallies by rule, and what the policy expects of healthy GPUs."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    expected: list[float] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)


def experiment(kind: int, sweeps: int, gpus: int = GPUS) -> Outcome:
    """Many sweeps, each over a fleet of its own."""
    outcome = Outcome()
    for number in range(sweeps):
        fleet = SimulatedFleet(gpus, np.random.default_rng((kind, number)))
        for rule, flags in one_sweep(fleet, Policy(), outcome).items():
            outcome.tallies.setdefault(rule, Tally()).add(flags, fleet.kind)
    return outcome


def one_sweep(fleet: SimulatedFleet, policy: Policy, outcome: Outcome) -> dict[str, Mask]:
    """Measure every GPU, re-measure suspects, and ask every rule."""
    before, now = fleet.sweep(sound=True), fleet.sweep()
    siblings = learn_siblings(now, fleet.class_weights)
    found = score(now, fleet.class_weights, siblings, policy)
    screened = defective(found, policy)
    confirmed = _confirmed(fleet, found, screened, siblings, policy)
    evident = _preflight(fleet, policy)
    slower = change_from_past(now, before, fleet.class_weights, policy)[1].any(axis=1)
    outcome.expected.append(float(expected_below(siblings, policy).sum()))
    outcome.suspects.append(int(screened.any(axis=1).sum()))
    return {
        OURS: np.asarray(confirmed | evident),
        BELOW: np.asarray(below_floor(found, siblings, policy).any(axis=1)),
        PAST: np.asarray(slower),
        SCREEN: np.asarray(screened.any(axis=1) | evident),
        **rivals(now),
    }


def rivals(log_ns: Array) -> dict[str, Mask]:
    """Other tools' rules on the same run statistics [gpus, cases]."""
    beside = log_ns - np.median(log_ns, axis=0)
    spread = 1.4826 * np.median(np.abs(beside), axis=0)
    return {
        SUPERBENCH: superbench(np.exp(log_ns)),
        FLOOR: np.asarray(beside.max(axis=1) > np.log(1 / 0.75)),
        ANY_CASE: np.asarray((beside / spread).max(axis=1) > 4),
    }


def superbench(times: Array) -> Mask:
    """Drop violators of 5 % from the mean and compute it again, until nobody violates."""
    keep = np.ones(times.shape, dtype=bool)
    while True:
        mean = np.nanmean(np.where(keep, times, np.nan), axis=0)
        violates = keep & (times / mean > 1.05)
        if not violates.any():
            return np.asarray((times / mean > 1.05).any(axis=1))
        keep &= ~violates


def _confirmed(
    fleet: SimulatedFleet, found: Scores, screened: Mask, siblings: Siblings, policy: Policy
) -> Mask:
    suspects = np.nonzero(screened.any(axis=1))[0]
    confirmed = np.zeros(len(screened), dtype=bool)
    if len(suspects):
        repeated = score(fleet.sweep(suspects.tolist(), 10), fleet.class_weights, siblings, policy)
        first = Scores(found.level[suspects], found.slow_cases[suspects], found.p[suspects])
        confirmed[suspects] = (screened[suspects] & confirmed_by_retest(first, repeated, policy)).any(axis=1)
    return confirmed


def _preflight(fleet: SimulatedFleet, policy: Policy) -> Mask:
    """The shipped preflight on what NVML would have told of every GPU."""
    population = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", True)
    units = []
    for gpu, kind in enumerate(fleet.kind):
        link = PcieLink(generation=5, width=8 if kind == "pcie" else 16, max_generation=5, max_width=16)
        device = msgspec.structs.replace(gpu_device(gpu), pcie=link)
        slow = round(float(fleet.fault_share[gpu]) * fleet.cases)
        units.append(
            Unit(
                "sweep", "", f"node-{gpu // 8}", device, population, rows=fleet.cases, faulty_clock=slow,
                ecc_errors=37 if kind == "ecc" else 0,
            )
        )  # fmt: skip
    findings, _ = preflight(units, policy)
    return np.array([bool(some) for some in findings])


def table(outcome: Outcome, sweeps: int) -> list[str]:
    """The Markdown table."""
    ours, below = outcome.tallies[OURS], outcome.tallies[BELOW]
    planted = ", ".join(f"{count} {kind}" for kind, count in PLANTED.items())
    lines = [
        f"{sweeps} sweeps of {GPUS} GPUs; planted a sweep: {planted}.",
        "",
        f"| rule | {' | '.join(KINDS)} |",
        "|" + "---|" * (1 + len(KINDS)),
    ]
    for rule, tally in outcome.tallies.items():
        shares = [f"{tally.share('healthy'):.3%}", *(f"{tally.share(kind):.0%}" for kind in PLANTED)]
        lines.append(f"| {rule} | {' | '.join(shares)} |")
    flagged, seen = ours.flagged["healthy"], ours.seen["healthy"]
    expected, actual = float(np.mean(outcome.expected)), below.share("healthy")
    return [
        *lines,
        "",
        f"`defective`: {flagged} of {seen} healthy GPUs, upper 95 % bound {upper_bound(flagged, seen):.3%}.",
        f"Measured again: {np.mean(outcome.suspects):.1f} GPUs a sweep.",
        f"`below policy`: {expected:.2%} of healthy GPUs expected, {actual:.2%} seen.",
        "",
    ]


def made() -> str:
    """When, and with which numpy: what another run of the script is compared with."""
    return f"Made on {datetime.now(UTC).date()} with numpy {np.__version__}."


INTRODUCTION = """\
# Fleet judgement in a simulated world

SIMULATED: no figure here was measured on any device. `scripts/fleet_simulation.sh` makes this page from
`tests/fleet/world.py`: the noise of `tests/fleet/noise.py`, 200 cases a GPU in 5 processes, healthy GPUs
that spread by 2 % in compute and 0.6 % in bandwidth. Planted: compute -8 %, memory bandwidth -5 %, 10 of 200
cases -8 %, throttling (12 % slower in 6 of 10 processes, seen by NVML in half of those lines), PCIe on 8 of
16 lanes, a storm of memory errors. One healthy GPU in a hundred shows a single line with a slowdown reason.
Each column is the share of such GPUs that a rule flags. Thresholds were chosen on other seeds.

"""


def main() -> None:
    """Write the table to the file that is named; the number of sweeps may follow."""
    sweeps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    outcome = experiment(JUDGING, sweeps)
    lines = [*table(outcome, sweeps), made(), ""]
    Path(sys.argv[1]).write_text(INTRODUCTION + "\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
