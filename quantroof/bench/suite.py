"""Suites: TOML files that list the layers, batches, formats and providers to run, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated

import msgspec

from quantroof.bench.beside_linear import AttentionSweep, BesideLinear, ExpertsSweep
from quantroof.errors import QuantroofError, UsageError, unknown_name
from quantroof.files import parse_toml, read_text
from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels import layers
from quantroof.kernels.calls.call import Call
from quantroof.kernels.cases import CallCase, Case
from quantroof.kernels.schemes import Scheme, scheme

SCHEMA = "quantroof-suite/1"
SHIPPED = ("quick", "node", "prolog", "default", "full")

Positive = Annotated[int, msgspec.Meta(ge=1)]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bare shape for layers that have no name here."""

    n: Positive
    k: Positive


class StoppingLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a case is precise enough, and when to give up.

    `precision` is the half-width of the 95 % interval of the median, as a share of it; `seconds_per_case`
    bounds the sampling of one kernel. `quick_ceilings` takes one size and shape of each ceiling.
    """

    precision: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.005
    min_samples: Annotated[int, msgspec.Meta(ge=3)] = 20
    max_samples: Positive = 2000
    seconds_per_case: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    quick_ceilings: bool = False


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The product of layers (or shapes), batches and formats; `groups` replaces the group size."""

    m: tuple[Positive, ...]
    formats: tuple[str, ...]
    layers: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    groups: tuple[Positive, ...] = ()


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cases, sweeps, limits and providers for one processor, as the file has them."""

    sweep: tuple[Sweep, ...] = ()
    attention: tuple[AttentionSweep, ...] = ()
    experts: tuple[ExpertsSweep, ...] = ()
    cases: tuple[str, ...] = ()
    limits: StoppingLimits = StoppingLimits()
    providers: tuple[str, ...] | None = None
    description: str = ""


class SuiteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole suite file. `cpu` replaces the sweeps and limits where the device is a CPU.

    `call` holds functions of the user's own, which are measured on every device.
    """

    schema: str
    name: str
    sweep: tuple[Sweep, ...] = ()
    attention: tuple[AttentionSweep, ...] = ()
    experts: tuple[ExpertsSweep, ...] = ()
    cases: tuple[str, ...] = ()
    description: str = ""
    limits: StoppingLimits = StoppingLimits()
    providers: tuple[str, ...] | None = None
    cpu: Variant | None = None
    call: tuple[Call, ...] = ()
    only: tuple[str, ...] = ()
    """`case kernel`: the kernels that measure a case, where not all of them do."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a suite runs on one processor: distinct cases, ordered so that neighbors share their weights."""

    cases: tuple[Case, ...]
    limits: StoppingLimits
    providers: tuple[str, ...] | None
    calls: tuple[Call, ...] = ()
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite with its workloads, the text it was read from, and the name that errors give it."""

    name: str
    where: str
    source: str
    workloads: dict[Processor, Workload]

    def workload(self, device: Device) -> Workload:
        """What this suite runs on a device."""
        return self.workloads[device.processor]


def load(name_or_path: str) -> Suite:
    """A shipped suite by name, or any suite file.

    UsageError names file, key and the allowed values for anything that is not understood.
    """
    if name_or_path in SHIPPED:
        where = f"{name_or_path}.toml"
        return parse((files("quantroof.bench") / "suites" / where).read_text(encoding="utf-8"), where)
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.exists():
        return parse(read_text(path), name_or_path)
    raise unknown_name("suite", name_or_path, [*SHIPPED, "PATH.toml"])


def descriptions() -> dict[str, str]:
    """What each shipped suite measures, by name."""
    folder = files("quantroof.bench") / "suites"
    texts = {name: (folder / f"{name}.toml").read_text(encoding="utf-8") for name in SHIPPED}
    return {name: parse_toml(text, SuiteFile, name, SCHEMA).description for name, text in texts.items()}


def parse(text: str, where: str) -> Suite:
    """Read and check the text of a suite file; `where` is the name that errors give it."""
    file = parse_toml(text, SuiteFile, where, SCHEMA)
    calls, called = file.call, _called(file.call, where)
    only = frozenset(file.only)
    more = BesideLinear("", file.attention, file.experts).cases(where)
    gpu_cases = _cases(file.cases, file.sweep, where, "", called, more)
    gpu = Workload(gpu_cases, file.limits, file.providers, calls, only)
    cpu = gpu
    if file.cpu is not None:
        own = file.cpu
        more = BesideLinear("cpu.", own.attention, own.experts).cases(where)
        cpu_cases = _cases(own.cases, own.sweep, where, "cpu.", called, more)
        cpu = Workload(cpu_cases, own.limits, own.providers, calls, only)
    return Suite(file.name, where, text, {"gpu": gpu, "cpu": cpu})


def _called(calls: tuple[Call, ...], file: str) -> dict[str, Case]:
    """The cases of the functions by their ids; UsageError names the key of what is not understood."""
    cases: dict[str, Case] = {}
    names: dict[str, int] = {}
    for number, call in enumerate(calls):
        call.check(f"{file}: call[{number}]")
        first = names.setdefault(f"{call.name}-{call.dtype}", number)
        if calls[first].function != call.function:
            raise UsageError(f"two functions have the name {call.name}", where=f"{file}: call[{number}]")
        cases |= {case.id: case for case in call.cases()}
    return cases


def _cases(
    ids: tuple[str, ...],
    sweeps: tuple[Sweep, ...],
    file: str,
    prefix: str,
    called: dict[str, Case],
    more: dict[str, Case],
) -> tuple[Case, ...]:
    """The distinct cases of ids, sweeps, functions and other operations, `more`.

    Errors name the file and the key after `prefix`.
    """
    if not sweeps and not ids and not called and not more:
        raise UsageError("is empty: nothing would run", where=f"{file}: {prefix}sweep")
    cases: dict[str, Case] = {} if ids else dict(called)
    for number, text in enumerate(ids):
        cases.setdefault(text, called.get(text) or _listed(text, f"{file}: {prefix}cases[{number}]"))
    for number, sweep in enumerate(sweeps):
        key = f"{file}: {prefix}sweep[{number}]"
        for field, values in (("m", sweep.m), ("formats", sweep.formats)):
            if not values:
                raise UsageError(f"{field} is empty: nothing would run", where=key)
        schemes = _schemes(sweep, key)
        for (n, k), variant, m in product(_shapes(sweep, key), schemes, sweep.m):
            case = _case(variant, m, n, k, key)
            cases.setdefault(case.id, case)
    return tuple((cases | more).values())


def _listed(text: str, key: str) -> Case:
    try:
        case = Case.parse(text)
    except UsageError as error:
        raise UsageError(error.what, where=key, hint=error.hint) from None
    if isinstance(case, CallCase):
        raise UsageError(f"no function of the suite has the case {text}", where=key)
    return case


def _schemes(sweep: Sweep, key: str) -> list[Scheme]:
    """The schemes of a sweep's formats, in each of its group sizes where it names some."""
    named = [scheme(name, f"{key}.formats") for name in sweep.formats]
    sized = [one.with_group(group) for one in named for group in sweep.groups]
    return list(dict.fromkeys(sized or named))


def _shapes(sweep: Sweep, key: str) -> list[tuple[int, int]]:
    named = [layer for pattern in sweep.layers for layer in layers.find(pattern, f"{key}.layers")]
    shapes = [(layer.n, layer.k) for layer in named] + [(s.n, s.k) for s in sweep.shapes]
    if not shapes:
        raise UsageError("neither layers nor shapes: nothing would run", where=key)
    return shapes


def _case(variant: Scheme, m: int, n: int, k: int, key: str) -> Case:
    try:
        return Case.linear(variant, m, n, k)
    except QuantroofError as error:
        raise UsageError(error.what, where=key, hint=error.hint) from None
