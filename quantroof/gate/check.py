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
from quantroof.gate.floors import hold_floors
from quantroof.gate.judge import Judge
from quantroof.gate.learning import COLLECT
from quantroof.gate.policy import Policy
from quantroof.gate.rounds import Rounds, Say
from quantroof.gate.sides import Side, base_of_python, base_of_revision, candidate
from quantroof.gate.times import Key, RunTimes
from quantroof.gate.verdicts import Judgement, exit_code, worst_first


@dataclass(frozen=True, slots=True)
class Request:
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


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a check has to say. `sources` holds the kernel hashes of both sides of an A/B."""

    run: str
    device: str
    suite: str
    baseline: str
    simulated: bool
    exit_code: ExitCode
    environment: tuple[Finding, ...]
    judgements: tuple[Judgement, ...]
    remarks: tuple[str, ...]
    sources: dict[str, dict[str, str]] = {}


def check(request: Request, say: Say) -> Report:
    """Judge a run. UsageError where run, baseline and policy do not belong together."""
    _require_fit(request)
    invalid = findings(request.times, request.baseline, request.policy.environment)
    if invalid:
        return _report(request, ExitCode.ENVIRONMENT, invalid, (), [])
    judge = Judge(request.baseline, request.times, request.policy)
    remarks = _remarks(request)
    second = _second_stage(request, judge, say)
    if second.invalid:
        return _report(request, ExitCode.ENVIRONMENT, second.invalid, (), remarks, second.sources)
    judge.waive()
    verdicts = hold_floors(judge.verdicts, request.times, request.policy.min_roof)
    judgements = worst_first(verdicts.values())
    code = exit_code(judgements, allow_undecided=request.allow_undecided)
    return _report(request, code, (), judgements, [*remarks, *second.remarks], second.sources)


@dataclass(slots=True)
class _Second:
    """What the second stage adds to a report."""

    invalid: tuple[Finding, ...]
    remarks: list[str]
    sources: dict[str, dict[str, str]]


def _require_fit(request: Request) -> None:
    times, baseline = request.times, request.baseline
    where = str(times.run.path)
    if not times.run.complete:
        raise UsageError("the run did not end", where=where, hint="go on with quantroof run --resume")
    if baseline.simulated != times.run.info.simulated:
        kinds = ("a simulated baseline", "a measured run")
        before, now = kinds if baseline.simulated else ("a measured baseline", "a simulated run")
        raise UsageError(f"{before} never judges {now}", where=request.baseline_name)
    require_same_method(baseline.contract, contract_of(times), request.baseline_name)
    if not times.anchored:
        raise UsageError("it has no anchors in some process", where=where, hint=COLLECT)
    keys = {*baseline.bands(), *times.log_ns}
    request.policy.require_current(keys, datetime.now(UTC).date(), request.policy_name)


def _second_stage(request: Request, judge: Judge, say: Say) -> _Second:
    """Measure the suspects again: A/B where there is a base whose code differs, the same code otherwise."""
    done = _Second((), [], {})
    if not judge.suspects:
        return done
    if not request.measure:
        judge.without_second_measurement()
        return done
    kernels = tuple(request.times.run.info.settings.get("kernels", ()))
    ours = candidate(kernels)
    with _folder(request.keep) as folder, _base(request, kernels) as base:
        rounds = Rounds(request.times, folder, say)
        suspects = judge.suspects
        same = set() if base is None else {key for key in suspects if base.same_code(ours, key[1])}
        alone = suspects if base is None else sorted(same)
        if base is not None:
            done.sources = _sources(base, ours, suspects)
            if differing := [key for key in suspects if key not in same]:
                pairs = rounds.ab(base, ours, differing, request.pairs)
                judge.after_ab(differing, pairs)
        if same:
            what = f"{len(same)} suspects have the same source on both sides: no A/B, measured again instead"
            done.remarks.append(what)
        if alone:
            again = rounds.again(ours, alone, request.pairs)
            done.invalid = findings(again, request.baseline, request.policy.environment)
            judge.after_remeasuring(alone, again, same_source=frozenset(same))
        done.remarks += rounds.disturbances()
    return done


def _sources(base: Side, ours: Side, suspects: list[Key]) -> dict[str, dict[str, str]]:
    names = sorted({kernel for _, kernel in suspects})
    return {side.name: {name: side.sources.get(name, "absent") for name in names} for side in (base, ours)}


def _remarks(request: Request) -> list[str]:
    """What a reader should know that is no verdict."""
    agreed, found = request.baseline.contract, contract_of(request.times)
    remarks = []
    if agreed.suite_text != found.suite_text:
        remarks.append("the suite's file has changed since the baseline was made")
    changed = [
        name
        for name, digest in request.times.run.info.kernel_sources.items()
        if request.baseline.kernels.get(name, digest) != digest
    ]
    if changed:
        remarks.append(f"kernels whose source has changed since the baseline: {', '.join(changed)}")
    return remarks


def _report(
    request: Request,
    code: ExitCode,
    environment: tuple[Finding, ...],
    judgements: tuple[Judgement, ...],
    remarks: list[str],
    sources: dict[str, dict[str, str]] | None = None,
) -> Report:
    info = request.times.run.info
    return Report(
        run=info.run_id,
        device=request.times.device.name,
        suite=info.suite,
        baseline=request.baseline_name,
        simulated=info.simulated,
        exit_code=code,
        environment=environment,
        judgements=judgements,
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
def _base(request: Request, kernels: tuple[str, ...]) -> Iterator[Side | None]:
    if request.revision is not None:
        with base_of_revision(request.revision, kernels) as side:
            yield side
    elif request.python is not None:
        yield base_of_python(request.python, kernels)
    else:
        yield None
