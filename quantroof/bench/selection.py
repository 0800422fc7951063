"""A suite made of options: single cases, or a suite's formats and limits with other layers and batches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import msgspec

from quantroof.bench.suite import SCHEMA, Suite, Workload, parse
from quantroof.errors import QuantroofError, UsageError
from quantroof.kernels.calls.toml import tables
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import Scheme, scheme, scheme_of

OPTIONS = "the options"
_NAMES = {True: "cases", False: "layers"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What the options name; whatever is empty is left to the suite.

    `shapes` holds (M, N, K) with M None where the batches give it, `layers` (N, K).
    """

    cases: tuple[str, ...] = ()
    shapes: tuple[tuple[int | None, int, int], ...] = ()
    layers: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    only: tuple[str, ...] = ()
    """`case kernel` lines: with any, no other kernel measures a case."""

    def __bool__(self) -> bool:
        return bool(self.cases or self.shapes or self.layers or self.batches)


@dataclass(frozen=True, slots=True)
class Selected:
    """The suite, and what was left out of it with its reasons."""

    suite: Suite
    remarks: tuple[str, ...] = ()


def select_cases(base: Suite, selection: Selection, formats: tuple[str, ...] | None) -> Selected:
    """The suite with what is selected in place of its own cases. UsageError where nothing is left.

    `formats` are those that the user names; without any, those of the suite are taken. Where the format, or
    the layer, is the suite's and they do not fit, the case is left out with a remark.
    """
    if not selection:
        return Selected(base)
    if selection.cases and (selection.shapes or selection.layers or selection.batches):
        raise UsageError("--case names whole cases, and excludes --shape, --model and --m")
    remarks: dict[str, None] = {}
    ids = {}
    for processor, workload in base.workloads.items():
        ids[processor] = selection.cases or _ids(workload, selection, formats, remarks)
    name = _NAMES[bool(selection.cases)]
    text = _text(name, base, ids["gpu"], ids["cpu"], selection.only)
    return Selected(parse(text, OPTIONS), tuple(remarks))


def _ids(
    workload: Workload, selection: Selection, formats: tuple[str, ...] | None, remarks: dict[str, None]
) -> tuple[str, ...]:
    cases = workload.cases
    schemes = [scheme(name) for name in formats] if formats else _schemes(cases)
    ids: dict[str, None] = {}
    for (m, n, k), one in product(_shapes(cases, selection), schemes):
        try:
            ids[Case.linear(one, m, n, k).id] = None
        except QuantroofError as error:
            if formats and (selection.shapes or selection.layers):
                raise UsageError(f"{one.name} at {m}x{n}x{k}: {error.what}", hint=error.hint) from None
            remarks[f"{one.name} left out at N = {n}, K = {k}: {error.what}"] = None
    if not ids:
        hint = next(iter(remarks), "")
        raise UsageError(f"no format of {workload_words(schemes)} fits these shapes", hint=hint)
    return tuple(ids)


def workload_words(schemes: Iterable[Scheme]) -> str:
    """The names of schemes, for an error."""
    return ", ".join(one.name for one in schemes)


def _schemes(cases: tuple[Case, ...]) -> list[Scheme]:
    """The distinct schemes of cases, each with its group size."""
    named = (scheme_of(case.weight, case.activation, case.output) for case in cases)
    return list(dict.fromkeys(one for one in named if one is not None))


def _shapes(cases: tuple[Case, ...], selection: Selection) -> list[tuple[int, int, int]]:
    """(M, N, K) in order: neighbors share their layer."""
    batches = selection.batches or tuple(dict.fromkeys(case.m for case in cases))
    layers: list[tuple[int | None, int, int]] = [*selection.shapes, *((None, *nk) for nk in selection.layers)]
    if not layers:
        layers = [(None, n, k) for n, k in dict.fromkeys((case.n, case.k) for case in cases)]
    return [(m, n, k) for own, n, k in layers for m in (batches if own is None else (own,))]


def _text(name: str, base: Suite, gpu: tuple[str, ...], cpu: tuple[str, ...], only: tuple[str, ...]) -> str:
    """The suite as TOML, so that a run file holds it and --resume reads it back."""
    limits = {processor: workload.limits for processor, workload in base.workloads.items()}
    lines = [f'schema = "{SCHEMA}"', f'name = "{name}"', f"cases = {json.dumps(list(gpu))}"]
    lines += [f"only = {json.dumps(list(only))}"] if only else []
    lines += ["", "[limits]"]
    lines += _limits(limits["gpu"])
    lines += ["", "[cpu]", f"cases = {json.dumps(list(cpu))}", "", "[cpu.limits]", *_limits(limits["cpu"])]
    lines += tables(base.workloads["gpu"].calls)
    return "\n".join(lines) + "\n"


def _limits(limits: msgspec.Struct) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in msgspec.structs.asdict(limits).items()]
