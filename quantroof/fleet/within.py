"""Compare the GPUs of a group that differs within it, so that no GPU is called slow for its VBIOS or rack."""

from __future__ import annotations

import math

from quantroof.fleet.evidence import Evidence, weigh, within_groups
from quantroof.fleet.groups import GroupRow, Labels, attribute_of
from quantroof.fleet.policy import Policy
from quantroof.units import change


def judged_within_groups(
    evidence: Evidence, rows: list[GroupRow], labels: Labels | None, policy: Policy
) -> tuple[Evidence, list[str]]:
    """The evidence of one population, within the groups of the attribute that differs most; with remarks.

    The GPUs of a group that differs by more than the site's floor stay compared with all others.
    """
    population = evidence.times.units[0].population
    differing = [row for row in rows if row.population == population and row.differs]
    if not differing or not evidence.compared:
        return evidence, []
    attribute = max(differing, key=lambda row: abs(row.difference)).attribute
    differing = [row for row in differing if row.attribute == attribute]
    far = {row.value for row in differing if abs(row.difference) > policy.log_floor}
    excused = {row.value for row in differing} - far
    groups = [attribute_of(unit, attribute, labels) for unit in evidence.times.units]
    inside = within_groups(evidence.times, groups, excused)
    again = weigh(inside, evidence.past, evidence.reference, evidence.retest, policy)
    return again, [_remark(row) for row in differing if row.value in excused]


def _remark(row: GroupRow) -> str:
    return (
        f"{row.attribute} {row.value}: {row.resource} {change(math.exp(-row.difference))} beside all other "
        "nodes; its GPUs are compared within it"
    )
