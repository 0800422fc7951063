"""The gate's own arithmetic in the simulated world, beside the rules of other tools on the same data.

`python -m tests.gate.simulate docs/measured/gate-simulation.md` makes the whole table. Seeds used while the
procedure was chosen start with TUNING, those of the table with JUDGING; they share no draw.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_process
from quantroof.gate.band import Bands, learn, process_spread
from quantroof.gate.confirm import Mask, confirmed, paired, remeasured, screen, suspects
from tests.gate.rivals import asv, pytest_benchmark, u_test
from tests.gate.world import Batch, Session, Sizes, World

TUNING, JUDGING = 1, 2
PROCESSES, SAMPLES, PAIRS, HISTORY = 5, 6, 10, 20
SLOWED = 10
SLOWDOWNS = (0.02, 0.03, 0.05, 0.10)
THRESHOLD = float(np.log1p(0.01))
OURS, NO_BASE = "this gate: screen, then A/B", "this gate without a base build"
RIVALS: dict[str, tuple[Callable[[Array, Array], Mask], int]] = {
    "pytest-benchmark mean:5%": (pytest_benchmark, 1),
    "asv, factor 1.1": (asv, 2),
    "Mann-Whitney U, 0.05": (u_test, 1),
}
"""Each with the processes its tool runs; all have the 30 samples a case that the gate starts with."""


INTRODUCTION = """\
# The gate in a simulated world

SIMULATED: no figure here was measured on any device. `scripts/gate_simulation.sh` makes this page; the
noise model is `tests/gate/world.py`, its sizes are those that public reports give (sample noise 0.4 % and
process noise 0.4 % in the median case, bimodal cases, drift between sessions, outliers, spoiled processes).
200 cases; the gate has learned from 20 runs. Every tool starts with 30 samples a case: the gate in 5
processes, asv in 2, the others in one, as they do by default. The gate's arithmetic is the shipped one.
Power is the share of slowed cases that a gate flags.
"""


@dataclass
class Tally:
    """What a gate did over many runs."""

    runs: int = 0
    runs_with_false_alarm: int = 0
    false_alarms: int = 0
    found: int = 0
    slowed: int = 0

    def add(self, flagged: Mask, slow: Mask) -> None:
        """Count one run."""
        false = int((flagged & ~slow).sum())
        self.runs += 1
        self.runs_with_false_alarm += false > 0
        self.false_alarms += false
        self.found += int((flagged & slow).sum())
        self.slowed += int(slow.sum())

    @property
    def alarm_rate(self) -> float:
        """Share of runs with any false alarm."""
        return self.runs_with_false_alarm / self.runs

    @property
    def alarm_bound(self) -> float:
        """Upper end of the exact one-sided 95 % interval (Clopper & Pearson) of the alarm rate."""
        return upper_bound(self.runs_with_false_alarm, self.runs)

    @property
    def power(self) -> float:
        """Share of the slowed cases that were found."""
        return self.found / self.slowed


@dataclass
class Outcome:
    """Tallies by gate, and how many cases the A/B measured in every run."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    suspects: list[int] = field(default_factory=list)

    def tally(self, gate: str) -> Tally:
        """The tally of a gate, made where there is none."""
        return self.tallies.setdefault(gate, Tally())


def upper_bound(events: int, trials: int) -> float:
    """The rate at which `events` or fewer in `trials` would be seen 5 % of the time."""
    if events == trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        seen = math.fsum(_binomial(k, trials, rate) for k in range(events + 1))
        low, high = (rate, high) if seen > 0.05 else (low, rate)
    return high


def _binomial(k: int, n: int, rate: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(rate) + (n - k) * math.log1p(-rate))


def anchored(batch: Batch, mix: Array) -> Array:
    """Log process medians [cases, processes], the anchors taken out."""
    return np.asarray(np.median(batch.log_times, axis=2) - mix @ batch.anchors.T)


def one_run(sizes: Sizes, seed: tuple[int, ...], slowdown: float, history: int = HISTORY) -> dict[str, Mask]:
    """Learn a baseline in a fresh world, slow some cases down, and ask every gate; plus `slow`, the truth."""
    random = np.random.default_rng(seed)
    world = World(sizes, random)
    bands = _learned(world, history)
    before = {count: _pooled(world, world.session(), count) for count in (1, 2)}
    slow = np.zeros(sizes.cases, dtype=bool)
    if slowdown:
        slow[random.choice(sizes.cases, SLOWED, replace=False)] = True
    session = world.session()
    now = world.measure(session, world.walk(PROCESSES), SAMPLES, slow * slowdown)
    verdicts = {"slow": slow} | _ours(world, session, bands, anchored(now, world.mix), slow * slowdown)
    after = {count: _pooled(world, session, count, slow * slowdown) for count in (1, 2)}
    return verdicts | {name: rule(before[count], after[count]) for name, (rule, count) in RIVALS.items()}


def experiment(sizes: Sizes, kind: int, slowdown: float, runs: int, history: int = HISTORY) -> Outcome:
    """Many runs, each in a world of its own."""
    outcome = Outcome()
    for number in range(runs):
        verdicts = one_run(sizes, (kind, round(slowdown * 1000), number), slowdown, history)
        slow = verdicts.pop("slow")
        outcome.suspects.append(int(verdicts.pop("suspects").sum()))
        for gate, flagged in verdicts.items():
            outcome.tally(gate).add(flagged, slow)
    return outcome


def _pooled(world: World, session: Session, processes: int, slowdown: Array | None = None) -> Array:
    """Times [cases, samples] of a tool that pools what its processes saw."""
    batch = world.measure(session, world.walk(processes), PROCESSES * SAMPLES // processes, slowdown)
    return np.asarray(np.exp(batch.log_times.reshape(world.sizes.cases, -1)))


def _learned(world: World, history: int) -> Bands:
    runs = [world.measure(world.session(), world.walk(PROCESSES), SAMPLES) for _ in range(history)]
    medians = [anchored(run, world.mix) for run in runs]
    return learn(np.array([low_process(m) for m in medians]), process_spread(medians))


def _ours(world: World, session: Session, bands: Bands, now: Array, slowdown: Array) -> dict[str, Mask]:
    """Both forms of the gate's second stage, on the suspects of the first."""
    slow, fast = suspects(screen(low_process(now), bands), np.zeros(len(now)))
    chosen = np.nonzero(slow | fast)[0]
    masks = {"suspects": slow | fast, OURS: np.zeros_like(slow), NO_BASE: np.zeros_like(slow)}
    if not len(chosen):
        return masks
    walk = world.walk(2 * PAIRS)
    first = np.array([step % 4 in (0, 3) for step in range(2 * PAIRS)])  # A B B A
    base = world.measure(session, walk[first], SAMPLES, None, chosen)
    candidate = world.measure(session, walk[~first], SAMPLES, slowdown, chosen)
    differences = np.median(candidate.log_times, axis=2) - np.median(base.log_times, axis=2)
    found = paired(differences, bands.process[chosen])
    threshold = np.full(len(chosen), THRESHOLD)
    masks[OURS][chosen] = confirmed(found, threshold, slow[chosen], fast[chosen])[0]
    again = world.measure(session, world.walk(PAIRS), SAMPLES, slowdown, chosen)
    narrow = Bands(bands.center[chosen], bands.scale[chosen], bands.process[chosen], bands.runs)
    fresh = screen(low_process(anchored(again, world.mix[chosen])), narrow)
    masks[NO_BASE][chosen] = remeasured(fresh, threshold)[0] & slow[chosen]
    return masks


def table(title: str, sizes: Sizes, kind: int, null_runs: int, power_runs: int) -> list[str]:
    """One Markdown table: false alarms over null runs, power at each size of slowdown."""
    null = experiment(sizes, kind, 0.0, null_runs)
    power = {size: experiment(sizes, kind, size, power_runs) for size in SLOWDOWNS}
    lines = [
        f"## {title}",
        "",
        f"{null_runs} runs of unchanged code; {power_runs} runs x {SLOWED} slowed cases a size.",
        "",
        "| gate | runs with a false alarm | upper 95 % bound | false alarms a run | "
        + " | ".join(f"{size:.0%}" for size in SLOWDOWNS)
        + " |",
        "|" + "---|" * (4 + len(SLOWDOWNS)),
    ]
    for gate, tally in null.tallies.items():
        found = " | ".join(f"{power[size].tallies[gate].power:.1%}" for size in SLOWDOWNS)
        each = tally.false_alarms / tally.runs
        lines.append(f"| {gate} | {tally.alarm_rate:.2%} | {tally.alarm_bound:.2%} | {each:.3f} | {found} |")
    suspects = f"{np.mean(null.suspects):.1f} a run of unchanged code, {np.mean(power[0.05].suspects):.1f}"
    return [*lines, "", f"Cases measured again: {suspects} where {SLOWED} are 5 % slower.", ""]


def main() -> None:
    """Write the whole table to the file that is named."""
    common = {"kind": JUDGING}
    lines = [INTRODUCTION]
    lines += table("One node", Sizes(), null_runs=1200, power_runs=300, **common)
    lines += table(
        "Sample and process noise doubled", Sizes(scale=2), null_runs=400, power_runs=100, **common
    )
    lines += table("A pool of 16 nodes", Sizes(machines=16), null_runs=400, power_runs=100, **common)
    Path(sys.argv[1]).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
