"""The record of one ceiling: its timing, or the reason why there is none; and groups of ceilings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from quantroof.bench.failures import reason
from quantroof.bench.measure import Bench, time_prepared
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.sass.nvrtc import Refusal
from quantroof.records.lines import Ceiling, GroupKey, Quantity, Status


@dataclass(frozen=True, slots=True)
class Group:
    """Ceilings that are measured together: one that brings the process down costs these only."""

    key: GroupKey
    ceilings: Callable[[], Iterator[Ceiling]]

    def measure(self, bench: Bench) -> Iterator[Ceiling]:
        """The ceilings one by one; what is raised between them ends the group with a failed line."""
        try:
            yield from self.ceilings()
        except Exception as error:  # noqa: BLE001 - a library may raise anything
            why = reason(error, f"ceilings {' '.join(self.key)}")
            yield untimed(bench, *self.key, "failed", why)


def timed(
    bench: Bench,
    build: Callable[[], Prepared | Skip],
    quantity: Quantity,
    name: str,
    kernel: str,
    **amount: Any,
) -> Ceiling:
    """Build and time; `amount` is what a call moves or computes. An exception costs only this ceiling."""
    try:
        prepared = build()
        if isinstance(prepared, Skip):
            return untimed(bench, quantity, name, kernel, "skipped", prepared.reason)
        timing, state, _ = time_prepared(bench, prepared)
    except Refusal as refusal:
        return untimed(bench, quantity, name, kernel, "skipped", refusal.what)
    except Exception as error:  # noqa: BLE001 - a library may raise anything
        return untimed(bench, quantity, name, kernel, "failed", reason(error, f"ceiling {name} by {kernel}"))
    return Ceiling(
        device=bench.device.id,
        quantity=quantity,
        name=name,
        kernel=kernel,
        status="ok",
        timing=timing,
        state=state,
        **amount,
    )


def untimed(bench: Bench, quantity: Quantity, name: str, kernel: str, status: Status, reason: str) -> Ceiling:
    """A ceiling without a time."""
    return Ceiling(
        device=bench.device.id, quantity=quantity, name=name, kernel=kernel, status=status, reason=reason
    )
