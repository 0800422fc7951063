"""`quantroof tune`: find the best tilings for this GPU and remember them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import POSITIVE
from quantroof.cli.output import echo_json, json_option, note
from quantroof.errors import EnvironmentMissing, ExitCode, unknown_name

if TYPE_CHECKING:
    from quantroof.bench.measure import Bench
    from quantroof.bench.tune import TuningResult
    from quantroof.hwprofiles.types import Device
    from quantroof.kernels.cases import Case
    from quantroof.kernels.kernel import Kernel


@click.command(context_settings={"show_default": True}, short_help="Find the best tilings for this GPU.")
@click.option("--suite", default="default", help="The suite whose cases are tuned.")
@click.option("--kernel", "kernels", multiple=True, help="Only this kernel, as triton.int4. Repeatable.")
@click.option("--seconds", default=0.2, type=POSITIVE, help="Limit per tiling.")
@click.option("--workers", default=os.cpu_count() or 2, type=click.IntRange(1), help="Compile in parallel.")
@json_option
def command(suite: str, kernels: tuple[str, ...], seconds: float, workers: int, as_json: bool) -> int:
    """Time the tilings of our kernels on the first GPU, cold, and keep the best in the user's cache.

    A run uses what was kept, as long as the device and the device code stay the same.
    """
    from quantroof.hwprofiles.detect import detect
    from quantroof.kernels.registry import load

    tunable = {k.name: k for k in load().kernels.values() if k.machine_code and k.machine_code.tuning}
    for name in kernels:
        if name not in tunable:
            raise unknown_name("kernel", name, list(tunable), "--kernel")
    gpus = detect().gpus
    if not gpus:
        raise EnvironmentMissing("no NVIDIA GPU to tune for", hint="quantroof doctor shows why")
    outcomes = _tune(gpus[0], suite, kernels or tuple(tunable), seconds, workers)
    if as_json:
        from quantroof.reports.text.tune_lines import tuning_document

        echo_json("tuning", tuning_document(outcomes))
    return ExitCode.OK if all(o.entry for o in outcomes) else ExitCode.FINDING


def _tune(
    device: Device, suite: str, names: tuple[str, ...], seconds: float, workers: int
) -> list[TuningResult]:
    """Tune every kernel, with the tracebacks of tilings that fail in a log."""
    from quantroof.bench.failures import log_to
    from quantroof.bench.local import local_bench
    from quantroof.bench.settings import Settings
    from quantroof.bench.suite import load
    from quantroof.bench.tune import compile_tilings
    from quantroof.kernels import registry
    from quantroof.kernels.linear.tuned import cache_file
    from quantroof.kernels.program import Target
    from quantroof.records.run import RunOptions

    workload = load(suite).workload(device)
    run_options = RunOptions(precision=0.01, seconds_per_case=seconds)
    bench = local_bench(device, Settings.resolve(workload.limits, run_options))
    log = cache_file().with_name("tune.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    outcomes = []
    with log_to(log):
        for name in names:
            kernel = registry.load().kernels[name]
            cases = [c for c in workload.cases if kernel.made_for(c, device) and not kernel.check(c, device)]
            compile_tilings(kernel, cases, Target.of(device), workers)
            outcomes += [_tuned(bench, kernel, case) for case in cases]
    note(f"kept in {cache_file()}")
    if log.exists():
        note(f"some tilings failed; the tracebacks are in {log}")
    return outcomes


def _tuned(bench: Bench, kernel: Kernel, case: Case) -> TuningResult:
    """Tune one case, keep its best tiling and say so."""
    from quantroof.bench.tune import tune
    from quantroof.kernels.linear.tuned import cache_file, remember
    from quantroof.reports.text.tune_lines import tuning_line

    outcome = tune(bench, kernel, case)
    if outcome.entry:
        remember([outcome.entry], cache_file())
    note(tuning_line(kernel.name, case.id, outcome))
    return outcome
