"""The procedure on one run: screen every case, then decide the suspects by a second measurement.

Everything here is a function of records and numbers; nothing is started. `screen_run` gives every case a
verdict and names the suspects. The caller measures those again, and `gate.second` decides them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import msgspec

from quantroof.gate.baseline import join_name
from quantroof.gate.confirm import screen, suspects
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.policy import Policy
from quantroof.gate.times import MIN_PROCESSES, Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, GateVerdict

_MOVED_SHARE = 0.5
SUSPECTED = "suspected by the screen"


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
        verdicts[key] = criteria.unmeasured(key, "new", f"not in the baseline: {advice}")
    for key, text in times.impossible.items():
        verdicts[key] = criteria.unmeasured(key, "not comparable", text)
    comparable = []
    for key in sorted(bands.keys() & times.log_ns.keys()):
        if (reason := _incomparable(key, times)) is None:
            comparable.append(key)
        else:
            verdicts[key] = criteria.unmeasured(key, "not comparable", reason)
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
                verdict, reason = "undecided", SUSPECTED
            verdicts[key] = criteria.measured(key, (verdict, reason, "screen"), changes, i)
    return Screening(verdicts, slow)


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
        return criteria.unmeasured(key, "missing", f"{line.status}: {line.reason}")
    others = [join_name(other) for other in times.log_ns if other not in criteria.bands]
    near = get_close_matches(join_name(key), others, n=1, cutoff=0.8)
    text = "the baseline has it, the run does not"
    hint = f"; renamed to {near[0]}? then update the baseline" if near else ""
    return criteria.unmeasured(key, "missing", text + hint)


def _incomparable(key: Key, times: RunTimes) -> str | None:
    """Why a case cannot be judged, None if it can."""
    processes = len(times.log_ns[key])
    if processes < MIN_PROCESSES:
        return f"measured in {processes} processes, {MIN_PROCESSES} or more are needed"
    if times.clock_moved[key] / processes >= _MOVED_SHARE:
        return "the clock moved in most of its processes"
    return None
