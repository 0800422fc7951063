"""Findings about GPUs whose memory bandwidth moved during their run, by the rule of `analysis`."""

from __future__ import annotations

import math

import numpy as np

from quantroof.analysis.bandwidth_change import BandwidthChange, alone, largest, state_beside
from quantroof.finding import Finding
from quantroof.fleet.collection import Collection, Times, matrix
from quantroof.fleet.rows import AT_END

FADED, MOVED = "faded", "moved"


def fading_findings(collection: Collection, times: Times, indices: list[int]) -> list[list[Finding]]:
    """One list per GPU of a population: degraded where its bandwidth fell alone, unknown where it moved."""
    changes = _changes(collection, times, indices)
    findings: list[list[Finding]] = []
    for row, own in enumerate(changes):
        if own is None or state_beside(own.change, ()) == "ok":  # whatever the others did
            findings.append([])
            continue
        beside = [other.change for k, other in enumerate(changes) if other is not None and k != row]
        if state_beside(own.change, beside) == "degraded":
            findings.append([Finding("degraded", FADED, alone(own.words))])
        else:
            findings.append([Finding("unknown", MOVED, f"{own.words}: measure it again")])
    return findings


def _changes(collection: Collection, times: Times, indices: list[int]) -> list[BandwidthChange | None]:
    """The change of bandwidth of every GPU; None where none was measured twice."""
    columns, log_ns = matrix(times, indices)
    place = {collection.works[column].name: k for k, column in enumerate(columns)}
    changes: list[list[BandwidthChange]] = [[] for _ in indices]
    for name, end in place.items():
        start = place.get(name.removesuffix(AT_END))
        if not name.endswith(AT_END) or start is None:
            continue
        quantity = name.split("/")[1]
        for row, difference in enumerate(np.subtract(log_ns[:, start], log_ns[:, end]).tolist()):
            if not math.isnan(difference):
                device = collection.units[indices[row]].device.id
                changes[row].append(BandwidthChange(device, quantity, math.expm1(difference)))
    return [largest(one) for one in changes]
