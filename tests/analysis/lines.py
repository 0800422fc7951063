"""Measurements whose median and interval are exact, for rules that compare intervals."""

from __future__ import annotations

from msgspec.structs import replace

from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling, Measurement
from tests.builders import measurement


def exact(
    device: Device,
    scheme: str,
    ns: float,
    *,
    spread: float = 0.0,
    m: int = 8,
    layer: tuple[int, int] = (4096, 4096),
) -> Measurement:
    """A measurement with this very median, whose interval reaches `spread` (a share of it) to both sides."""
    line = measurement(device, scheme, m, layer, ns)
    assert line.timing is not None
    samples = (*[ns * (1 - spread)] * 10, ns, *[ns * (1 + spread)] * 10)
    return replace(line, timing=replace(line.timing, samples_ns=samples[::2] + samples[1::2]))


def at_rate(ceiling: Ceiling, rate: float) -> Ceiling:
    """The ceiling with samples that all give this very rate, in bytes/s or operations/s."""
    assert ceiling.timing is not None
    assert ceiling.amount is not None
    return replace(ceiling, timing=replace(ceiling.timing, samples_ns=(ceiling.amount / rate * 1e9,) * 9))
