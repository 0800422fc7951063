"""Formats on one GPU, independent of a model: by formula, and by this node's measurements if it has any."""

from __future__ import annotations

from quantroof.advisor.advice import FormatOnGpu
from quantroof.advisor.choices import choice
from quantroof.advisor.crossover import Crossing, SpeedUp, crossing, decompose, ridge_batch
from quantroof.advisor.interpolation import Shape
from quantroof.advisor.machine import Machine
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import Scheme

BASELINE = "bf16"
# A layer large enough for its activations not to matter: 8192 x 8192, as in Llama-3.1-70B's o projection.
_LARGE = 8192


def formats_on_gpu(machine: Machine, table: TimingTable, names: tuple[str, ...]) -> tuple[FormatOnGpu, ...]:
    """Bits, rate, ridge batch and, where measured, the crossing with bf16 and the speed-up at batch 1."""
    return tuple(_row(machine, table, choice(name)) for name in names)


def _row(machine: Machine, table: TimingTable, scheme: Scheme) -> FormatOnGpu:
    bits = scheme.weight.bits_per_element(_LARGE, _LARGE)
    rate = machine.rate(scheme.compute.name)
    shape = _common_shape(table, scheme.name)
    return FormatOnGpu(
        format=scheme.name,
        bits_per_weight=bits,
        computes_in=machine.compute_name(scheme.compute.name),
        rate=rate,
        ridge_batch=ridge_batch(bits, rate.value, machine.bandwidth.value) if rate else None,
        crossing=_crossing(table, scheme.name, shape),
        speed_up=_speed_up(machine, table, scheme, shape),
        measured_shape=shape,
    )


def _common_shape(table: TimingTable, name: str) -> Shape | None:
    """The largest layer that was measured in this format and in bf16."""
    if name == BASELINE:
        return None
    shared = table.points.get(name, {}).keys() & table.points.get(BASELINE, {}).keys()
    return max(shared, key=lambda s: (s[0] * s[1], s), default=None)


def _crossing(table: TimingTable, name: str, shape: Shape | None) -> Crossing | None:
    if shape is None:
        return None
    return crossing(table.points[BASELINE][shape], table.points[name][shape])


def _speed_up(machine: Machine, table: TimingTable, scheme: Scheme, shape: Shape | None) -> SpeedUp | None:
    if shape is None:
        return None
    base, other = table.points[BASELINE][shape][0], table.points[scheme.name][shape][0]
    if base.m != other.m:
        return None
    cases = (Case.linear(choice(BASELINE), base.m, *shape), Case.linear(scheme, base.m, *shape))
    bound = machine.bound(cases[0]) or "memory"
    work = [float(c.bytes_moved if bound == "memory" else c.flops) for c in cases]
    return decompose(base, other, (work[0], work[1]), bound)
