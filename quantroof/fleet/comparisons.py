"""Comparisons that need no siblings: with the datasheet, and with GPUs that were measured elsewhere.

The datasheet is the only check that notices when every GPU of a fleet is slow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.floors import floor_of
from quantroof.analysis.roofs import READ, datasheet_roofs
from quantroof.finding import Finding, Level
from quantroof.fleet.collection import Collection, Times, Unit, Work, matrix
from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import CLASSES, class_levels, nanmedian, slow_sides
from quantroof.fleet.slow_side import SlowSide
from quantroof.hwprofiles.catalog import match

_READS, _MATRIX = "bandwidth/read/", "matrix/"


def datasheet_shares(units: list[Unit], works: list[Work], log_ns: Array) -> list[dict[str, float]]:
    """The share of the datasheet that each unit [units, works] reached: DRAM `read`, and matrix rates by
    element.

    What was not measured, or is not in the datasheet, is left out. Only the largest read counts: a cache may
    answer small ones.
    """
    shares: list[dict[str, float]] = [{} for _ in units]
    profile = match(units[0].device) if units else None
    if profile is None:
        return shares
    sheet = datasheet_roofs(profile)
    reads = [w.bytes_moved for w in works if w.name.startswith(_READS)]
    for column, work in enumerate(works):
        peak = sheet.matrix.get(work.element) if work.name.startswith(_MATRIX) else None
        if work.name.startswith(_READS) and work.bytes_moved == max(reads):
            name, rate = READ, work.bytes_moved / sheet.bandwidth[READ]
        elif peak is not None:
            name, rate = work.element, work.flops / peak
        else:
            continue
        for share, seconds in zip(shares, np.exp(log_ns[:, column]) / 1e9, strict=True):
            if not np.isnan(seconds):
                share[name] = max(share.get(name, 0.0), float(rate / seconds))
    return shares


def read_floor(units: list[Unit], policy: Policy) -> float:
    """The least share of the datasheet that a read must reach: a site's own, or what others published."""
    if policy.datasheet_floor is not None:
        return policy.datasheet_floor
    return floor_of(match(units[0].device) if units else None)


def below_datasheet(share: float | None, floor: float) -> list[Finding]:
    """A finding where a DRAM read is below its floor.

    Matrix rates have no floor: a power cap takes a third of them from healthy boards, and how much it takes
    depends on the model.
    """
    if share is None or share >= floor:
        return []
    text = f"reads memory at {share:.0%} of the datasheet, the floor is {floor:.0%}"
    return [Finding("degraded", "datasheet", text)]


@dataclass(frozen=True, slots=True)
class ReferenceFleet:
    """The median log time [works] of `gpus` GPUs of the same model that are not themselves judged, and the
    slow side of their classes."""

    center: Array
    gpus: int
    slow: tuple[SlowSide, ...]

    def level(self, log_ns: Array, class_weights: Array) -> Array:
        """Log time relative to the reference [gpus, classes], NaN where it has no such case."""
        return class_levels(log_ns - self.center, class_weights)


def reference_fleet(
    judged: list[Unit], works: list[Work], weights: Array, reference: Collection, times: Times
) -> ReferenceFleet | None:
    """The reference for the population of the judged GPUs, without them; None if it has none alike.

    `weights` are `scores.class_weights` of the works.
    """
    population = judged[0].population
    identities = {unit.identity for unit in judged}
    alike = [
        index
        for index, unit in enumerate(reference.units)
        if unit.population == population and unit.identity not in identities
    ]
    if not alike:
        return None
    log_ns = on_works(reference, times, alike, works)
    center = nanmedian(log_ns, 0)
    level = class_levels(log_ns - center, weights)
    return ReferenceFleet(center, len(alike), slow_sides(level))


def on_works(collection: Collection, times: Times, units: list[int], works: list[Work]) -> Array:
    """Log times of some units of another collection [units, works], NaN where they have none."""
    columns, table = matrix(times, units)
    position = {collection.works[c].name: k for k, c in enumerate(columns)}
    placed = np.full((len(units), len(works)), np.nan)
    for column, work in enumerate(works):
        if (source := position.get(work.name)) is not None:
            placed[:, column] = table[:, source]
    return placed


def below_reference(level: Array, reference: ReferenceFleet, gpus: int, policy: Policy) -> list[Finding]:
    """Findings of one GPU from the levels of its classes; a note where healthy GPUs may spread as far.

    It is one of `gpus` of a node, any of which could be found by chance: the policy's share is that of
    healthy nodes.
    """
    findings = []
    for name, value, side in zip(CLASSES, level, reference.slow, strict=True):
        if value > policy.log_floor:
            alike = f"{reference.gpus} GPU{'' if reference.gpus == 1 else 's'}"
            limit = max(policy.log_floor, side.limit_among(policy.healthy_share, gpus))
            share = f"{name} at {math.exp(-value):.1%} of the reference's median ({alike})"
            grade: Level = "degraded" if value > limit else "note"
            findings.append(Finding(grade, f"{name}_reference", f"{share}, {floor_text(limit)}"))
    return findings


def floor_text(limit: float) -> str:
    """A floor in log time as the least share of a median."""
    return f"the floor is {math.exp(-limit):.1%}"
