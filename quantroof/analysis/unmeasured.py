"""Cases without a time, grouped by reason, so that no planned case is silently absent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.analysis.device_results import DeviceResults
from quantroof.records.lines import HAVE_TIMES, Ceiling, Measurement, Status, case_words

_ASKED = re.compile(r",? not \d+$")
"""How a reason ends in the size that was asked for; the cases below the reason name it too."""

ORDER: tuple[Status, ...] = ("incorrect", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that share status and reason, on the devices that have them. `cases` are texts of kernel and
    case id, each once, `words` the same for people; `records` counts them on every device.
    """

    status: Status
    reason: str
    devices: tuple[str, ...]
    of: int
    """How many devices the report has."""
    cases: tuple[str, ...]
    words: tuple[str, ...]
    records: int

    @property
    def where(self) -> str:
        """`cuda:0`, `all 8 devices` or `3 of 8 devices`."""
        return named(self.devices, self.of)


def named(devices: Sequence[str], of: int) -> str:
    """`cuda:0`, `all 8 devices` or `3 of 8 devices`."""
    count = len(devices)
    if count == 1:
        return devices[0]
    return f"all {count} devices" if count == of else f"{count} of {of} devices"


def unmeasured(devices: list[DeviceResults]) -> list[Group]:
    """Groups of untimed measurements and ceilings: wrong ones first, then failed, then skipped.

    A reason that several devices share is one group, and so is a limit that several sizes exceed.
    """
    groups: dict[tuple[Status, str], list[tuple[str, str, str]]] = {}
    for results in devices:
        for ceiling in results.ceilings:
            if ceiling.status not in HAVE_TIMES:
                text = f"ceiling {ceiling.quantity} {ceiling.name} ({ceiling.kernel})"
                groups.setdefault(_key(ceiling), []).append((results.label, text, text))
        for point in results.points:
            m = point.measurement
            if m.status not in HAVE_TIMES:
                groups.setdefault(_key(m), []).append(
                    (results.label, f"{m.kernel} {m.case}", f"{case_words(m.case)}, {m.kernel}")
                )
    reasons = [_group(*key, entries, len(devices)) for key, entries in groups.items()]
    return sorted(reasons, key=lambda group: (ORDER.index(group.status), -group.records))


def _key(line: Ceiling | Measurement) -> tuple[Status, str]:
    return line.status, _ASKED.sub("", line.reason or "")


def _group(status: Status, reason: str, entries: list[tuple[str, str, str]], of: int) -> Group:
    devices = tuple(dict.fromkeys(device for device, _, _ in entries))
    cases = dict.fromkeys((case, words) for _, case, words in entries)
    texts, words = tuple(case for case, _ in cases), tuple(words for _, words in cases)
    return Group(status, reason, devices, of, texts, words, len(entries))
