"""`quantroof doctor --prolog` on many simulated nodes of eight, through the command's own function.

`python -m tests.fleet.doors docs/measured/prolog.md` makes the page; every figure but the start is simulated.
Nodes have the silicon, the drift and the disturbances of `tests/fleet/noise.py`. `tests/fleet/door_rule.py`
judges more nodes without the command.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from quantroof.bench import provenance, run
from quantroof.bench.plan import DevicePlan
from quantroof.bench.simulated.device import Efficiency, NoiseModel, SimulatedRun
from quantroof.cli.burn_in import BurnInFlags
from quantroof.cli.prolog import prolog
from quantroof.fleet import prolog as fleet_prolog
from quantroof.fleet.collection import Collection
from quantroof.fleet.gather import gather
from tests.fleet import door_rule
from tests.fleet.door_rule import BY, GPUS, LOSS, REFERENCE_GPUS, REFERENCES, SLOW_GPU, SPOILED, WAYS
from tests.fleet.noise import Sizes
from tests.fleet.world import SESSION_DRIFT
from tests.gate.bounds import upper_bound

NODE = f"sim:h100-sxm5-80gb*{GPUS}"
LIMIT_S = 15.0
FIRST_NODE, FIRST_REFERENCE = 4 * 10**6, 5 * 10**6
"""Numbers of the nodes that are judged: their draws were not used while anything was chosen."""
JUDGING = 4
"""The same of `tests/fleet/door_rule.py`."""


@dataclass(frozen=True, slots=True)
class Disturbed(NoiseModel):
    """The noise of a simulated device, and now and then a case that is slow in a whole process."""

    def samples_ns(self, true_ns: float, count: int, rng: np.random.Generator) -> tuple[float, ...]:
        """Samples of one case in one process."""
        spoiled = rng.uniform(*BY) if rng.random() < SPOILED else 0.0
        return NoiseModel.samples_ns(self, true_ns * math.exp(spoiled), count, rng)


@dataclass
class World:
    """The GPUs of all nodes: silicon by node and GPU, drift by session, and what one of them lost.

    Sessions count from 1: numpy takes the seeds (node, gpu) and (node, gpu, 0) for one.
    """

    session: int = 1
    lost: str | None = None
    silicon: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)

    def run(self, plan: DevicePlan, emit: Callable[..., None]) -> SimulatedRun:
        """A simulated device with its own rates, in place of eight equal ones."""
        compute, memory = self.slower(plan.device.host or "", plan.device.index)
        usual = Efficiency()
        rates = Efficiency(
            memory=usual.memory * math.exp(-memory), compute=usual.compute * math.exp(-compute),
            dequantizing=usual.dequantizing * math.exp(-compute),
        )  # fmt: skip
        return SimulatedRun(plan, emit, Disturbed(), rates)

    def slower(self, host: str, gpu: int) -> tuple[float, float]:
        """Log time of (compute, memory) beside the usual."""
        number = int(host.rpartition("-")[2])
        own = np.random.default_rng((number, gpu)).normal(0, 1, 2) * Sizes().machine
        drift = np.random.default_rng((number, gpu, self.session)).normal(0, 1, 2) * SESSION_DRIFT
        lost = -math.log1p(-LOSS) if gpu == SLOW_GPU else 0.0
        hit = (lost * (self.lost == "compute"), lost * (self.lost == "HBM"))
        return float(own[0] + drift[0]) + hit[0], float(own[1] + drift[1]) + hit[1]


@contextlib.contextmanager
def simulated_world() -> Iterator[World]:
    """Devices of the world instead of equal ones; what all nodes of a process share is read once."""
    world = World()
    gather_once = functools.cache(gather)

    def gathered(names: Sequence[str]) -> Collection:
        """References are tuples, and the same for every node."""
        return gather_once(names) if isinstance(names, tuple) else gather(names)

    with (
        patch("quantroof.bench.scheduler.SimulatedRun", world.run),
        patch("quantroof.cli.prolog._age_s", lambda: 0.0),
        patch.object(provenance, "versions", functools.cache(provenance.versions)),
        patch.object(provenance, "source_revision", lambda: None),
        patch.object(run, "kernel_sources", lambda _kernels: {}),
        patch.object(fleet_prolog, "gather", gathered),
    ):
        yield world


def check(
    host: str, *, reference: tuple[str, ...] = (), past: tuple[str, ...] = (), out: Path | None = None
) -> str:
    """The line that the command prints for one node, which also fits its exit code."""
    flags = BurnInFlags(devices=(f"{NODE}@{host}",), quiet=True, reference=reference, past=past, out=out)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = prolog(flags, "slurm", LIMIT_S)
    line = printed.getvalue()
    assert (code == 1) == line.startswith(("quantroof SIMULATED degraded", "quantroof SIMULATED failed")), (
        line
    )
    return line


@dataclass
class Door:
    """One way of comparison: which nodes were drained, and which slow GPUs were named."""

    world: World
    folder: Path
    way: str

    def drained(self, nodes: int, lost: str | None) -> int:
        """Of healthy nodes: how many drained. Of nodes with a slow GPU: how many drained for that GPU."""
        count = 0
        for number in range(nodes):
            line = self._line(number, lost)
            bad = " degraded" in line or " failed" in line
            count += bad if lost is None else bad and f"GPU {SLOW_GPU} " in line
        return count

    def _line(self, number: int, lost: str | None) -> str:
        host = f"node-{FIRST_NODE + number}"
        past: tuple[str, ...] = ()
        self.world.lost, self.world.session = None, 1
        if self.way == WAYS[2]:
            folder = self.folder / "past" / host
            if not folder.exists():
                check(host, out=folder)
            past = (str(folder),)
        self.world.lost, self.world.session = lost, 2
        reference = (str(self.folder / str(number % REFERENCES)),) if self.way == WAYS[1] else ()
        return check(host, reference=reference, past=past)


def by_command(way: str, healthy: int, slow: int) -> str:
    """The line of one way of comparison."""
    with tempfile.TemporaryDirectory() as folder, simulated_world() as world:
        for number in range(REFERENCES * REFERENCE_GPUS // GPUS if way == WAYS[1] else 0):
            out = Path(folder) / str(number % REFERENCES) / str(number)
            check(f"node-{FIRST_REFERENCE + number}", out=out)
        door = Door(world, Path(folder), way)
        bad = door.drained(healthy, None)
        found = [door.drained(slow, lost) for lost in ("compute", "HBM")]
    return _row(way, bad, healthy, found, slow)


def by_rule(way: str, healthy: int, slow: int) -> str:
    """The same without the command."""
    nodes = door_rule.DrawnNodes(JUDGING)
    found = [door_rule.drained(nodes, way, slow, lost) for lost in ("compute", "HBM")]
    return _row(way, door_rule.drained(nodes, way, healthy), healthy, found, slow)


def _row(way: str, bad: int, healthy: int, found: list[int], slow: int) -> str:
    shares = " | ".join(f"{number} of {slow} ({number / slow:.0%})" for number in found)
    bound = upper_bound(bad, healthy)
    return f"| {way} | {bad} of {healthy} ({bad / healthy:.3%}) | {bound:.3%} | {shares} |"


def start(times: int) -> str:
    """Wall and CPU seconds of the whole command in a cold process; a simulated node samples in no time.

    As after an installation, Python's compiled files are there: the first process writes them.
    """
    command = [
        sys.executable,
        "-m",
        "quantroof",
        "doctor",
        "--prolog",
        "--time-limit",
        "60",
        "--device",
        NODE,
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    walls = []
    with tempfile.TemporaryDirectory() as compiled:
        environment["PYTHONPYCACHEPREFIX"] = compiled
        subprocess.run(command, env=environment, capture_output=True, check=True)
        used = os.times()
        for _ in range(times):
            began = time.monotonic()
            subprocess.run(command, env=environment, capture_output=True, check=True)
            walls.append(time.monotonic() - began)
    now = os.times()
    cpu = (now.children_user + now.children_system - used.children_user - used.children_system) / times
    return (
        f"Start to verdict of a cold process, {times} times on this machine ({os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}): median {statistics.median(walls):.1f} s, longest {max(walls):.1f} s; "
        f"{cpu:.1f} s of CPU time. "
        "A simulated node samples for no time and starts no worker: torch, CUDA and sampling come on top."
    )


INTRODUCTION = """\
# `doctor --prolog` at 15 seconds, in a simulated world

SIMULATED, except for the start: no speed here was measured on any device. `scripts/prolog_simulation.sh`
makes this page from `tests/fleet/doors.py`. Healthy GPUs spread by 2 % in compute and 0.6 % in bandwidth,
drift between sessions, and now and then a case is 2 to 15 % slow in a whole process, with the sizes of
`tests/fleet/noise.py`; suspects are measured again by other draws. The goals are: at most 0.1 % of healthy
nodes drained, 90 % of GPUs that lost 10 % of their compute rate and 95 % of those that lost 10 % of their
bandwidth found. A GPU is found where the node is drained and the line names that GPU. The references hold
other GPUs than those judged, of the same spread. What was chosen was chosen on other seeds, and these were
judged once; the reference behind the command twice, because its drift had at first been drawn with the seeds
of its silicon.

"""
COMMAND = """\
Through the command: every node is one `quantroof doctor --prolog --contract slurm` on eight simulated H100,
through the command's own function, from the options to the line and the exit code."""
RULE = """\
By the rule alone: the same judgment of drawn times, without files, workers and lines of text
(`tests/fleet/door_rule.py`)."""
BOUND = """\
Siblings alone cannot reach the goal for compute: where GPUs spread by 2 %, the best test of eight GPUs, which
knows the spread and that it is normal, finds {best:.0%} at 0.1 % of healthy nodes. The rule here finds less,
because it also leaves nodes of skewed silicon alone ([Healthy GPUs that differ](fleet-spread.md)). The
node's own past does not depend on the spread: `docs/slurm/prolog.sh` keeps one. A reference lies at 0.1 %,
within the error of the count."""
HEADING = """\
| judged by | healthy nodes drained | upper 95 % bound | compute -10 % found | HBM -10 % found |
|---|---|---|---|---|"""


def main() -> None:
    """Write the page to the file that is named; the number of healthy and of slow nodes may follow, for the
    command and for the rule."""
    given = [int(text) for text in sys.argv[2:]]
    healthy, slow, many, many_slow = given + [2048, 200, 20000, 2000][len(given) :]
    best = door_rule.best_by_siblings(1e-3)
    lines = [start(10), "", COMMAND, "", HEADING, *(by_command(way, healthy, slow) for way in WAYS)]
    lines += ["", RULE, "", HEADING, *(by_rule(way, many, many_slow) for way in WAYS)]
    lines += ["", BOUND.format(best=best)]
    Path(sys.argv[1]).write_text(INTRODUCTION + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
