"""The shipped gate in five simulated worlds, beside the rules of other tools on the same data.

`python -m tests.gate.simulate docs/measured/gate-simulation.md` makes the whole page. Seeds used while the
procedure was chosen start with TUNING, those of the page with JUDGING; they share no draw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.errors import ExitCode
from quantroof.gate.confirm import Mask
from tests.gate import rivals
from tests.gate.bounds import upper_bound
from tests.gate.trial import Outcome, Trial
from tests.gate.world import WORLDS, Sizes, World

TUNING, JUDGING = 1, 3
DAYS = 24
SLOWED = 10
SLOWDOWNS = (0.02, 0.03, 0.05, 0.10)
DETECTABLE = -1.0
"""In place of a slowdown: every case by what the gate claims to find in it."""
POOLED = 30
RIVAL_DAYS = 3
"""The other tools are asked every third day."""
OURS = "this gate"
RIVALS: dict[str, tuple[Callable[[Array, Array], Mask], int]] = {
    "pytest-benchmark mean:5%": (rivals.pytest_benchmark, 1),
    "asv, factor 1.1": (rivals.asv, 2),
    "nvbench-compare": (rivals.nvbench, 1),
    "nvbench-compare, robust": (rivals.nvbench_robust, 1),
    "Google Benchmark, U test 0.05": (rivals.google_benchmark, 1),
}
"""Each with the processes its tool runs; all have the 30 samples per case that the gate starts with."""


@dataclass
class Tally:
    """What a gate did over many runs."""

    runs: int = 0
    runs_with_false_alarm: int = 0
    found: int = 0
    slowed: int = 0

    def add(self, flagged: Mask, slow: Mask) -> None:
        """Count one run."""
        self.runs += 1
        self.runs_with_false_alarm += bool((flagged & ~slow).any())
        self.found += int((flagged & slow).sum())
        self.slowed += int(slow.sum())

    @property
    def alarm_rate(self) -> float:
        """Share of runs with any false alarm."""
        return self.runs_with_false_alarm / self.runs

    @property
    def power(self) -> float:
        """Share of the slowed cases that were found."""
        return self.found / self.slowed


@dataclass
class Experiment:
    """Many checks in worlds of one kind: tallies by gate, and what each check of ours did."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, name: str, flagged: Mask, slow: Mask) -> None:
        """Count one run of a gate."""
        self.tallies.setdefault(name, Tally()).add(flagged, slow)

    def share(self, holds: Callable[[Outcome], bool]) -> float:
        """The share of our checks for which something holds."""
        return sum(map(holds, self.outcomes)) / len(self.outcomes)

    def mean(self, number: Callable[[Outcome], int]) -> float:
        """The mean of a number over our checks."""
        return sum(map(number, self.outcomes)) / len(self.outcomes)


def experiment(
    sizes: Sizes, seed: tuple[int, ...], slowdown: float, worlds: int, *, others: bool = True
) -> Experiment:
    """Learn a baseline in each of some fresh worlds, and check it on 24 days, with some cases slowed."""
    result = Experiment()
    for number in range(worlds):
        random = np.random.default_rng((*seed, round(slowdown * 1000) % 1000, number))
        trial = Trial(World(sizes, random))
        saved = {count: _pooled(trial.world, count) for count in (1, 2)}
        claimed = trial.detectable()
        for day in range(DAYS):
            trial.world.next_day()
            slow = np.zeros(sizes.cases, dtype=bool)
            if slowdown:
                slow[random.choice(sizes.cases, SLOWED, replace=False)] = True
            changes = slow * (claimed if slowdown == DETECTABLE else slowdown)
            outcome = trial.check(changes)
            result.outcomes.append(outcome)
            result.add(OURS, outcome.slower, slow)
            if others and day % RIVAL_DAYS == 0:
                now = {count: _pooled(trial.world, count, changes) for count in (1, 2)}
                for name, (rule, count) in RIVALS.items():
                    result.add(name, rule(saved[count], now[count]), slow)
    return result


def _pooled(world: World, processes: int, slowdown: Array | None = None) -> Array:
    """Times [cases, samples] of a tool that pools what its processes saw."""
    batch = world.measure(processes, POOLED // processes, slowdown)
    return np.asarray(np.exp(batch.log_times.reshape(world.sizes.cases, -1)))


def _null_row(name: str, null: Experiment) -> str:
    tally = null.tallies[OURS]
    bound = upper_bound(tally.runs_with_false_alarm, tally.runs)
    open_ = null.share(lambda o: o.code is ExitCode.UNDECIDED)
    alone = null.share(lambda o: o.code_without_base is ExitCode.UNDECIDED)
    failed_alone = null.share(lambda o: o.code_without_base is ExitCode.FINDING)
    again = null.share(lambda o: o.suspects > 0)
    numbers = (
        f"{tally.runs}", f"{tally.alarm_rate:.2%} (< {bound:.2%})", f"{open_:.2%}", f"{failed_alone:.0%}",
        f"{alone:.1%}", f"{null.mean(lambda o: o.suspects):.1f}", f"{again:.0%}",
        f"{null.mean(lambda o: o.launches):.0f}",
    )  # fmt: skip
    return f"| {name} | {' | '.join(numbers)} |"


def page(worlds: int, power_worlds: int) -> str:
    """The whole page. Every experiment has its own seeds, so the order of the tables decides nothing."""
    nulls, powers = {}, {}
    for kind, (name, sizes) in enumerate(WORLDS.items()):
        nulls[name] = experiment(sizes, (JUDGING, kind), 0.0, worlds)
        for size in (*SLOWDOWNS, DETECTABLE):
            powers[name, size] = experiment(sizes, (JUDGING, kind), size, power_worlds)
    lines = [
        _INTRODUCTION,
        "| world | runs | called slower | exit 4 | no base: exit 1 | exit 4 | suspects | A/B | processes |",
        "|" + "---|" * 9,
        *(_null_row(name, null) for name, null in nulls.items()),
        "",
        _POWER,
        "| world | 2% | 3% | 5% | 10% | what each case claims to detect | exit 4 at 3% |",
        "|" + "---|" * 7,
    ]
    for name in WORLDS:
        found = [powers[name, size].tallies[OURS].power for size in (*SLOWDOWNS, DETECTABLE)]
        open_ = powers[name, 0.03].share(lambda o: o.code is ExitCode.UNDECIDED)
        lines.append(f"| {name} | " + " | ".join(f"{power:.1%}" for power in found) + f" | {open_:.1%} |")
    lines += ["", _BEFORE, _RIVALS.rstrip()]
    for name in WORLDS:
        lines += ["", f"### {name}", "", "| gate | unchanged runs with a false alarm | 2% | 3% | 5% | 10% |"]
        lines.append("|" + "---|" * 6)
        for gate, tally in nulls[name].tallies.items():
            power = " | ".join(f"{powers[name, size].tallies[gate].power:.1%}" for size in SLOWDOWNS)
            lines.append(f"| {gate} | {tally.alarm_rate:.2%} | {power} |")
    return "\n".join([*lines, ""])


_INTRODUCTION = """\
# The gate in simulated worlds

SIMULATED: no figure here was measured on any device. `scripts/gate_simulation.sh` makes this page in four
minutes on one core. The worlds are `tests/gate/world.py`; their sizes are those that public reports give:
sample noise 0.4 % and launch noise 0.43 % (Student's t with 3 degrees of freedom) in the median case,
launches that shift all cases by 0.3 %, of which anchors see 70 %, drift of the machine from day to day, a
walk of every case by 0.05 % a day that no anchor sees, 3 % of cases with two clocks 2.5 % apart, 2 %
outliers, spoiled processes. `pool`: 8 nodes 1 % apart, and 0.3 % by case. `noisy`: launch and sample noise
doubled. `sticky`: a clock state lasts 8 processes. `strong`: cases walk by 0.15 % a day.

200 cases, five processes a run, a baseline of 20 runs, and 24 daily checks of every baseline. The shipped
code learns, screens, asks for pairs and gives the verdict; the seeds were used once.

## Unchanged code

`called slower` has an exact upper 95 % bound. Suspects, and processes of their A/B, are per run. Without a
base build nothing fails; what is slower when measured again is undecided.
"""
_POWER = """\
## Slowdowns that are found

10 of 200 cases are slower; the share of them that is called slower, with a base build. A case that claims
to detect 1.8 % is slowed by 1.8 % in the column of claims.
"""
_RIVALS = """\
## Other tools on the same data

Their decision rules are in `tests/gate/rivals.py` with their sources. Every tool starts with 30 samples a
case, in one process, asv in two. They compare with one saved run of the first day, as they do by default;
nvbench's confirmation by clock cycles has no data here.
"""
_BEFORE = """\
## Before

The rules until November 2026 in the same worlds, 144 runs each: screen at p < 0.01 in both directions, ten
pairs and no more, a stated power of 80 %, and the band as the judge of suspects without a base build.

| world | called slower | exit 4 | no base: exit 1 | suspects | 3% found | what each case claims to detect |
|---|---|---|---|---|---|---|
| plain | 0.00% | 22.9% | 6% | 3.9 | 96.2% | 33.8% |
| pool | 0.00% | 24.3% | 19% | 5.7 | 95.6% | 60.4% |
| noisy | 0.00% | 61.8% | 5% | 7.9 | 85.3% | 57.1% |
| sticky | 0.69% | 20.8% | 18% | 3.6 | 94.8% | 34.4% |
| strong | 0.00% | 52.1% | 74% | 21.7 | 94.6% | 42.5% |
"""


def main() -> None:
    """Write the page to the file that is named."""
    Path(sys.argv[1]).write_text(page(worlds=30, power_worlds=3), encoding="utf-8")


if __name__ == "__main__":
    main()
