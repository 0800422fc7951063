"""The second check of a function: the timed calls once more, on arguments that changed after the first check.

New values are written in place into a set of the rotation, which keeps its pointers. Nobody can foresee
them, nor the sample in between after which this happens. Without a reference the function itself is called
beside it, on memory of its own: a result that was kept from before differs from that as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch

from quantroof.bench.calls.data import CallData
from quantroof.bench.calls.output import error_of, tensors_of
from quantroof.bench.correctness import WrongOutput, correct
from quantroof.bench.fresh import threads_started
from quantroof.bench.host_heap import new_blocks_filled
from quantroof.bench.timing.timer import Timer

Arguments = tuple[Any, ...]
_CHOICE = random.SystemRandom()
_CHANGED = "on arguments that changed between timed calls"


class CallRecheck:
    """Checks after a random sample and at the end; `expected` is what a call must make of some arguments."""

    def __init__(
        self,
        data: CallData,
        function: Callable[..., Any],
        expected: Callable[[CallData], list[torch.Tensor]],
        *,
        between: int,
    ) -> None:
        self._data, self._function, self._expected = data, function, expected
        self._at = _CHOICE.randrange(max(1, between))
        self._threads = 0
        self._kept = [tensor.clone() for tensor in data.tensors]

    def prepare(self, timer: Timer, seconds: float) -> None:
        """Nothing is needed before sampling."""

    def after_sample(self, index: int, timer: Timer) -> bool:
        """Check where it is this sample's turn."""
        if index == 0:
            self._threads = threads_started()
        if index == self._at:
            self._check(timer)
        return False

    def conclude(self, timer: Timer) -> None:
        """Check at the end. WrongOutput where the timed calls did something else than compute."""
        started = threads_started() - self._threads - 1  # one was made to read the number
        if started > 0:
            raise WrongOutput(f"timed calls start threads ({started} of them): work may go on after a call")
        for arguments in (self._data.tensors, *timer.copies.sets):
            for place, (now, kept) in enumerate(zip(arguments, self._kept, strict=True)):
                if place not in self._data.written and not torch.equal(_bits(now), _bits(kept)):
                    name = self._data.call.tensors[place].name
                    raise WrongOutput(f"timed calls write into {name}: mark it as `= out`, or copy it first")
        self._check(timer)

    def _check(self, timer: Timer) -> None:
        fresh = self._data.again(_CHOICE.randrange(1 << 40))
        expected = self._expected(fresh)
        outputs = self._timed(timer, fresh.tensors)
        try:
            accuracy = error_of(outputs, expected, self._data.call.tolerance)
        except WrongOutput as error:
            raise WrongOutput(f"{error}, {_CHANGED}") from None
        if not correct(accuracy):
            off, limit = accuracy.frobenius, accuracy.tolerance
            raise WrongOutput(f"relative error {off:.2e} {_CHANGED} is above the tolerance {limit:.0e}")

    def _timed(self, timer: Timer, values: Arguments) -> list[torch.Tensor]:
        """What a call makes of new values as in a sample; the set is restored whatever happens."""
        used: list[tuple[Arguments, Arguments]] = []

        def refresh(arguments: Arguments) -> None:
            used.append((arguments, tuple(tensor.clone() for tensor in arguments)))
            self._function(*arguments)  # a result that is kept for these pointers is an old one now
            _write(arguments, values)

        try:
            with new_blocks_filled():
                returned = timer.output(refresh)
            return [out.clone() for out in tensors_of(self._data, used[-1][0], returned)]
        finally:
            for arguments, kept in used:
                _write(arguments, kept)


def _write(targets: Arguments, sources: Arguments) -> None:
    for target, source in zip(targets, sources, strict=True):
        if target is not source:
            target.data.copy_(source)  # no version counter shows it


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
