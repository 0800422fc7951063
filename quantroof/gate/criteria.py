"""The criteria for judging cases, and the verdict on a change of one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from quantroof.analysis.distributions import Array, t_quantile
from quantroof.analysis.processes import low_process
from quantroof.gate.band import Bands
from quantroof.gate.baseline import Baseline, CaseBand
from quantroof.gate.confirm import ChangeEstimates
from quantroof.gate.policy import Policy
from quantroof.gate.times import ANCHORS, Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, GateVerdict, Stage
from quantroof.records.lines import AnchorName

Verdicts = dict[Key, CaseVerdict]

_ROOF_P = 0.01


@dataclass(frozen=True, slots=True)
class Criteria:
    """The criteria of a check: bands, log times of the anchors in the baseline, policy, pairs of an A/B."""

    bands: dict[Key, CaseBand]
    origin: dict[AnchorName, float]
    policy: Policy
    pairs: int
    detectable: dict[Key, float]
    """The slowdown that is found with 90 % power under this policy, as a share."""

    @classmethod
    def of(cls, baseline: Baseline, policy: Policy, pairs: int) -> Criteria:
        """The criteria of a baseline under a policy."""
        origin = {name: math.log(baseline.anchors[name].ns) for name in ANCHORS}
        criteria = cls(baseline.bands(), origin, policy, pairs, {})
        for runs, keys in criteria.by_runs(criteria.bands).items():
            slowdowns = criteria.arrays(keys, runs).detectable(pairs, criteria.thresholds(keys))
            criteria.detectable.update(zip(keys, map(float, np.expm1(slowdowns)), strict=True))
        return criteria

    def statistics(self, times: RunTimes, keys: list[Key]) -> Array:
        """The run's statistic [keys] in log time, with the anchors at their level in the baseline."""
        values = (times.values(key, self.bands[key].weights, self.origin) for key in keys)
        return np.array([low_process(log_ns[None, :])[0] for log_ns in values])

    def arrays(self, keys: list[Key], runs: int) -> Bands:
        """The bands of cases that were all learned from `runs` runs, as arrays."""
        bands = [self.bands[key] for key in keys]
        return Bands(
            center=np.log([band.ns for band in bands]),
            scale=np.array([band.scale for band in bands]),
            process=np.array([band.process for band in bands]),
            runs=runs,
        )

    def by_runs(self, keys: Iterable[Key]) -> dict[int, list[Key]]:
        """Cases by the number of runs that their bands were learned from."""
        groups: dict[int, list[Key]] = {}
        for key in keys:
            groups.setdefault(self.bands[key].runs, []).append(key)
        return groups

    def absolute(self, keys: list[Key]) -> Array:
        """The policy's absolute threshold [keys] as a log change."""
        return np.array([math.log1p(self.policy.limits(key)[1] / self.bands[key].ns) for key in keys])

    def thresholds(self, keys: list[Key]) -> Array:
        """The log change [keys] that the policy calls a regression: the larger of relative and absolute."""
        relative = np.array([math.log1p(self.policy.limits(key)[0]) for key in keys])
        return np.asarray(np.maximum(relative, self.absolute(keys)))

    def limit(self, key: Key, *, last: bool) -> float:
        """The log slowdown that a `same` verdict rules out: the threshold or what is detectable, the larger.

        Before the last look it is halfway from the threshold to there.
        """
        threshold = float(self.thresholds([key])[0])
        limit = max(threshold, math.log1p(self.detectable[key]))
        return limit if last else (threshold + limit) / 2

    def roof_margin(self, key: Key) -> float:
        """How far (log) noise alone puts a share of the roof below its true value, once in a hundred runs.

        The case has the spread of its runs, the roof that of the one process that measured it. A case without
        a band has the widest margin of those that have one.
        """
        if key not in self.bands:
            return max(self.roof_margin(other) for other in self.bands)
        band = self.bands[key]
        freedom = self.arrays([key], band.runs).freedom
        return t_quantile(_ROOF_P, freedom) * math.hypot(band.scale, band.process)

    def unmeasured(self, key: Key, verdict: GateVerdict, reason: str) -> CaseVerdict:
        """A verdict without a change; with a band, its level in the baseline and what is detectable."""
        case, kernel = key
        band = self.bands.get(key)
        return CaseVerdict(
            case=case,
            kernel=kernel,
            verdict=verdict,
            reason=reason,
            detectable=self.detectable.get(key),
            base_ns=None if band is None else band.ns,
        )

    def measured(
        self, key: Key, decision: tuple[GateVerdict, str, Stage], changes: ChangeEstimates, i: int
    ) -> CaseVerdict:
        """A verdict with the i-th of some changes; `decision` is the verdict, its reason and its stage."""
        verdict, reason, stage = decision
        change, low, high = (math.expm1(float(v[i])) for v in (changes.change, changes.low, changes.high))
        return msgspec.structs.replace(
            self.unmeasured(key, verdict, reason),
            stage=stage,
            change=change,
            low=low,
            high=high,
            threshold=math.expm1(float(self.thresholds([key])[0])),
            now_ns=self.bands[key].ns * (1 + change),
        )
