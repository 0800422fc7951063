"""The rule of `doctor --prolog` on drawn times of many nodes of eight: the judgment without the command.

The silicon, the drift and the disturbances are those of `tests/fleet/doors.py`; files, workers and lines of
text are left out, so that tens of thousands of nodes take minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Work
from quantroof.fleet.comparisons import ReferenceFleet, below_reference
from quantroof.fleet.evidence import Evidence, GpuTimes, Retest, weigh
from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import class_levels, nanmedian, slow_sides
from tests.fleet.healthy import units
from tests.fleet.noise import Sizes
from tests.fleet.world import SESSION_DRIFT

GPUS, SLOW_GPU, LOSS = 8, 3, 0.10
REFERENCE_GPUS, REFERENCES = 1024, 4
SPOILED, BY = Sizes().spoiled_odds + Sizes().bimodal_share * Sizes().bimodal_odds, (0.02, 0.15)
PROCESS_SD, SAMPLE_SD = 0.004, 0.0012
"""Of one case in one process, and of the median of its 24 samples (`bench.simulated.device`)."""
WEIGHTS = np.repeat(np.eye(2), 3, axis=0)
"""What bounds the six cases of suite `prolog`: memory three times, compute three times."""
WAYS = ("siblings alone", f"a reference of {REFERENCE_GPUS} GPUs", "its own past")
LOST: dict[str | None, Array] = {
    None: np.zeros(2),
    "HBM": np.array([-math.log1p(-LOSS), 0.0]),
    "compute": np.array([0.0, -math.log1p(-LOSS)]),
}


@dataclass(frozen=True, slots=True)
class DrawnNodes:
    """Nodes of eight; `kind` sets the seeds apart: 1 to 3 for tuning, 4 for judging."""

    kind: int

    def random(self, *key: int) -> np.random.Generator:
        """The draws of one purpose."""
        return np.random.default_rng((self.kind, *key))

    def silicon(self, random: np.random.Generator, gpus: int) -> Array:
        """Log time of (memory, compute) [gpus, 2] beside the usual, which a GPU keeps."""
        return np.asarray(random.normal(0, 1, (gpus, 2)) * Sizes().machine[::-1])

    def session(self, random: np.random.Generator, silicon: Array) -> Array:
        """The same in one session."""
        return np.asarray(silicon + random.normal(0, 1, silicon.shape) * SESSION_DRIFT[::-1])

    def times(self, random: np.random.Generator, level: Array) -> Array:
        """Log times [gpus, 6] of one process."""
        log_ns = level @ WEIGHTS.T
        noise = random.normal(0, math.hypot(PROCESS_SD, SAMPLE_SD), log_ns.shape)
        spoiled = random.uniform(*BY, log_ns.shape) * (random.random(log_ns.shape) < SPOILED)
        return np.asarray(log_ns + noise + spoiled)

    def reference(self, number: int) -> ReferenceFleet:
        """Healthy GPUs that are not judged."""
        random = self.random(1, number)
        level = self.session(random, self.silicon(random, REFERENCE_GPUS))
        log_ns = self.times(random, level)
        center = nanmedian(log_ns, 0)
        return ReferenceFleet(
            center, REFERENCE_GPUS, slow_sides(class_levels(log_ns - center, WEIGHTS))
        )  # fmt: skip


def drained(nodes: DrawnNodes, way: str, count: int, lost: str | None = None) -> int:
    """How many of these nodes are drained; of nodes with a slow GPU, how many are for that GPU."""
    references = [nodes.reference(number) for number in range(REFERENCES)] if way == WAYS[1] else [None]
    bad = [_bad(nodes, way, references[n % len(references)], n, lost) for n in range(count)]
    return sum(bool(gpus.any() if lost is None else gpus[SLOW_GPU]) for gpus in bad)


def _bad(
    nodes: DrawnNodes, way: str, reference: ReferenceFleet | None, number: int, lost: str | None
) -> Array:
    """Which GPUs [gpus] of one node are degraded, after suspects were measured again."""
    random = nodes.random(2, number, list(LOST).index(lost))
    silicon = nodes.silicon(random, GPUS)
    past = np.full((GPUS, len(WEIGHTS)), np.nan)
    if way == WAYS[2]:
        past = nodes.times(random, nodes.session(random, silicon))
    level = nodes.session(random, silicon)
    level[SLOW_GPU] += LOST[lost]
    gpus = _node(nodes.times(random, level))
    found = weigh(gpus, past, reference, None, Policy())
    if not _degraded(found).any():
        return _degraded(found)
    again = Retest(nodes.times(random, level), np.ones(GPUS, dtype=bool))
    return _degraded(weigh(gpus, past, reference, again, Policy()))


def _node(log_ns: Array) -> GpuTimes:
    works = [Work(f"case-{n}", "bf16", 1, 1) for n in range(len(WEIGHTS))]
    return GpuTimes(units(GPUS, np.zeros(1, bool)), works, np.arange(len(WEIGHTS)), log_ns, WEIGHTS)


def _degraded(found: Evidence) -> Array:
    slow = found.slow.any
    if found.reference is not None:
        levels = found.reference_level
        findings = [below_reference(level, found.reference, GPUS, Policy()) for level in levels]
        slow = slow | np.array([any(f.level == "degraded" for f in some) for some in findings])
    return np.asarray(slow)


def best_by_siblings(share: float) -> float:
    """The power of the best test of one slow GPU by its siblings alone, at this share of healthy nodes.

    It knows the spread and that silicon is normal, and compares each GPU with the mean of the seven others
    (the likelihood ratio), at a limit that one of eight healthy GPUs exceeds with this probability.
    """
    normal, spread = NormalDist(), math.hypot(Sizes().machine[0], SESSION_DRIFT[0])
    beside = spread * math.sqrt(GPUS / (GPUS - 1))
    limit = -normal.inv_cdf(share / GPUS) * beside
    return 1 - normal.cdf((limit + math.log1p(-LOSS)) / beside)
