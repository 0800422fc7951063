"""A suite file with only the suspects, so that any version of `quantroof run` can measure them again."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from quantroof.bench.suite import SCHEMA, StoppingLimits, parse
from quantroof.errors import QuantroofError
from quantroof.gate.times import Key, RunTimes
from quantroof.kernels.calls.call import Call
from quantroof.kernels.calls.toml import tables
from quantroof.kernels.cases import CallCase, Case
from quantroof.kernels.schemes import scheme as scheme_named
from quantroof.kernels.schemes import scheme_of
from quantroof.records.lines import parsed_case


def calls_of(times: RunTimes) -> tuple[Call, ...]:
    """The user's own functions of a run, as its suite has them."""
    info = times.run.info
    return (
        parse(info.suite_source, info.suite).workload(times.device).calls
        if "[[call]]" in info.suite_source
        else ()
    )


def suspect_suite(keys: Iterable[Key], times: RunTimes, calls: Iterable[Call] = ()) -> str:
    """TOML of a suite that expands to the cases of `keys`, with the limits of their first measurement.

    `calls` are the user's own functions as one side has them.
    """
    keys = list(keys)
    info = times.run.info
    try:
        limits = parse(info.suite_source, info.suite).workload(times.device).limits
    except QuantroofError:
        limits = StoppingLimits()
    cases = [parsed_case(case_id) for case_id in dict.fromkeys(case for case, _ in keys)]
    calling = [case.id for case in cases if isinstance(case, CallCase)]
    listed = [case.id for case in cases if not _is_in_a_sweep(case) and case.id not in calling]
    lines = [f'schema = "{SCHEMA}"', 'name = "suspects"']
    lines += [f"cases = {json.dumps([*listed, *calling])}"] if listed else []
    lines.append("[limits]")
    lines += [f"{name} = {value!r}" for name, value in _non_default(limits).items()]
    for case in cases:
        if isinstance(case, CallCase):
            kernels = {kernel for suspect, kernel in keys if suspect == case.id}
            lines += tables(_single(call, case, kernels) for call in calls if _has(call, case))
        elif _is_in_a_sweep(case):
            lines += _sweep(case)
    return "\n".join(lines) + "\n"


def _non_default(limits: StoppingLimits) -> dict[str, int | float]:
    """The numbers that differ from the default: an older base may not have every limit."""
    default = msgspec.structs.asdict(StoppingLimits())
    return {
        name: value
        for name, value in msgspec.structs.asdict(limits).items()
        if value != default[name] and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _has(call: Call, case: CallCase) -> bool:
    same = (call.name, call.dtype) == (case.call, case.compute.name)
    return same and any(own.id == case.id for own in call.cases())


def _single(call: Call, case: CallCase, kernels: set[str]) -> Call:
    """A call at one case alone, with those of its rivals that are suspects."""
    own = list(call.kernels.items())
    against = tuple(reference for name, reference in own[1:] if name in kernels)
    return replace(call, axes=tuple(f"{name}={size}" for name, size in case.axes), against=against)


def _is_in_a_sweep(case: Case) -> bool:
    """Whether M, N, K and a scheme say it all; older versions know nothing else."""
    return type(case) is Case and not case.weight.swizzled


def _sweep(case: Case) -> list[str]:
    """One case as a sweep of one case; `Case.linear` turns it back into the case."""
    scheme = scheme_of(case.weight, case.activation, case.output)
    assert scheme is not None, "a planned case comes from a scheme"
    m, n = (1, case.m) if case.operation == "dequantize" else (case.m, case.n)
    lines = ["[[sweep]]", f"shapes = [{{n = {n}, k = {case.k}}}]", f"m = [{m}]"]
    lines.append(f"formats = [{json.dumps(scheme.name)}]")
    if case.weight.group is not None and case.weight.group != scheme_named(scheme.name).weight.group:
        lines.append(f"groups = [{case.weight.group}]")
    return lines
