"""The procedure on one run: screen every case, then give the suspects the verdict of a second measurement.

Pure: it sees records and numbers, starts nothing. `Judge` keeps the verdict of every case; the caller
measures what `suspects` names and hands the result to `after_ab` or `after_remeasuring`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

_MOVED_SHARE = 0.5
_SUSPECTED = "suspected by the screen"


class Judge:
    """The verdicts on one run under a baseline and a policy."""

    def __init__(self, baseline: Baseline, times: RunTimes, policy: Policy) -> None:
        self._bands, self._times, self._policy = baseline.bands(), times, policy
        self._origin = {name: math.log(baseline.anchors[name].ns) for name in ANCHORS}
        self.verdicts: dict[Key, CaseVerdict] = {}
        self._slow: dict[Key, bool] = {}
        for key in self._bands.keys() - times.log_ns.keys():
            self.verdicts[key] = self._missing(key)
        for key in times.log_ns.keys() - self._bands.keys():
            self.verdicts[key] = _case_verdict(key, "new", "not in the baseline: add it with the next update")
        self._screen_all()

    @property
    def suspects(self) -> list[Key]:
        """Cases that need a second measurement before anything is said of them."""
        return sorted(self._slow)

    def after_ab(self, asked: Sequence[Key], pairs: Mapping[Key, Array]) -> None:
        """Give suspects their verdict from log candidate / base of pairs of fresh processes, by case."""
        keys = [key for key in asked if key in pairs]
        for key in set(asked) - set(keys):
            self._settle(key, "undecided", "one side could not measure it in every process", "A/B")
        if not keys:
            return
        whole = len(pairs[keys[0]])
        process = np.array([self._bands[key].process for key in keys])
        found = paired(np.array([pairs[key] for key in keys]), process)
        slow = np.array([self._slow[key] for key in keys])
        threshold = self._thresholds(keys)
        masks = confirmed(found, threshold, slow, ~slow)
        self._second(keys, found, masks, "A/B", f"base and candidate in {whole} pairs of fresh processes")

    def after_remeasuring(
        self, asked: Sequence[Key], again: RunTimes, *, same_source: frozenset[Key] = frozenset()
    ) -> None:
        """Give suspects their verdict from a second run of the same code.

        A case of `same_source` is known to run the base's own code: its change is the machine's doing and
        never fails.
        """
        for runs, keys in self._by_runs([key for key in asked if key in again.log_ns]).items():
            found = screen(self._statistics(again, keys), self._arrays(keys, runs))
            slow = np.array([self._slow[key] for key in keys])
            slower, faster = remeasured(found, self._thresholds(keys))
            how = f"measured again in {again.processes} fresh processes"
            self._second(keys, found, (slower & slow, faster & ~slow), "re-measured", how)
            for key in keys:
                if key in same_source and self.verdicts[key].verdict in ("slower", "faster"):
                    reason = f"{how}, it is {self.verdicts[key].verdict}, but its source is the base's own"
                    self._settle(key, "undecided", f"{reason}: look at the machine", "re-measured")
        for key in asked:
            if key not in again.log_ns:
                self._settle(key, "undecided", "it could not be measured again", "re-measured")

    def without_second_measurement(self) -> None:
        """Leave the suspects undecided."""
        for key in self.suspects:
            self._settle(key, "undecided", f"{_SUSPECTED}, and not measured again", "screen")

    def waive(self) -> None:
        """Let waivers excuse what they allow."""
        for key, found in list(self.verdicts.items()):
            waiver = self._policy.waiver_for(key)
            if found.verdict != "slower" or waiver is None or found.change is None:
                continue
            if found.change <= waiver.allow:
                issue = f" ({waiver.issue})" if waiver.issue else ""
                reason = f"waived up to {waiver.allow:.1%} until {waiver.expires}: {waiver.reason}{issue}"
                self.verdicts[key] = msgspec.structs.replace(found, verdict="waived", reason=reason)

    def _missing(self, key: Key) -> CaseVerdict:
        line = self._times.unmeasured.get(key)
        if line is not None:
            return _case_verdict(key, "missing", f"{line.status}: {line.reason}", band=self._bands[key])
        others = [join_name(other) for other in self._times.log_ns if other not in self._bands]
        near = get_close_matches(join_name(key), others, n=1, cutoff=0.8)
        text = "the baseline has it, the run does not"
        hint = f"; renamed to {near[0]}? then update the baseline" if near else ""
        return _case_verdict(key, "missing", text + hint, band=self._bands[key])

    def _screen_all(self) -> None:
        shared = sorted(self._bands.keys() & self._times.log_ns.keys())
        fit = [key for key in shared if self._comparable(key)]
        for runs, keys in self._by_runs(fit).items():
            found = screen(self._statistics(self._times, keys), self._arrays(keys, runs))
            slow, fast = suspects(found, self._absolute(keys))
            for i, key in enumerate(keys):
                if slow[i] or fast[i]:
                    self._slow[key] = bool(slow[i])
                    self.verdicts[key] = self._measured(key, "undecided", _SUSPECTED, "screen", found, i)
                else:
                    reason = "within the band that unchanged code has shown"
                    self.verdicts[key] = self._measured(key, "pass", reason, "screen", found, i)

    def _comparable(self, key: Key) -> bool:
        """Whether a case can be judged at all; if not, its verdict says why."""
        processes = len(self._times.log_ns[key])
        reason = None
        if processes < MIN_PROCESSES:
            reason = f"measured in {processes} processes, {MIN_PROCESSES} or more are needed"
        elif self._moved_share(key) >= _MOVED_SHARE:
            reason = "the clock moved in most of its processes"
        if reason is not None:
            self.verdicts[key] = _case_verdict(key, "incomparable", reason, band=self._bands[key])
        return reason is None

    def _moved_share(self, key: Key) -> float:
        moved = self._times.clock_moved.get(key, 0)
        return moved / len(self._times.log_ns[key])

    def _second(
        self, keys: list[Key], found: ChangeEstimates, masks: tuple[Mask, Mask], stage: Stage, how: str
    ) -> None:
        slower, faster = masks
        for i, key in enumerate(keys):
            limit = max(float(self._thresholds([key])[0]), math.log1p(self._bands[key].detectable))
            if slower[i] or faster[i]:
                verdict: GateVerdict = "slower" if slower[i] else "faster"
                reason = f"confirmed: {how}"
            elif -limit <= found.low[i] and found.high[i] <= limit:
                verdict, reason = "pass", f"suspected, not confirmed: {how}"
            else:
                verdict, reason = "undecided", f"neither confirmed nor ruled out: {how}"
            self.verdicts[key] = self._measured(key, verdict, reason, stage, found, i)

    def _settle(self, key: Key, verdict: GateVerdict, reason: str, stage: Stage) -> None:
        self.verdicts[key] = msgspec.structs.replace(
            self.verdicts[key], verdict=verdict, reason=reason, stage=stage
        )

    def _measured(
        self, key: Key, verdict: GateVerdict, reason: str, stage: Stage, found: ChangeEstimates, i: int
    ) -> CaseVerdict:
        band = self._bands[key]
        change, low, high = (math.expm1(float(values[i])) for values in (found.change, found.low, found.high))
        return msgspec.structs.replace(
            _case_verdict(key, verdict, reason, band=band),
            stage=stage,
            change=change,
            low=low,
            high=high,
            threshold=math.expm1(float(self._thresholds([key])[0])),
            now_ns=band.ns * (1 + change),
        )

    def _by_runs(self, keys: list[Key]) -> dict[int, list[Key]]:
        groups: dict[int, list[Key]] = {}
        for key in keys:
            groups.setdefault(self._bands[key].runs, []).append(key)
        return groups

    def _statistics(self, times: RunTimes, keys: list[Key]) -> Array:
        return np.array(
            [
                low_process(times.values(key, self._bands[key].weights, self._origin)[None, :])[0]
                for key in keys
            ]
        )

    def _arrays(self, keys: list[Key], runs: int) -> Bands:
        bands = [self._bands[key] for key in keys]
        return Bands(
            center=np.log([band.ns for band in bands]),
            scale=np.array([band.scale for band in bands]),
            process=np.array([band.process for band in bands]),
            runs=runs,
        )

    def _absolute(self, keys: list[Key]) -> Array:
        return np.array([math.log1p(self._policy.limits(key)[1] / self._bands[key].ns) for key in keys])

    def _thresholds(self, keys: list[Key]) -> Array:
        relative = np.array([math.log1p(self._policy.limits(key)[0]) for key in keys])
        return np.asarray(np.maximum(relative, self._absolute(keys)))


def _case_verdict(
    key: Key, verdict: GateVerdict, reason: str, *, band: CaseBand | None = None
) -> CaseVerdict:
    """A verdict without a measured change; with a band, what the baseline says of the case."""
    case, kernel = key
    return CaseVerdict(
        case=case,
        kernel=kernel,
        verdict=verdict,
        reason=reason,
        detectable=None if band is None else band.detectable,
        base_ns=None if band is None else band.ns,
    )
