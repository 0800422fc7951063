"""Floors as shares of the measured roof: they stop a baseline that is updated often from sinking."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from quantroof.analysis.roofs import best_roof_shares, measured_roofs
from quantroof.analysis.winner import usable_lines
from quantroof.errors import UsageError
from quantroof.gate.times import Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict
from quantroof.records.lines import parsed_case


def apply_floors(
    verdicts: dict[Key, CaseVerdict], times: RunTimes, floors: Mapping[str, float]
) -> dict[Key, CaseVerdict]:
    """The verdicts, with every case `slower` whose best kernel is below the floor of its format.

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
            if fraction < floor:
                text = (
                    f"its best kernel reaches {fraction:.1%} of the measured roof, the floor is {floor:.1%}"
                )
                result = floored[case, kernel]
                floored[case, kernel] = msgspec.structs.replace(result, verdict="slower", reason=text)
    return floored
