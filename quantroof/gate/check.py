"""`gate check` from end to end: environment, screen, second measurement, waivers and floors, one report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from quantroof.errors import ExitCode, UsageError
from quantroof.gate.baseline import Baseline
from quantroof.gate.contract import contract_of, require_same_method
from quantroof.gate.environment import Finding, findings
from quantroof.gate.floors import apply_floors
from quantroof.gate.judge import Judge
from quantroof.gate.learning import COLLECT
from quantroof.gate.policy import Policy
from quantroof.gate.rounds import Rounds, Say
from quantroof.gate.sides import Side, base_of_python, base_of_revision, candidate
from quantroof.gate.times import Key, RunTimes
from quantroof.gate.verdicts import CaseVerdict, exit_code, worst_first


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What is to be checked, and how suspects may be measured again."""

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


class Report(msgspec.Struct, frozen=True, kw_only=True, rename={"cases": "judgements"}):
    """Everything a check has to say. `sources` holds the kernel hashes of both sides of an A/B."""

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


def check(options: CheckOptions, say: Say) -> Report:
    """Judge a run. UsageError where run, baseline and policy do not belong together."""
    _require_fit(options)
    invalid = findings(options.times, options.baseline, options.policy.environment)
    if invalid:
        return _report(options, ExitCode.ENVIRONMENT, invalid, (), [])
    judge = Judge(options.baseline, options.times, options.policy)
    remarks = _remarks(options)
    second = _second_stage(options, judge, say)
    if second.invalid:
        return _report(options, ExitCode.ENVIRONMENT, second.invalid, (), remarks, second.sources)
    judge.waive()
    verdicts = apply_floors(judge.verdicts, options.times, options.policy.min_roof)
    cases = worst_first(verdicts.values())
    code = exit_code(cases, allow_undecided=options.allow_undecided)
    return _report(options, code, (), cases, [*remarks, *second.remarks], second.sources)


@dataclass(slots=True)
class _Second:
    """What the second stage adds to a report."""

    invalid: tuple[Finding, ...]
    remarks: list[str]
    sources: dict[str, dict[str, str]]


def _require_fit(options: CheckOptions) -> None:
    times, baseline = options.times, options.baseline
    where = str(times.run.path)
    if not times.run.complete:
        raise UsageError("the run did not end", where=where, hint="go on with quantroof run --resume")
    if baseline.simulated != times.run.info.simulated:
        kinds = ("a simulated baseline", "a measured run")
        before, now = kinds if baseline.simulated else ("a measured baseline", "a simulated run")
        raise UsageError(f"{before} never judges {now}", where=options.baseline_name)
    require_same_method(baseline.contract, contract_of(times), options.baseline_name)
    if not times.anchored:
        raise UsageError("it has no anchors in some process", where=where, hint=COLLECT)
    keys = {*baseline.bands(), *times.log_ns}
    options.policy.require_current(keys, datetime.now(UTC).date(), options.policy_name)


def _second_stage(options: CheckOptions, judge: Judge, say: Say) -> _Second:
    """Measure the suspects again: A/B where there is a base whose code differs, the same code otherwise."""
    done = _Second((), [], {})
    if not judge.suspects:
        return done
    if not options.measure:
        judge.without_second_measurement()
        return done
    kernels = tuple(options.times.run.info.settings.get("kernels", ()))
    ours = candidate(kernels)
    with _folder(options.keep) as folder, _base(options, kernels) as base:
        rounds = Rounds(options.times, folder, say)
        suspects = judge.suspects
        same = set() if base is None else {key for key in suspects if base.same_code(ours, key[1])}
        alone = suspects if base is None else sorted(same)
        if base is not None:
            done.sources = _sources(base, ours, suspects)
            if differing := [key for key in suspects if key not in same]:
                pairs = rounds.ab(base, ours, differing, options.pairs)
                judge.after_ab(differing, pairs)
        if same:
            what = f"{len(same)} suspects have the same source on both sides: no A/B, measured again instead"
            done.remarks.append(what)
        if alone:
            again = rounds.again(ours, alone, options.pairs)
            done.invalid = findings(again, options.baseline, options.policy.environment)
            judge.after_remeasuring(alone, again, same_source=frozenset(same))
        done.remarks += rounds.disturbances()
    return done


def _sources(base: Side, ours: Side, suspects: list[Key]) -> dict[str, dict[str, str]]:
    names = sorted({kernel for _, kernel in suspects})
    return {side.name: {name: side.sources.get(name, "absent") for name in names} for side in (base, ours)}


def _remarks(options: CheckOptions) -> list[str]:
    """What a reader should know that is no verdict."""
    agreed, found = options.baseline.contract, contract_of(options.times)
    remarks = []
    if agreed.suite_text != found.suite_text:
        remarks.append("the suite's file has changed since the baseline was made")
    changed = [
        name
        for name, digest in options.times.run.info.kernel_sources.items()
        if options.baseline.kernels.get(name, digest) != digest
    ]
    if changed:
        remarks.append(f"kernels whose source has changed since the baseline: {', '.join(changed)}")
    return remarks


def _report(
    options: CheckOptions,
    code: ExitCode,
    environment: tuple[Finding, ...],
    cases: tuple[CaseVerdict, ...],
    remarks: list[str],
    sources: dict[str, dict[str, str]] | None = None,
) -> Report:
    info = options.times.run.info
    return Report(
        run=info.run_id,
        device=options.times.device.name,
        suite=info.suite,
        baseline=options.baseline_name,
        simulated=info.simulated,
        exit_code=code,
        environment=environment,
        cases=cases,
        remarks=tuple(remarks),
        sources=sources or {},
    )


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="quantroof-gate-") as folder:
        yield Path(folder)


@contextmanager
def _base(options: CheckOptions, kernels: tuple[str, ...]) -> Iterator[Side | None]:
    if options.revision is not None:
        with base_of_revision(options.revision, kernels) as side:
            yield side
    elif options.python is not None:
        yield base_of_python(options.python, kernels)
    else:
        yield None
