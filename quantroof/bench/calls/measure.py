"""One measurement of a user's own function: arguments, check, timing, second check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from msgspec.structs import replace

from quantroof.bench.calls.data import CallData
from quantroof.bench.calls.output import bytes_of, error_of, flat, tensors_of
from quantroof.bench.calls.recheck import CallRecheck
from quantroof.bench.clock import now_s
from quantroof.bench.correctness import WrongOutput, correct
from quantroof.bench.failures import reason
from quantroof.bench.host_heap import new_blocks_filled
from quantroof.bench.measure import Bench, time_prepared
from quantroof.errors import UsageError
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.call import Call
from quantroof.kernels.cases import CallCase
from quantroof.kernels.kernel import Prepared
from quantroof.records.lines import Accuracy, Flag, Measurement

UNCHECKED = "unchecked"
_REASON_CHARACTERS = 300
_UNCHECKED = Flag(
    code=UNCHECKED,
    text="no reference was named, so only calls of the function itself were compared (--reference)",
)


def measure_call(bench: Bench, case: CallCase, name: str) -> Measurement:
    """Measure one function of a call; whatever goes wrong becomes a status with its reason."""
    start = now_s()
    call = next(call for call in bench.settings.calls if _has(call, case, name))
    case = call.at(case)
    blank = Measurement(
        device=bench.device.id,
        case=case.id,
        kernel=name,
        provider=functions.provider_of(call.kernels[name]),
        status="failed",
        reason="not measured",
        flops=case.flops,
        bytes_moved=case.bytes_moved,
    )
    try:
        line = _measured(bench, call, case, blank)
    except WrongOutput as error:
        line = replace(blank, status="incorrect", reason=str(error))
    except UsageError as error:
        line = replace(blank, reason=str(error))
    except torch.OutOfMemoryError as error:
        line = replace(blank, reason=f"out of memory: {reason(error, case.id)}")
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything; only its case fails
        line = replace(blank, reason=reason(error, f"{case.id} {name}"))
    text = line.reason and line.reason[:_REASON_CHARACTERS]
    return replace(line, reason=text, elapsed_s=now_s() - start)


def _has(call: Call, case: CallCase, name: str) -> bool:
    """Whether this call has the function and the case: a gate's suspects are several calls of one name."""
    own = (call.name, call.dtype) == (case.call, case.compute.name) and name in call.kernels
    return own and any(other.id == case.id for other in call.cases())


def _measured(bench: Bench, call: Call, case: CallCase, blank: Measurement) -> Measurement:
    device = torch.device("cuda", bench.device.index) if bench.device.kind == "cuda" else torch.device("cpu")
    data = CallData.made(call, case, device, bench.settings.seed)
    function = data.bound(functions.load(call.kernels[blank.kernel]))
    expected = _expectation(call, function)
    reference_outputs = expected(data)  # before the call, which may write into its arguments
    with new_blocks_filled():
        outputs = tensors_of(data, data.tensors, function(*data.tensors))
    accuracy = error_of(outputs, reference_outputs, call.tolerance)
    line = blank if call.bytes else replace(blank, bytes_moved=bytes_of(data, outputs))
    if not correct(accuracy):
        return replace(line, status="incorrect", reason=_error(accuracy), accuracy=accuracy)
    del outputs, reference_outputs
    prepared = Prepared(data.tensors, function, hot=("output",), capturable=call.capturable)
    recheck = CallRecheck(data, function, expected, between=bench.settings.min_samples)
    timing, state, flags = time_prepared(bench, prepared, recheck)
    line = replace(line, status="ok", reason=None, timing=timing, state=state)
    if call.reference is None:
        return replace(line, flags=(*flags, _UNCHECKED))
    return replace(line, flags=flags, accuracy=accuracy)


def _expectation(call: Call, function: Callable[..., Any]) -> Callable[[CallData], list[torch.Tensor]]:
    """What a call must make of some arguments: the reference in fp64, else the function on its own memory."""
    if call.reference is None:
        return partial(_made, function)
    return partial(_referred, functions.load(call.reference))


def _made(function: Callable[..., Any], data: CallData) -> list[torch.Tensor]:
    arguments = tuple(tensor.clone() for tensor in data.tensors)
    return [out.clone() for out in tensors_of(data, arguments, function(*arguments))]


def _referred(reference: Callable[..., Any], data: CallData) -> list[torch.Tensor]:
    """What the reference returns for the arguments in fp64, without those that ours writes into."""
    try:
        returned = data.bound(reference, results=False)(*data.in_fp64())
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        raise UsageError(f"the reference fails: {reason(error, data.case.id)}") from None
    if not (outputs := flat(returned)):
        raise UsageError(f"the reference returns {type(returned).__name__} and no tensor")
    return [out.clone() for out in outputs]


def _error(accuracy: Accuracy) -> str:
    return f"relative error {accuracy.frobenius:.2e} is above the tolerance {accuracy.tolerance:.0e}"
