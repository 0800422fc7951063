"""The gate end to end, with real commands and fresh processes: what it catches and what it lets pass.

`python -m tests.gate.acceptance cpu --slowed 10 --unchanged 20 --out FILE` is for a quiet machine;
`simulated` does the same on the simulated device. `scripts/gate_acceptance.sh` runs both. A try whose
environment was invalid is listed with its reason, and another follows it, until the valid ones are as many as
were asked for or the tries twice as many.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.gate.bounds import upper_bound
from tests.gate.lab import CpuLab, Lab, SimulatedLab

_CPU_SHAPES, _CPU_BATCHES = ((512, 1024), (1024, 1024)), (16, 64)
_SIMULATED_BATCHES = (1, 2, 4, 8, 16)  # all of them memory-bound
_SIMULATED_SLOWDOWN = 0.03
_OVER_DETECTABLE = 1.5
_CALIBRATION_RUNS = 10


@dataclass
class Tries:
    """Verdicts on cases, counted over tries, and what became of each try."""

    verdicts: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    tries: int = 0
    invalid: list[str] = field(default_factory=list)

    @property
    def valid(self) -> int:
        """Tries whose environment allowed a verdict."""
        return self.tries - len(self.invalid)


def attempt(lab: Lab, tries: Tries, name: str, seed: int) -> None:
    """Collect a run of the working tree, check it against the commit, and count."""
    run = lab.measure(name, seed)
    done = lab.check(run, "--confirm-against", "HEAD")
    tries.tries += 1
    if done.code == 3:
        reasons = done.document["environment"] if done.out else [{"text": done.err.strip().splitlines()[-1]}]
        tries.invalid.append(f"{name}: {reasons[0]['text']}")
        _say(tries.invalid[-1])
        return
    assert done.code in (0, 1, 4), done.err
    verdicts = Counter(judgement["verdict"] for judgement in done.document["judgements"])
    tries.failed += done.code == 1
    tries.verdicts += verdicts
    _say(f"{name}: exit code {done.code}, {dict(verdicts)}")


def attempts(lab: Lab, name: str, seed: int, wanted: int) -> Tries:
    """Try until so many tries are valid; twice as many at most."""
    tries = Tries()
    while tries.valid < wanted and tries.tries < 2 * wanted:
        attempt(lab, tries, f"{name}-{tries.tries:03d}", seed + tries.tries)
    return tries


def _say(text: str) -> None:
    """Tell whoever waits; the result itself is written at the end."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def simulated(folder: Path, slowed: int, unchanged: int) -> Iterator[str]:
    """The simulated device at GPU-like noise: a slowdown of 3 % in five cases at once."""
    lab = SimulatedLab(folder, _SIMULATED_BATCHES)
    calibration = lab.calibrate(20)
    assert calibration.code == 0, calibration.err
    smallest = calibration.document["smallest_for_all"]
    yield "## Simulated device, 0.4 % sample noise and 0.4 % process noise"
    yield ""
    yield f"SIMULATED. {len(_SIMULATED_BATCHES)} memory-bound cases; {smallest:.1%} is seen in all."
    yield ""
    yield from _rounds(lab, slowed, unchanged, _SIMULATED_SLOWDOWN)


def cpu(folder: Path, slowed: int, unchanged: int) -> Iterator[str]:
    """This machine's CPU, and a kernel that computes more than it must."""
    lab = CpuLab(folder, _CPU_SHAPES, _CPU_BATCHES)
    calibration = lab.calibrate(_CALIBRATION_RUNS)
    yield f"## This machine's CPU ({platform.processor() or platform.machine()})"
    yield ""
    if calibration.code != 0:
        yield f"Not tested: {calibration.err.strip().splitlines()[-1]}"
        return
    document = calibration.document
    smallest = document["smallest_for_all"]
    left_out = len(document["invalid"])
    invalid = f"{left_out} of {_CALIBRATION_RUNS} runs were invalid"
    _say(f"calibrated: {smallest:.1%} is seen in every case; {invalid}")
    yield f"Calibration: {smallest:.1%} is seen in every case; {invalid}."
    yield ""
    yield from _rounds(lab, slowed, unchanged, _OVER_DETECTABLE * smallest)


def _rounds(lab: Lab, slowed: int, unchanged: int, share: float) -> Iterator[str]:
    lab.slow_down(share)
    slow = attempts(lab, "slowed", 1000, slowed)
    lab.slow_down(0.0)
    same = attempts(lab, "unchanged", 2000, unchanged)
    yield from _lines(f"slowed by {share:.1%}", slow)
    yield from _lines("source changed, speed unchanged", same)


def _lines(title: str, tries: Tries) -> Iterator[str]:
    cases = sum(tries.verdicts.values())
    counted = ", ".join(f"{n} {verdict}" for verdict, n in tries.verdicts.most_common()) or "none"
    interval = _interval(tries.failed, tries.valid)
    yield f"- {title}: {tries.failed} of {tries.valid} valid tries failed{interval};"
    yield f"  of {cases} case verdicts: {counted}."
    yield from (f"  - invalid environment, {text}" for text in tries.invalid)


def _interval(events: int, trials: int) -> str:
    """The exact 90 % interval, both ends of one-sided 95 % ones (Clopper & Pearson)."""
    if not trials:
        return ""
    low, high = 1 - upper_bound(trials - events, trials), upper_bound(events, trials)
    return f" ({low:.0%} to {high:.0%})"


def main() -> None:
    """Run one of the two and append its lines to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["cpu", "simulated"])
    parser.add_argument("--slowed", type=int, required=True)
    parser.add_argument("--unchanged", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quantroof-lab-") as folder:
        kind = {"cpu": cpu, "simulated": simulated}[arguments.kind]
        lines = list(kind(Path(folder), arguments.slowed, arguments.unchanged))
    text = "\n".join([*lines, "", f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}.", ""])
    with arguments.out.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
