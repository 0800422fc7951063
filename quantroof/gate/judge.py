"""The procedure on one run: screen every case, then decide the suspects by a second measurement.

Everything here is a function of records and numbers; nothing is started. `screen_run` gives every case a
verdict and names the suspects. The caller measures those again and passes the result to `verdicts_after_ab`
or `verdicts_after_remeasuring`, which return the verdicts that replace those of the screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import msgspec
import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_process
from quantroof.gate.band import Bands
from quantroof.gate.baseline import Baseline, CaseBand, join_name
from quantroof.gate.confirm import ChangeEstimates, Mask, confirmed, paired, remeasured, screen, suspects
from quantroof.gate.policy import Policy
from quantroof.gate.times import ANCHORS, MIN_PROCESSES, Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, GateVerdict, Stage
from quantroof.records.lines import AnchorName

Verdicts = dict[Key, CaseVerdict]

_MOVED_SHARE = 0.5
_SUSPECTED = "suspected by the screen"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What cases are judged by: their bands, the anchors' log times in the baseline, and the policy."""

    bands: dict[Key, CaseBand]
    origin: dict[AnchorName, float]
    policy: Policy

    @classmethod
    def of(cls, baseline: Baseline, policy: Policy) -> Criteria:
        """The criteria of a baseline under a policy."""
        origin = {name: math.log(baseline.anchors[name].ns) for name in ANCHORS}
        return cls(baseline.bands(), origin, policy)

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


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdicts of the screen. `slow` holds the suspects: True where a case looks slower, False where
    faster."""

    verdicts: Verdicts
    slow: dict[Key, bool]

    @property
    def suspects(self) -> list[Key]:
        """The cases that need a second measurement before they can be judged."""
        return sorted(self.slow)


def screen_run(criteria: Criteria, times: RunTimes) -> Screening:
    """Give every case of a run a verdict; suspects are undecided until they are measured again."""
    bands = criteria.bands
    verdicts = {key: _missing(key, criteria, times) for key in bands.keys() - times.log_ns.keys()}
    for key in times.log_ns.keys() - bands.keys():
        advice = times.above_roof.get(key, "add it with the next update")
        verdicts[key] = _case_verdict(key, "new", f"not in the baseline: {advice}")
    for key, text in times.impossible.items():
        verdicts[key] = _case_verdict(key, "not comparable", text, band=bands.get(key))
    comparable = []
    for key in sorted(bands.keys() & times.log_ns.keys()):
        if (reason := _incomparable(key, times)) is None:
            comparable.append(key)
        else:
            verdicts[key] = _case_verdict(key, "not comparable", reason, band=bands[key])
    slow: dict[Key, bool] = {}
    for runs, keys in criteria.by_runs(comparable).items():
        changes = screen(criteria.statistics(times, keys), criteria.arrays(keys, runs))
        slower, faster = suspects(changes, criteria.absolute(keys))
        for i, key in enumerate(keys):
            verdict: GateVerdict = "same"
            reason = "within the band of unchanged code"
            if faster[i] and key in times.above_roof:
                verdict, reason = "not comparable", times.above_roof[key]
            elif slower[i] or faster[i]:
                slow[key] = bool(slower[i])
                verdict, reason = "undecided", _SUSPECTED
            verdicts[key] = _measured(key, (verdict, reason, "screen"), criteria, changes, i)
    return Screening(verdicts, slow)


def verdicts_after_ab(
    criteria: Criteria, screening: Screening, keys: Sequence[Key], pairs: Mapping[Key, Array]
) -> Verdicts:
    """Verdicts of suspects from log candidate / base of pairs of fresh processes, by case."""
    verdicts = {
        key: _replaced(screening, key, "undecided", "one side could not measure it in every process", "A/B")
        for key in keys
        if key not in pairs
    }
    paired_keys = [key for key in keys if key in pairs]
    if not paired_keys:
        return verdicts
    process = np.array([criteria.bands[key].process for key in paired_keys])
    changes = paired(np.array([pairs[key] for key in paired_keys]), process)
    slow = np.array([screening.slow[key] for key in paired_keys])
    masks = confirmed(changes, criteria.thresholds(paired_keys), slow, ~slow)
    how = f"base and candidate in {len(pairs[paired_keys[0]])} pairs of fresh processes"
    second = _second_verdicts(criteria, paired_keys, changes, masks, ("A/B", how))
    return verdicts | _with_first_change(screening, second)


def verdicts_after_remeasuring(
    criteria: Criteria,
    screening: Screening,
    keys: Sequence[Key],
    again: RunTimes,
    *,
    same_source: frozenset[Key] = frozenset(),
) -> Verdicts:
    """Verdicts of suspects from a second run of the same code.

    Cases of `same_source` run the base's own code: their change comes from the machine and never fails.
    """
    reason = "it could not be measured again"
    verdicts = {
        key: _replaced(screening, key, "undecided", reason, "re-measured")
        for key in keys
        if key not in again.log_ns
    }
    how = f"measured again in {again.processes} fresh processes"
    for runs, group in criteria.by_runs(key for key in keys if key in again.log_ns).items():
        changes = screen(criteria.statistics(again, group), criteria.arrays(group, runs))
        slow = np.array([screening.slow[key] for key in group])
        slower, faster = remeasured(changes, criteria.thresholds(group))
        masks = (slower & slow, faster & ~slow)
        second = _second_verdicts(criteria, group, changes, masks, ("re-measured", how))
        verdicts |= _with_first_change(screening, second)
    for key in same_source & verdicts.keys():
        result = verdicts[key]
        if result.verdict in ("slower", "faster"):
            reason = f"{how}, it is {result.verdict}, but its source is the base's own: look at the machine"
            verdicts[key] = msgspec.structs.replace(result, verdict="undecided", reason=reason)
    return verdicts


def verdicts_unmeasured(screening: Screening) -> Verdicts:
    """The suspects, left undecided because nothing is measured again."""
    reason = f"{_SUSPECTED}, and not measured again"
    return {key: _replaced(screening, key, "undecided", reason, "screen") for key in screening.suspects}


def apply_waivers(verdicts: Verdicts, policy: Policy) -> Verdicts:
    """The verdicts, with every slowdown `waived` that a waiver of the policy allows."""
    waived = dict(verdicts)
    for key, result in verdicts.items():
        waiver = policy.waiver_for(key)
        if result.verdict != "slower" or waiver is None or result.change is None:
            continue
        if result.change <= waiver.allow:
            issue = f" ({waiver.issue})" if waiver.issue else ""
            reason = f"waived up to {waiver.allow:.1%} until {waiver.expires}: {waiver.reason}{issue}"
            waived[key] = msgspec.structs.replace(result, verdict="waived", reason=reason)
    return waived


def _missing(key: Key, criteria: Criteria, times: RunTimes) -> CaseVerdict:
    line = times.unmeasured.get(key)
    if line is not None:
        return _case_verdict(key, "missing", f"{line.status}: {line.reason}", band=criteria.bands[key])
    others = [join_name(other) for other in times.log_ns if other not in criteria.bands]
    near = get_close_matches(join_name(key), others, n=1, cutoff=0.8)
    text = "the baseline has it, the run does not"
    hint = f"; renamed to {near[0]}? then update the baseline" if near else ""
    return _case_verdict(key, "missing", text + hint, band=criteria.bands[key])


def _incomparable(key: Key, times: RunTimes) -> str | None:
    """Why a case cannot be judged, None if it can."""
    processes = len(times.log_ns[key])
    if processes < MIN_PROCESSES:
        return f"measured in {processes} processes, {MIN_PROCESSES} or more are needed"
    if times.clock_moved.get(key, 0) / processes >= _MOVED_SHARE:
        return "the clock moved in most of its processes"
    return None


def _second_verdicts(
    criteria: Criteria,
    keys: list[Key],
    changes: ChangeEstimates,
    masks: tuple[Mask, Mask],
    stage: tuple[Stage, str],
) -> Verdicts:
    """Confirmed, ruled out or undecided; `stage` is the second measurement and how it was made."""
    slower, faster = masks
    name, how = stage
    verdicts: Verdicts = {}
    for i, key in enumerate(keys):
        limit = max(float(criteria.thresholds([key])[0]), math.log1p(criteria.bands[key].detectable))
        verdict: GateVerdict = "undecided"
        reason = f"neither confirmed nor ruled out: {how}"
        if slower[i] or faster[i]:
            verdict, reason = "slower" if slower[i] else "faster", f"confirmed: {how}"
        elif -limit <= changes.low[i] and changes.high[i] <= limit:
            verdict, reason = "same", f"suspected, not confirmed: {how}"
        verdicts[key] = _measured(key, (verdict, reason, name), criteria, changes, i)
    return verdicts


def _with_first_change(screening: Screening, second: Verdicts) -> Verdicts:
    """The verdicts of a second measurement beside the change that the screen saw."""
    first = {key: screening.verdicts[key].change for key in second}
    return {key: msgspec.structs.replace(v, first_change=first[key]) for key, v in second.items()}


def _replaced(screening: Screening, key: Key, verdict: GateVerdict, reason: str, stage: Stage) -> CaseVerdict:
    return msgspec.structs.replace(screening.verdicts[key], verdict=verdict, reason=reason, stage=stage)


def _measured(
    key: Key,
    decision: tuple[GateVerdict, str, Stage],
    criteria: Criteria,
    changes: ChangeEstimates,
    i: int,
) -> CaseVerdict:
    """A verdict with the i-th of some changes; `decision` is the verdict, its reason and its stage."""
    band = criteria.bands[key]
    verdict, reason, stage = decision
    change, low, high = (math.expm1(float(v[i])) for v in (changes.change, changes.low, changes.high))
    return msgspec.structs.replace(
        _case_verdict(key, verdict, reason, band=band),
        stage=stage,
        change=change,
        low=low,
        high=high,
        threshold=math.expm1(float(criteria.thresholds([key])[0])),
        now_ns=band.ns * (1 + change),
    )


def _case_verdict(
    key: Key, verdict: GateVerdict, reason: str, *, band: CaseBand | None = None
) -> CaseVerdict:
    """A verdict without a measured change; with a band, its level in the baseline and what is detectable."""
    case, kernel = key
    return CaseVerdict(
        case=case,
        kernel=kernel,
        verdict=verdict,
        reason=reason,
        detectable=None if band is None else band.detectable,
        base_ns=None if band is None else band.ns,
    )
