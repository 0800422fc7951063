"""Check before a measurement that functions take the arguments of a call.

Functions of a file have a signature. Most of torch's have none, so they are called with tensors of no data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from quantroof.errors import UsageError, first_line
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.arguments import TORCH_DTYPES, Argument, TensorArgument
from quantroof.kernels.calls.call import Call

_HINT = "--shape for each, or --arg 'x: bf16[M, N]'"


def positional(reference: str) -> list[str]:
    """The names of the arguments that a function takes by position; none where it has no signature."""
    signature = _signature(functions.load(reference))
    parameters = () if signature is None else signature.parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def takes_by_name(function: Callable[..., Any], names: Iterable[str]) -> bool:
    """Whether a function has a parameter of each name, so that all arguments are passed by name."""
    signature = _signature(function)
    return signature is not None and all(name in signature.parameters for name in names)


def require_accepted(call: Call) -> None:
    """UsageError where the function, a rival or the reference does not exist or takes other arguments."""
    arguments = call.arguments
    inputs = tuple(a for a in arguments if getattr(a, "fill", "") != "out")
    for reference in (call.function, *call.against):
        _require(reference, arguments, call)
    if call.reference is not None:
        _require(call.reference, inputs, call)


def _require(reference: str, arguments: tuple[Argument, ...], call: Call) -> None:
    if functions.is_torch(reference) and find_spec("torch") is None:
        return  # a simulated device needs no torch
    function = functions.load(reference)
    signature = _signature(function)
    if signature is not None:
        _bind(reference, signature, arguments, by_name=takes_by_name(function, [a.name for a in arguments]))
    elif functions.is_torch(reference):
        _call_without_data(reference, function, arguments, call)


def _bind(
    reference: str, signature: inspect.Signature, arguments: tuple[Argument, ...], *, by_name: bool
) -> None:
    tensors = [a.name for a in arguments if isinstance(a, TensorArgument)]
    numbers = [a.name for a in arguments if not isinstance(a, TensorArgument)]
    parameters = signature.parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    unknown = [name for name in numbers if name not in parameters]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        hint = f"it takes {', '.join(parameters) or 'none'}"
        raise UsageError(f"has no argument {', '.join(unknown)}", where=reference, hint=hint)
    named = [*tensors, *numbers] if by_name and numbers else numbers
    try:
        bound = signature.bind_partial(*([] if named != numbers else tensors), **dict.fromkeys(named))
    except TypeError as error:
        raise UsageError(f"takes other arguments: {error}", where=reference) from None
    missing = [name for name, one in parameters.items() if _required(one) and name not in bound.arguments]
    if missing:
        what = f"nothing gives its argument{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise UsageError(what, where=reference, hint=_HINT)


def _required(parameter: inspect.Parameter) -> bool:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variable


def _call_without_data(
    reference: str, function: Callable[..., Any], arguments: tuple[Argument, ...], call: Call
) -> None:
    """UsageError where a function of torch takes other arguments. A worker checks their sizes."""
    import torch

    names: Mapping[str, int] = dict(call.cases()[0].axes)
    tensors, numbers = [], {}
    for argument in arguments:
        if isinstance(argument, TensorArgument):
            dtype = getattr(torch, TORCH_DTYPES[argument.dtype])
            tensors.append(torch.empty(argument.sizes(names), dtype=dtype, device="meta"))
        else:
            numbers[argument.name] = argument.value(names)
    try:
        function(*tensors, **numbers)
    except TypeError as error:
        text = first_line(error).removesuffix(", but expected one of:")
        raise UsageError(f"takes other arguments: {text}", where=reference) from None
    except Exception:  # noqa: BLE001 - an operator may lack a form without data; the worker calls it with data
        return


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # a function written in C
        return None
