"""Cases without a time, grouped by reason, so that no planned case is silently absent."""

from __future__ import annotations

from dataclasses import dataclass

from quantroof.analysis.device_results import DeviceResults
from quantroof.records.lines import HAVE_TIMES, TIMED, Status

ORDER: tuple[Status, ...] = ("incorrect", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that share device, status and reason. `cases` are texts of kernel and case."""

    device: str
    status: Status
    reason: str
    cases: tuple[str, ...]


def unmeasured(devices: list[DeviceResults]) -> list[Group]:
    """Groups of untimed measurements and ceilings: wrong ones first, then failed, then skipped."""
    groups: dict[tuple[str, Status, str], list[str]] = {}
    for results in devices:
        for ceiling in results.ceilings:
            if ceiling.status not in TIMED:
                key = (results.label, ceiling.status, ceiling.reason or "")
                groups.setdefault(key, []).append(
                    f"ceiling {ceiling.quantity} {ceiling.name} ({ceiling.kernel})"
                )
        for point in results.points:
            m = point.measurement
            if m.status not in HAVE_TIMES:
                groups.setdefault((results.label, m.status, m.reason or ""), []).append(
                    f"{m.kernel} {m.case}"
                )
    reasons = [Group(*key, cases=tuple(cases)) for key, cases in groups.items()]
    return sorted(reasons, key=lambda group: (ORDER.index(group.status), -len(group.cases)))
