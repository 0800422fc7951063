"""Tuning: time candidate tilings cold, as every measurement is, and keep the best."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from quantroof.analysis.case_time import median_ns
from quantroof.bench.correctness import WrongOutput, check, correct
from quantroof.bench.failures import reason
from quantroof.bench.measure import Bench, time_prepared
from quantroof.kernels import registry
from quantroof.kernels.architectures import architecture_of
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.linear.tiling import Tiling
from quantroof.kernels.linear.tuned import Entry, bucket, by_formula, source_hash, trying
from quantroof.kernels.problem import Problem
from quantroof.kernels.program import Target
from quantroof.kernels.sass.ahead import compile_ahead
from quantroof.kernels.sass.cache import require_cache

Trial = Callable[[Tiling, float | None, str], None]


@dataclass(frozen=True, slots=True)
class TuningResult:
    """The best tiling of a case, and what the formula's own choice takes, in ns; None if nothing ran."""

    entry: Entry | None
    formula_ns: float | None
    tried: int


def tune(bench: Bench, kernel: Kernel, case: Case, on_trial: Trial = lambda *_: None) -> TuningResult:
    """Time every tiling of a kernel for a case; `on_trial` receives each, also one that fails or is wrong."""
    code = kernel.machine_code
    if code is None or code.tuning is None:
        raise ValueError(f"{kernel.name} has no tilings to choose from")
    family, space = code.tuning
    target = Target.of(bench.device)
    problem = Problem(case, bench.device, bench.settings.seed)
    medians: dict[Tiling, float] = {}
    tilings = space(case, target)
    for tiling in tilings:
        trial_ns, remark = _trial(bench, kernel, problem, tiling)
        on_trial(tiling, trial_ns, remark)
        if trial_ns is not None:
            medians[tiling] = trial_ns
    formula_ns, _ = _trial(bench, kernel, problem, None)
    if not medians:
        return TuningResult(None, formula_ns, len(tilings))
    best = min(medians, key=lambda tiling: medians[tiling])
    entry = Entry(
        device=bench.device.name,
        source=source_hash(),
        kernel=family,
        case=bucket(case),
        tiling=best,
        median_ns=medians[best],
    )
    return TuningResult(entry, formula_ns, len(tilings))


def compile_tilings(kernel: Kernel, cases: Iterable[Case], target: Target, workers: int) -> int:
    """Compile every tiling of the cases in parallel into Triton's cache; returns how many there are.

    What does not compile is left to the trial, which says so.
    """
    assert kernel.machine_code is not None
    assert kernel.machine_code.tuning is not None
    _, space = kernel.machine_code.tuning
    require_cache()
    jobs = [(kernel.name, case.id, target, tiling) for case in cases for tiling in space(case, target)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_compile, jobs, chunksize=4))


def _compile(job: tuple[str, str, Target, Tiling]) -> int:
    name, case, target, tiling = job
    code = registry.load().kernels[name].machine_code
    assert code is not None
    arch = architecture_of(target.capability)
    if arch is None:
        return 0
    try:
        with trying(tiling):
            compile_ahead(code.program(Case.parse(case), target), arch)
    except Exception:  # noqa: BLE001 - the trial of this tiling will fail in the same way and be reported
        return 0
    return 1


def _trial(bench: Bench, kernel: Kernel, problem: Problem, tiling: Tiling | None) -> tuple[float | None, str]:
    """Median ns of a call with a tiling (or the formula's), or None with the reason."""
    try:
        with by_formula() if tiling is None else trying(tiling):
            prepared = kernel.build(problem)
        if not isinstance(prepared, Prepared):
            return None, prepared.reason
        accuracy = check(prepared, problem)
        if not correct(accuracy):
            return None, f"wrong: relative error {accuracy.frobenius:.2e}"
        timing, _, _ = time_prepared(bench, prepared)
    except WrongOutput as error:
        return None, f"wrong: {error}"
    except Exception as error:  # noqa: BLE001 - too many resources, or anything else: it costs this tiling only
        return None, reason(error, f"{problem.case.id} {kernel.name} {tiling}")
    return median_ns(timing), ""
