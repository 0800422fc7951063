"""`gate check` from end to end: environment, screen, second measurement, waivers, floors, and one report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from quantroof.errors import ExitCode, UsageError
from quantroof.finding import Finding
from quantroof.gate.baseline import Baseline, join_name
from quantroof.gate.contract import Contract, contract_of, require_same_method
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.environment import findings, without_disturbed
from quantroof.gate.floors import apply_floors
from quantroof.gate.judge import Screening, apply_waivers, screen_run
from quantroof.gate.learning import COLLECT
from quantroof.gate.policy import Policy, require_sensible
from quantroof.gate.remeasure import Progress, Remeasurement
from quantroof.gate.second import (
    decided_by_ab,
    verdicts_after_remeasuring,
    verdicts_disturbed,
    verdicts_unmeasured,
)
from quantroof.gate.sides import Side, base_of_python, base_of_revision, candidate
from quantroof.gate.start import Start, start_process
from quantroof.gate.suspect_suite import calls_of
from quantroof.gate.times import Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, exit_code, worst_first
from quantroof.kernels.calls.call import Call
from quantroof.records.run import PYTEST

_LISTED = "cases"  # what `quantroof run --cases` calls its suite
_ONLY_PYTEST = "suspects were not measured again: only pytest can; run its sessions into another directory"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What is checked, and how suspects may be measured again."""

    times: RunTimes
    baseline: Baseline
    baseline_name: str
    policy: Policy
    policy_name: str
    revision: str | None = None
    python: str | None = None
    measure: bool = True
    pairs: int = 10
    allow_undecided: bool = False
    keep: Path | None = None
    only: frozenset[str] = frozenset()
    """`case` or `case kernel`: with any, no other case of the baseline is expected in the run."""
    base: Side | None = None
    """The base of the A/B, where the caller has made one."""
    start: Start = start_process


class Report(msgspec.Struct, frozen=True, kw_only=True, rename={"cases": "judgements"}):
    """The result of a check. `sources` holds the kernel hashes of both sides of an A/B."""

    run: str
    device: str
    suite: str
    baseline: str
    simulated: bool
    exit_code: ExitCode
    environment: tuple[Finding, ...]
    cases: tuple[CaseVerdict, ...]
    remarks: tuple[str, ...]
    sources: dict[str, dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Context:
    """A run that fits its baseline and policy: what was asked, the run's contract, and what cases are judged
    by."""

    options: CheckOptions
    contract: Contract
    criteria: Criteria
    left_out: tuple[str, ...]
    """Why which processes of the run are left out."""

    def environment(self, times: RunTimes) -> tuple[Finding, ...]:
        """What forbids a verdict on the run itself, or on a second one."""
        return findings(times, self.options.baseline, self.options.policy.environment)


@dataclass(frozen=True, slots=True)
class _Result:
    """What was concluded: findings against the environment, else verdicts; remarks and sources of either."""

    environment: tuple[Finding, ...] = ()
    verdicts: Verdicts = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    sources: dict[str, dict[str, str]] = field(default_factory=dict)


def check(options: CheckOptions, progress: Progress) -> Report:
    """Judge a run. UsageError if run, baseline and policy do not belong together."""
    context = _context(options)
    result = _result(context, progress)
    cases = worst_first(result.verdicts.values())
    code = exit_code(cases, allow_undecided=options.allow_undecided)
    info = options.times.run.info
    return Report(
        run=info.run_id,
        device=options.times.device.name,
        suite=info.suite,
        baseline=options.baseline_name,
        simulated=info.simulated,
        exit_code=ExitCode.ENVIRONMENT if result.environment else code,
        environment=result.environment,
        cases=cases,
        remarks=result.remarks,
        sources=result.sources,
    )


def _context(options: CheckOptions) -> Context:
    times, baseline = options.times, options.baseline
    contract = contract_of(times)
    if options.only and contract.suite == _LISTED:  # the run names the cases, the caller the suite
        agreed = baseline.contract
        contract = msgspec.structs.replace(contract, suite=agreed.suite, suite_text=agreed.suite_text)
    where = str(times.run.path)
    if not times.run.complete:
        raise UsageError("the run did not end", where=where, hint="resume it with quantroof run --resume")
    if baseline.simulated != times.run.info.simulated:
        kinds = ("a simulated baseline", "a measured run")
        before, now = kinds if baseline.simulated else ("a measured baseline", "a simulated run")
        raise UsageError(f"{before} cannot judge {now}", where=options.baseline_name)
    require_same_method(baseline.contract, contract, options.baseline_name)
    if not times.anchored:
        raise UsageError("it has no anchors in some process", where=where, hint=COLLECT)
    criteria = Criteria.of(baseline, options.policy, options.pairs)
    keys = {*criteria.bands, *times.log_ns}
    options.policy.require_current(keys, datetime.now(UTC).date(), options.policy_name)
    case_ns = {key: band.ns for key, band in options.baseline.bands().items()}
    require_sensible(options.policy, case_ns, options.policy_name)
    times, left_out = without_disturbed(times, baseline.anchor_limits)
    if options.only:
        wanted = _listed(keys, options.only)
        if not wanted:
            raise UsageError("the list names no case of the baseline or the run", where=where)
        criteria = replace(
            criteria, bands={key: criteria.bands[key] for key in wanted & criteria.bands.keys()}
        )
        times = times.limited_to(wanted)
    return Context(replace(options, times=times), contract, criteria, left_out)


def _listed(keys: set[Key], lines: frozenset[str]) -> set[Key]:
    """The cases that a list asks for; where a line names a kernel, only named kernels count, as in `run`."""
    named = any(" " in line for line in lines)
    return {key for key in keys if (join_name(key) if named else key[0]) in lines}


def _result(context: Context, progress: Progress) -> _Result:
    """Environment first, then the screen, the second measurement, waivers and floors."""
    options = context.options
    if invalid := context.environment(options.times):
        return _Result(environment=invalid)
    screening = screen_run(context.criteria, options.times)
    second = _Result()
    can_measure = options.times.run.info.suite != PYTEST
    if screening.suspects and options.measure and can_measure:
        second = _second_stage(context, screening, progress)
    elif screening.suspects:
        remark = () if can_measure else (_ONLY_PYTEST,)
        second = _Result(verdicts=verdicts_unmeasured(screening), remarks=remark)
    remarks = _remarks(context)
    if second.environment:
        return _Result(environment=second.environment, remarks=remarks, sources=second.sources)
    verdicts = apply_waivers(screening.verdicts | second.verdicts, options.policy)
    if not options.only:  # a floor is for the best kernel of a case, and a list may name another one
        verdicts = apply_floors(verdicts, options.times, options.policy.min_roof, context.criteria)
    return _Result(verdicts=verdicts, remarks=(*remarks, *second.remarks), sources=second.sources)


def _second_stage(context: Context, screening: Screening, progress: Progress) -> _Result:
    """Measure the suspects again: A/B where the base's code differs, else the same code once more."""
    options, suspects = context.options, screening.suspects
    kernels, calls = options.times.run.info.options.kernels, calls_of(options.times)
    ours = candidate(kernels, calls)
    with _folder(options.keep) as folder, _base(options, kernels, calls) as base:
        remeasurement = Remeasurement(options.times, folder, progress, options.start)
        same = frozenset[Key]() if base is None else _same_source(base, ours, suspects)
        verdicts: Verdicts = {}
        invalid: tuple[Finding, ...] = ()
        remarks: list[str] = []
        differing = [] if base is None else [key for key in suspects if key not in same]
        if base is not None and differing:
            measure = partial(remeasurement.pairs, base, ours)
            verdicts |= decided_by_ab(context.criteria, screening, differing, measure)
        if same:
            remarks.append(_no_ab(base, ours, len(same)))
        if alone := [key for key in suspects if key not in differing]:
            measured = remeasurement.run(ours, alone, options.pairs)
            again, _ = without_disturbed(measured, options.baseline.anchor_limits)
            invalid = context.environment(again)
            if invalid and differing:  # what the A/B decided stands: both of its sides ran on this machine
                verdicts |= verdicts_disturbed(screening, alone, invalid)
                invalid = ()
            else:
                verdicts |= verdicts_after_remeasuring(
                    context.criteria, screening, alone, again, same_source=same
                )
        remarks += remeasurement.disturbances()
    sources = {} if base is None else _sources(base, ours, suspects)
    return _Result(invalid, verdicts, tuple(remarks), sources)


def _no_ab(base: Side | None, ours: Side, count: int) -> str:
    """Why suspects were not compared with the base."""
    why = "have the same source on both sides"
    if base is not None and base.package == ours.package and not ours.calls and not ours.kernels:
        why += ": quantroof is not built from this repository, and no kernel of the run is"
    return f"{count} suspects {why}; measured again, no A/B"


def _same_source(base: Side, ours: Side, suspects: list[Key]) -> frozenset[Key]:
    return frozenset(key for key in suspects if base.same_code(ours, key[1]))


def _sources(base: Side, ours: Side, suspects: list[Key]) -> dict[str, dict[str, str]]:
    names = sorted({kernel for _, kernel in suspects})
    return {side.name: {name: side.sources.get(name, "absent") for name in names} for side in (base, ours)}


def _remarks(context: Context) -> tuple[str, ...]:
    """Differences from the baseline that a reader should know and that change no verdict."""
    baseline = context.options.baseline
    remarks = list(context.left_out)
    left = len(baseline.cases) - len(context.criteria.bands)
    if context.options.only and left:
        floors = "; floors are not judged" if context.options.policy.min_roof else ""
        every = len(baseline.cases)
        remarks.append(f"{left} of the baseline's {every} cases: not in the list, not judged{floors}")
    if baseline.contract.suite_text != context.contract.suite_text:
        remarks.append("the suite's file has changed since the baseline was made")
    changed = [
        name
        for name, digest in context.options.times.run.info.kernel_sources.items()
        if baseline.kernels.get(name, digest) != digest
    ]
    if changed:
        remarks.append(f"kernels whose source has changed since the baseline: {', '.join(changed)}")
    return tuple(remarks)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="quantroof-gate-") as folder:
        yield Path(folder)


@contextmanager
def _base(options: CheckOptions, kernels: tuple[str, ...], calls: tuple[Call, ...]) -> Iterator[Side | None]:
    if options.base is not None:
        yield options.base
    elif options.revision is not None:
        with base_of_revision(options.revision, kernels, calls) as side:
            yield side
    elif options.python is not None:
        yield base_of_python(options.python, kernels, calls)
    else:
        yield None
