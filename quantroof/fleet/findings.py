"""From the evidence to the findings of every GPU, the gravest first."""

from __future__ import annotations

import math

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.verdicts import BY_DATASHEET, BY_ITSELF
from quantroof.finding import Finding
from quantroof.fleet.comparisons import below_reference, floor_text
from quantroof.fleet.evidence import Evidence
from quantroof.fleet.grades import ALONE, JUDGED_ALONE, gravest_first
from quantroof.fleet.policy import MIN_SIBLINGS, Policy
from quantroof.fleet.scores import CLASSES, TESTS
from quantroof.units import chance


def gpu_findings(
    evidence: Evidence, row: int, preflight: list[Finding], read_share: float | None, policy: Policy
) -> tuple[Finding, ...]:
    """All findings of one GPU. `preflight` is what needs no other GPU, `read_share` its read's share of the
    datasheet.

    A GPU in use by others is unknown, unless it failed.
    """
    findings = list(preflight)
    if evidence.reference is not None:
        gpus = len(evidence.times.units)
        findings += below_reference(evidence.reference_level[row], evidence.reference, gpus, policy)
    findings += _slow_findings(evidence, row, policy)
    if all(f.level == "note" for f in findings) and _nothing_to_compare(evidence, row):
        findings.append(_alone(len(evidence.times.units), read_share))
    unknown = [f for f in findings if f.level == "unknown"]
    if unknown and not any(f.level == "failed" for f in findings):
        findings = unknown
    return gravest_first(findings)


def _alone(gpus: int, read_share: float | None) -> Finding:
    """A datasheet that the GPU reaches stands in for siblings; without one nothing can be judged."""
    if read_share is not None:
        few = f"{BY_DATASHEET}; fewer than {MIN_SIBLINGS} siblings"
        return Finding("note", JUDGED_ALONE, BY_ITSELF if gpus == 1 else few)
    text = f"fewer than {MIN_SIBLINGS} similar GPUs, no past, no reference and no datasheet"
    return Finding("unknown", ALONE, text)


def _nothing_to_compare(evidence: Evidence, row: int) -> bool:
    """Whether the datasheet is all there is to judge the speed of a GPU by."""
    levels = np.array([evidence.past_change[row], evidence.reference_level[row]])
    return not evidence.compared and bool(np.isnan(levels).all())


def _slow_findings(evidence: Evidence, row: int, policy: Policy) -> list[Finding]:
    slow = evidence.slow
    findings = []
    if evidence.cleared[row]:
        findings.append(Finding("note", "cleared", "slow at first, but not when it was measured again"))
    suffix = _suffix(evidence, row)
    for test, name in enumerate(TESTS):
        if slow.defective[row, test]:
            findings.append(Finding("degraded", name, _defect_text(evidence, row, test) + suffix))
    for c, name in enumerate(CLASSES):
        findings += _floor_findings(evidence, row, c, policy)
        if slow.since_past[row, c]:
            text = f"{name} {_percent(evidence.past_change[row, c])} against its own past{suffix}"
            findings.append(Finding("degraded", f"{name}_past", text))
    return findings


def _floor_findings(evidence: Evidence, row: int, c: int, policy: Policy) -> list[Finding]:
    """Below the floor that the spread allows; a note where the GPU is only below the site's floor."""
    level = evidence.scores.level[row, c]
    text = f"{CLASSES[c]} at {math.exp(-level):.1%} of the siblings' median, "
    if evidence.slow.below_floor[row, c]:
        text += floor_text(evidence.siblings.floors(policy)[c]) + _suffix(evidence, row)
        return [Finding("degraded", f"{CLASSES[c]}_floor", text)]
    if evidence.compared and level > policy.log_floor and not evidence.cleared[row]:
        text += f"below {policy.floor:.0%}, and no further than healthy GPUs may spread"
        return [Finding("note", f"{CLASSES[c]}_low", text)]
    return []


def _suffix(evidence: Evidence, row: int) -> str:
    return ", measured again" if evidence.retested[row] else ""


def _defect_text(evidence: Evidence, row: int, test: int) -> str:
    p = evidence.scores.p[row, test]
    if test == len(CLASSES):
        slow = int(evidence.scores.slow_cases[row].sum())
        cases = len(evidence.times.works)
        return f"{slow} of {cases} cases slow compared with the rest of this GPU ({chance(p)})"
    return f"{CLASSES[test]} {_percent(evidence.scores.level[row, test])} against siblings ({chance(p)})"


def _percent(level: float) -> str:
    """A log time as a change of speed."""
    return f"{math.exp(-level) - 1:+.1%}"


def by_class(levels: Array) -> dict[str, float | None]:
    """An array [classes] by the name of the class; None for NaN."""
    return {name: None if math.isnan(v) else float(v) for name, v in zip(CLASSES, levels, strict=True)}
