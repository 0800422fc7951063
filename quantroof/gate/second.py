"""Verdicts from a second measurement: base and candidate in pairs of fresh processes, or the same code again.

An A/B has two looks: cases that stay undecided in the first are measured in more pairs and judged by all.
Only a slowdown can stay undecided. A case that looked faster is confirmed, or it passes. Without a base build
nothing fails, because a change of the machine looks the same as a change of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.finding import Finding
from quantroof.gate.band import MORE_PAIRS
from quantroof.gate.confirm import (
    FIRST_RATE,
    LAST_RATE,
    confirmed,
    paired,
    remeasured,
    screen,
)
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.judge import SUSPECTED, Screening
from quantroof.gate.times import Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, GateVerdict, Stage

MeasurePairs = Callable[[list[Key], int], Mapping[Key, Array]]
"""Measures cases in so many pairs: log candidate / base of every pair, where both sides have a time."""
_NO_BASE = "without a base build a change of the machine cannot be told from one of the code"


def decided_by_ab(
    criteria: Criteria, screening: Screening, keys: list[Key], measure: MeasurePairs
) -> Verdicts:
    """Verdicts of suspects from an A/B; cases undecided by the first pairs are measured in more pairs."""
    pairs = dict(measure(keys, criteria.pairs))
    verdicts = verdicts_after_ab(criteria, screening, keys, pairs, last=False)
    still_open = [key for key in keys if key in pairs and verdicts[key].verdict == "undecided"]
    if not still_open:
        return verdicts
    more = measure(still_open, MORE_PAIRS * criteria.pairs)
    all_pairs = {key: np.concatenate([pairs[key], more[key]]) for key in still_open if key in more}
    return verdicts | verdicts_after_ab(criteria, screening, still_open, all_pairs)


def verdicts_after_ab(
    criteria: Criteria,
    screening: Screening,
    keys: Sequence[Key],
    pairs: Mapping[Key, Array],
    *,
    last: bool = True,
) -> Verdicts:
    """Verdicts of suspects from log candidate / base of pairs of fresh processes, by case.

    Before the `last` look both decisions are strict, because more pairs may follow.
    """
    reason = "one side could not measure it in every process"
    verdicts = {key: _replaced(screening, key, reason, "A/B") for key in keys if key not in pairs}
    paired_keys = [key for key in keys if key in pairs]
    if not paired_keys:
        return verdicts
    process = np.array([criteria.bands[key].process for key in paired_keys])
    changes = paired(np.array([pairs[key] for key in paired_keys]), process)
    masks = confirmed(changes, criteria.thresholds(paired_keys), LAST_RATE if last else FIRST_RATE)
    how = f"base and candidate in {len(pairs[paired_keys[0]])} pairs of fresh processes"
    second: Verdicts = {}
    for i, key in enumerate(paired_keys):
        ruled_out = changes.high[i] <= criteria.limit(key, last=last) or not screening.slow[key]
        decision = _decision(masks[0][i], masks[1][i], ruled_out, how)
        second[key] = criteria.measured(key, (*decision, "A/B"), changes, i)
    return verdicts | _with_first_change(screening, second)


def verdicts_after_remeasuring(
    criteria: Criteria,
    screening: Screening,
    keys: Sequence[Key],
    again: RunTimes,
    *,
    same_source: frozenset[Key] = frozenset(),
) -> Verdicts:
    """Verdicts of suspects from a second run of the same code: no case fails; a slow one stays undecided.

    Cases of `same_source` run the base's own code: their change comes from the machine.
    """
    reason = "it could not be measured again"
    verdicts = {
        key: _replaced(screening, key, reason, "re-measured") for key in keys if key not in again.log_ns
    }
    how = f"measured again in {again.processes} fresh processes"
    for runs, group in criteria.by_runs(key for key in keys if key in again.log_ns).items():
        changes = screen(criteria.statistics(again, group), criteria.arrays(group, runs))
        masks = remeasured(changes, criteria.thresholds(group))
        second: Verdicts = {}
        for i, key in enumerate(group):
            decision = _again(key in same_source, masks[0][i], masks[1][i], how)
            second[key] = criteria.measured(key, (*decision, "re-measured"), changes, i)
        verdicts |= _with_first_change(screening, second)
    return verdicts


def verdicts_unmeasured(screening: Screening) -> Verdicts:
    """The suspects, left undecided because nothing is measured again; what looks faster passes."""
    reason = f"{SUSPECTED}, and not measured again"
    return {
        key: _replaced(screening, key, reason, "screen", "undecided" if slow else "same")
        for key, slow in screening.slow.items()
    }


def verdicts_disturbed(screening: Screening, keys: Sequence[Key], why: Sequence[Finding]) -> Verdicts:
    """Suspects whose second run is not valid: those that looked slower are undecided."""
    reason = f"measured again while {'; '.join(finding.text for finding in why)}"
    return {
        key: _replaced(
            screening, key, reason, "re-measured", "not comparable" if screening.slow[key] else "same"
        )
        for key in keys
    }


def _decision(slower: bool, faster: bool, ruled_out: bool, how: str) -> tuple[GateVerdict, str]:
    if slower or faster:
        return "slower" if slower else "faster", f"confirmed: {how}"
    if ruled_out:
        return "same", f"suspected, not confirmed: {how}"
    return "undecided", f"neither confirmed nor ruled out: {how}"


def _again(same_source: bool, slower: bool, faster: bool, how: str) -> tuple[GateVerdict, str]:
    """The verdict and its reason where the same code was measured once more."""
    if slower and same_source:
        return "undecided", f"{how}, it is slower, but its source is the base's own: look at the machine"
    if slower:
        return "undecided", f"{how}, it is slower too, but {_NO_BASE}"
    if faster and not same_source:
        return "faster", f"confirmed: {how}"
    return "same", f"suspected, not confirmed: {how}"


def _with_first_change(screening: Screening, second: Verdicts) -> Verdicts:
    """The verdicts of a second measurement beside the change that the screen measured."""
    first = {key: screening.verdicts[key].change for key in second}
    return {key: msgspec.structs.replace(v, first_change=first[key]) for key, v in second.items()}


def _replaced(
    screening: Screening, key: Key, reason: str, stage: Stage, verdict: GateVerdict | None = None
) -> CaseVerdict:
    """A suspect without a second change: undecided where it looked slower, else it passes."""
    return msgspec.structs.replace(
        screening.verdicts[key],
        verdict=verdict or ("undecided" if screening.slow[key] else "same"),
        reason=reason,
        stage=stage,
    )
