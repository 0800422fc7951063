"""Against a reference: GPUs of the same model, measured elsewhere, whose median stands for the fleet's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Collection, Population, Times, Unit, Work, matrix
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import Finding
from quantroof.fleet.scores import CLASSES, class_levels, nanmedian


def on_works(collection: Collection, times: Times, units: list[int], works: list[Work]) -> Array:
    """Log times of some units of another collection [units, works], NaN where they have none."""
    columns, table = matrix(times, units)
    position = {collection.works[c].name: k for k, c in enumerate(columns)}
    placed = np.full((len(units), len(works)), np.nan)
    for column, work in enumerate(works):
        if (found := position.get(work.name)) is not None:
            placed[:, column] = table[:, found]
    return placed


@dataclass(frozen=True, slots=True)
class ReferenceFleet:
    """The median log time [works] of `gpus` GPUs that are no part of what is judged."""

    center: Array
    gpus: int

    def level(self, log_ns: Array, follows: Array) -> Array:
        """Log time beside the reference [gpus, classes], NaN where it has no such case."""
        return class_levels(log_ns - self.center, follows)


def reference_fleet(
    population: Population, own: list[Unit], works: list[Work], given: Collection, times: Times
) -> ReferenceFleet | None:
    """The reference of one population without the GPUs that are judged; None where it has none alike."""
    mine = {unit.identity for unit in own}
    alike = [
        index
        for index, unit in enumerate(given.units)
        if unit.population == population and unit.identity not in mine
    ]
    if not alike:
        return None
    return ReferenceFleet(nanmedian(on_works(given, times, alike, works), 0), len(alike))


def below_reference(level: Array, reference: ReferenceFleet, policy: Policy) -> list[Finding]:
    """Findings of one GPU from its classes' levels."""
    found = []
    for name, value in zip(CLASSES, level, strict=True):
        if value > -math.log(policy.floor):
            gpus = f"{reference.gpus} GPU{'' if reference.gpus == 1 else 's'}"
            text = f"{name} at {math.exp(-value):.1%} of the reference's median ({gpus}), "
            text += f"the floor is {policy.floor:.0%}"
            found.append(Finding("below policy", f"{name}_reference", text))
    return found
