"""Floors as shares of the measured roof: they stop a baseline that is updated often from sinking."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from quantroof.analysis.roofs import best_roof_shares, measured_roofs
from quantroof.analysis.winner import usable_lines
from quantroof.errors import UsageError
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.times import RunTimes
from quantroof.records.lines import parsed_case


def apply_floors(
    verdicts: Verdicts, times: RunTimes, floors: Mapping[str, float], criteria: Criteria
) -> Verdicts:
    """The verdicts, with every case `slower` whose best kernel is below the floor of its format.

    It must be below by more than noise: half of all unchanged runs are below their true share.
    UsageError if the run has no ceilings, or a floor is for a format that the run does not have.
    """
    if not floors:
        return verdicts
    lines = usable_lines(times.run, times.device)
    best = best_roof_shares(lines, measured_roofs(times.device.id, times.run.ceilings))
    if not best:
        what = "it has no ceilings, and a floor is a share of the measured roof"
        raise UsageError(what, where=str(times.run.path), hint="run without --no-ceilings")
    floored = dict(verdicts)
    for glob, floor in floors.items():
        matching = {
            case: share for case, share in best.items() if fnmatchcase(parsed_case(case).scheme, glob)
        }
        if not matching:
            raise UsageError(f"floor '{glob}': no case of that format has a roof", where=str(times.run.path))
        for case, (kernel, fraction) in matching.items():
            margin = criteria.roof_margin((case, kernel))
            if fraction < floor * math.exp(-margin):
                text = (
                    f"its best kernel reaches {fraction:.1%} of the measured roof, the floor is {floor:.1%}"
                    f" (noise allows {-math.expm1(-margin):.1%} less)"
                )
                result = floored[case, kernel]
                floored[case, kernel] = msgspec.structs.replace(result, verdict="slower", reason=text)
    return floored
