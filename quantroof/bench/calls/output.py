"""What a function returned, as tensors, and how far it is from what a reference returned."""

from __future__ import annotations

import math
from typing import Any

import torch

from quantroof.bench.calls.data import CallData
from quantroof.bench.correctness import WrongOutput
from quantroof.records.lines import Accuracy

# Relative Frobenius errors: those of a product's output in these types (kernels.problem), and exact integers.
_TOLERANCE = {
    torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 8e-3,
    torch.float8_e4m3fn: 6e-2, torch.float8_e5m2: 1.2e-1,
}  # fmt: skip


def tensors_of(data: CallData, arguments: tuple[torch.Tensor, ...], returned: Any) -> list[torch.Tensor]:
    """The tensors that a call made: the arguments it writes, else what it returned. WrongOutput if none."""
    outputs = [arguments[i] for i in data.written] or flat(returned)
    if not outputs:
        kind = type(returned).__name__
        hint = "mark the argument that it writes, as `y: bf16[M] = out`"
        raise WrongOutput(f"it returns {kind} and no tensor: {hint}")
    return outputs


def error_of(outputs: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float | None) -> Accuracy:
    """The error over all outputs; WrongOutput for another number or shape of tensors."""
    if len(outputs) != len(expected):
        raise WrongOutput(f"it makes {len(outputs)} tensors, its reference {len(expected)}")
    limit = max((_TOLERANCE.get(out.dtype, 0.0) for out in outputs), default=0.0)
    off = whole = largest = scale = 0.0
    for out, wanted in zip(outputs, expected, strict=True):
        if out.shape != wanted.shape:
            raise WrongOutput(f"output has shape {tuple(out.shape)}, not {tuple(wanted.shape)}")
        ours, theirs = _numbers(out), _numbers(wanted)
        if not torch.equal(torch.isfinite(ours), torch.isfinite(theirs)):
            raise WrongOutput("output has NaN or infinity where its reference has none, or the reverse")
        ours, theirs = ours.nan_to_num(0.0, 0.0, 0.0), theirs.nan_to_num(0.0, 0.0, 0.0)
        off, whole = off + _squares(ours - theirs), whole + _squares(theirs)
        if ours.numel():
            largest = max(largest, float((ours - theirs).abs().max()))
            scale = max(scale, float(theirs.abs().max()))
    return Accuracy(
        frobenius=math.sqrt(off / whole) if whole else math.sqrt(off),
        max_abs=largest / scale if scale else largest,
        tolerance=limit if tolerance is None else tolerance,
    )


def bytes_of(data: CallData, outputs: list[torch.Tensor]) -> int:
    """Every argument and every returned tensor once."""
    arguments = {tensor.data_ptr() for tensor in data.tensors}
    made = (out for out in outputs if out.data_ptr() not in arguments)
    return data.total_bytes + sum(out.numel() * out.element_size() for out in made)


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64)


def _squares(tensor: torch.Tensor) -> float:
    return float(tensor.abs().square().sum())


def flat(value: Any) -> list[torch.Tensor]:
    """The tensors of a value: of tuples, lists and dictionaries, nested ones as well."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value, key=str)]
    return [tensor for part in value for tensor in flat(part)] if isinstance(value, list | tuple) else []
