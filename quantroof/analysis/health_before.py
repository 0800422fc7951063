"""Is a device slower than it was? Its read ceiling beside that of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

from quantroof import units
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.floors import SIBLING_FLOOR
from quantroof.analysis.roofs import READ


def identity(results: DeviceResults) -> tuple[object, ...]:
    """The identity of a physical device, so that two runs on one GPU do not count as siblings."""
    device = results.device
    return (device.uuid,) if device.uuid else (results.run.info.host.name, device.id)


def slower_than_before(devices: Sequence[DeviceResults], before: Sequence[DeviceResults]) -> dict[str, str]:
    """By label a sentence on each device that reads slower than in the runs `before`, by `SIBLING_FLOOR`.

    Only runs of the same device whose figures may be used say so, and no simulation says it of a device.
    """
    said = [r for r in before if r.trust.usable or not r.trust.timed]
    usable = {(identity(r), r.run.info.simulated): r for r in said}
    texts = {}
    for results in devices:
        earlier = usable.get((identity(results), results.run.info.simulated))
        old = None if earlier is None else earlier.measured.bandwidth.get(READ)
        new = results.measured.bandwidth.get(READ)
        if old is not None and new is not None and new / old - 1 < -SIBLING_FLOOR:
            rates = f"{units.si(old, 'B/s')} -> {units.si(new, 'B/s')}"
            texts[results.label] = (
                f"{results.label}: read {units.change(new / old)} since the run before ({rates})"
            )
    return texts
