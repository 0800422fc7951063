"""The second check of a kernel: the timed calls once more, on data that changed after the first check.

A part of the operand's codes is moved about and written in place into a set of the rotation, which keeps its
pointers. Whoever returns an earlier result, a stolen reference, or works less carefully after the first
check is then wrong in the rows that changed. Scales, zero points and column orders stay as they are.
"""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, replace
from typing import Any

import torch

from quantroof.bench.correctness import WrongOutput, output_values
from quantroof.bench.host_heap import new_blocks_filled
from quantroof.bench.timing.cpu import CpuBlocks
from quantroof.bench.timing.timer import Timer
from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.quantize import Quantized, quantize
from quantroof.kernels.reference import product, reference_of

# One row in sixteen and a quarter of its columns: a stale output is then wrong by sqrt(2 / 16 / 4) = 0.18 of
# its norm, twenty times the largest tolerance; a cache that looks at a few codes does not notice.
_ROWS_PER_CHANGED, _COLUMN_SHARE = 16, 4
_SLOW_S = 0.1  # a block on a CPU is 10 ms; what takes longer is one call
_CHOICE = random.SystemRandom()  # no kernel can foresee the rows


@dataclass(frozen=True, slots=True)
class FreshData:
    """A problem with other codes in some rows, as a kernel packs it, and the output expected of it."""

    weights: tuple[Any, ...]
    expected: torch.Tensor
    limit: float


def fresh_data(kernel: Kernel, problem: Problem) -> FreshData | None:
    """Changed operands for the calls of a kernel; None if a second build refuses what the first took."""
    operation = problem.case.operation
    changed = problem.arriving if operation == "act_quant" else problem.weight.codes
    rows = _some_rows(changed.shape[0], changed.device)
    codes = _moved(changed, rows)
    if operation == "act_quant":
        other: Problem = problem.with_operands(arriving=codes)
        expected = quantize(codes.float(), problem.case.output).dequantized()
    else:
        weight = replace(problem.weight, codes=codes)
        other = problem.with_operands(weight=weight)
        expected = _expected(problem, weight, rows)
    prepared = kernel.build(other)
    if not isinstance(prepared, Prepared):
        return None
    return FreshData(prepared.weights, expected, tolerance(problem.case))


def _expected(problem: Problem, weight: Quantized, rows: torch.Tensor) -> torch.Tensor:
    """The output for a weight that differs in these rows: only what depends on them is computed again."""
    case = problem.case
    if case.operation not in ("gemv", "gemm", "dequantize"):
        return product(case, problem.activation.dequantized(), weight.dequantized())
    part = _rows_of(weight, rows).dequantized()
    expected = reference_of(problem).exact.clone()
    if case.operation == "dequantize":
        expected[rows] = part
    else:
        expected[:, rows] = product(case, problem.activation.dequantized(), part)
    return expected


class Recheck:
    """The second check of a measurement: after sampling, and once before at a random sample.

    Where one call of a kernel of this package takes long on a CPU, its first sample is checked instead.
    """

    def __init__(self, kernel: Kernel, problem: Problem, prepared: Prepared, *, between: int = 0) -> None:
        """`between` is the number of samples among which one is chosen for a check in between; 0 for none.

        Kernels with a check in between are not of this package: what they do to their operands is looked at.
        """
        self._weights = [_bits(t).clone() for t in _tensors(prepared.weights)] if between else []
        self._threads = 0
        self._kernel, self._problem, self._prepared = kernel, problem, prepared
        self._data: FreshData | None = None
        self._kept: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None
        self._between, self._foreign = between, bool(between)
        self._at: int | None = None
        self._at_first = False

    def prepare(self, timer: Timer, seconds: float) -> None:
        """Choose the sample that is checked, and prepare the first if it is. Sampling takes `seconds`."""
        if self._foreign:
            self._at = _CHOICE.randrange(min(self._between, max(1, int(seconds / timer.batch_s))))
        if not self._foreign and isinstance(timer, CpuBlocks) and timer.batch_s >= _SLOW_S:
            self._at, self._at_first = 0, True
        if self._at == 0:
            self._arm(timer)

    def after_sample(self, index: int, timer: Timer) -> bool:
        """Check where it was this sample's turn, and prepare the next if that is checked; True until then."""
        if index == 0 and self._foreign:
            self._threads = threads_started()
        if index == self._at:
            self._check(timer)
        elif self._at is not None and index == self._at - 1:
            self._arm(timer)
        return self._at is not None and index < self._at

    def conclude(self, timer: Timer) -> None:
        """Check at the end. WrongOutput where the timed calls did something else than compute."""
        if self._at_first:
            return
        if self._foreign:
            started = threads_started() - self._threads - 1  # one of them was started by no one: it counts
            if started > 0:
                raise WrongOutput(
                    f"timed calls start threads ({started} of them): work may go on after a call"
                )
        with new_blocks_filled():
            self._arm(timer)
            if isinstance(timer, CpuBlocks):
                timer.samples()
            self._check(timer)
        if self._foreign:
            self._check_operands(timer)

    def _check_operands(self, timer: Timer) -> None:
        """Every weight set, and the one that they were copied from, holds what `build` returned."""
        for weights in (self._prepared.weights, *timer.copies.sets):
            now = [_bits(t) for t in _tensors(weights)]
            if not all(map(torch.equal, now, self._weights)):
                raise WrongOutput("timed calls write into their weights")

    def _arm(self, timer: Timer) -> None:
        """Let the next block of a CPU be the one that is checked; on a GPU `output` does it at once."""
        self._data = self._data or fresh_data(self._kernel, self._problem)
        if self._data is not None and isinstance(timer, CpuBlocks):
            timer.refresh_next(self._refresh)

    def _refresh(self, weights: tuple[Any, ...]) -> None:
        assert self._data is not None
        self._kept = weights, tuple(t.clone() if isinstance(t, torch.Tensor) else t for t in weights)
        if self._foreign:
            self._prepared.call(*weights)  # a result that is kept for these pointers is an old one now
        _write(weights, self._data.weights)

    def _output(self, timer: Timer) -> Any:
        return timer.take_output() if isinstance(timer, CpuBlocks) else timer.output(self._refresh)

    def _check(self, timer: Timer) -> None:
        """Compare the output, and restore the set whatever happens."""
        if self._data is None:
            return
        try:
            values = output_values(self._prepared, self._problem, self._output(timer))
        except WrongOutput as error:
            raise WrongOutput(f"{error}, on operands that changed between timed calls") from None
        finally:
            if self._kept is not None:
                _write(*self._kept)
        off = float((values - self._data.expected).norm() / self._data.expected.norm())
        if not off <= self._data.limit:
            raise WrongOutput(
                f"relative error {off:.2e} on operands that changed between timed calls is above the "
                f"tolerance {self._data.limit:.0e}: the timed calls did not compute this product"
            )


def _tensors(weights: tuple[Any, ...]) -> list[torch.Tensor]:
    return [t for t in weights if isinstance(t, torch.Tensor) and t.layout == torch.strided]


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def threads_started() -> int:
    """How many unnamed threads Python has counted, the one that is made here to read the number included."""
    digits = re.search(r"\d+", threading.Thread(target=None).name)
    return int(digits[0]) if digits else 0


def _some_rows(count: int, device: torch.device) -> torch.Tensor:
    rows = _CHOICE.sample(range(count), max(1, count // _ROWS_PER_CHANGED))
    return torch.tensor(sorted(rows), device=device)


def _moved(codes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The codes with a stretch of columns turned round in these rows: valid codes, in other places."""
    k = codes.shape[1]
    width = max(2, k // _COLUMN_SHARE)
    first = _CHOICE.randrange(max(1, k - width + 1))
    raw = codes.view(torch.uint8) if codes.element_size() == 1 else codes
    moved = raw.clone()
    stretch = slice(first, first + width)
    moved[rows, stretch] = raw[rows, stretch].roll(width // 2, dims=1)
    return moved.view(codes.dtype)


def _rows_of(weight: Quantized, rows: torch.Tensor) -> Quantized:
    """The weight's rows alone. Blocks become groups, because the rows of a block need not be neighbors."""
    raw = weight.codes.view(torch.uint8) if weight.codes.element_size() == 1 else weight.codes
    codes = raw[rows].view(weight.codes.dtype)
    fmt, scales = weight.format, weight.scales
    if scales is None or fmt.granularity == "tensor":
        return replace(weight, codes=codes)
    if fmt.granularity == "block" and fmt.group:
        by_row = scales[rows // fmt.group]
        return Quantized(replace(fmt, granularity="group"), codes, by_row)
    zeros = None if weight.zeros is None else weight.zeros[rows]
    return replace(weight, codes=codes, scales=scales[rows], zeros=zeros)


def _write(targets: tuple[Any, ...], sources: tuple[Any, ...]) -> None:
    """Write in place; through `.data`, so that the tensors' version counters do not show it."""
    for target, source in zip(targets, sources, strict=True):
        if isinstance(target, torch.Tensor) and target is not source:
            target.data.copy_(source)
