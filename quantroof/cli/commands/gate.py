"""`quantroof gate`: baselines, checks and calibration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.numbers import POSITIVE, SHARE
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.baseline import Baseline
    from quantroof.gate.calibrate import Calibration
    from quantroof.gate.check import Report
    from quantroof.gate.policy import Policy
    from quantroof.gate.times import RunTimes

PathType = click.Path(path_type=Path)

_policy_option = click.option("--policy", type=PathType, help="Thresholds, waivers and floors, as TOML.")
_device_option = click.option("--device", help="Which device of the run, where it has several.")
_pairs_option = click.option(
    "--pairs", type=click.IntRange(6, 40), default=10, show_default=True, help="Processes a side of an A/B."
)


@click.group("gate", short_help="Fail a CI job on a confirmed slowdown, and on nothing else.")
def command() -> None:
    """Learn what unchanged code takes, and judge runs by it.

    \b
    quantroof gate calibrate --suite quick           what could a gate see on this machine?
    quantroof gate baseline update RUN... --out F    learn a baseline from runs
    quantroof gate check RUN --baseline F            judge a run

    Collect runs with `quantroof run --processes 5 --anchors`.
    """


@command.command("check", short_help="Judge a run by a baseline.")
@click.argument("run", type=PathType)
@click.option("--baseline", required=True, type=PathType, help="The baseline file.")
@click.option("--base-ref", help="Read the baseline as it is in this git revision, not as it lies here.")
@click.option("--confirm-against", "revision", help="Confirm suspects by an A/B with this git revision.")
@click.option("--confirm-python", "python", help="Confirm suspects by an A/B with this interpreter.")
@_pairs_option
@_policy_option
@click.option("--min-roof", multiple=True, help="FORMAT:FRACTION of the measured roof, for its best kernel.")
@click.option("--threshold", type=SHARE, help="Relative slowdown that fails.")
@click.option("--allow-undecided", is_flag=True, help="Exit 0 where nothing failed but something is open.")
@click.option("--no-measure", is_flag=True, help="Leave suspects undecided instead of measuring again.")
@click.option("--keep", type=PathType, help="Keep the second measurements in this folder.")
@click.option("--junit", type=PathType, help="Write JUnit XML.")
@click.option("--markdown", type=PathType, help="Write Markdown.")
@click.option("--github", is_flag=True, help="Write the step summary and annotations of GitHub Actions.")
@_device_option
@json_option
def check_command(*, run: Path, device: str | None, as_json: bool, **options: Any) -> int:
    """Judge RUN. Exit 0 pass, 1 confirmed regression or missing case, 2 usage, 3 environment invalid,
    4 undecided.

    Suspects are measured again: against a base build where --confirm-against or --confirm-python names one,
    by themselves otherwise.
    """
    from quantroof.gate.check import Request, check
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    if options["revision"] and options["python"]:
        raise UsageError("--confirm-against and --confirm-python exclude each other")
    report = check(
        Request(
            times=run_times(read_run(run), device),
            baseline=_baseline(options["baseline"], options["base_ref"]),
            baseline_name=_baseline_name(options["baseline"], options["base_ref"]),
            policy=_policy(options["policy"], options["min_roof"], options["threshold"]),
            policy_name=str(options["policy"] or "policy"),
            revision=options["revision"],
            python=options["python"],
            measure=not options["no_measure"],
            pairs=options["pairs"],
            allow_undecided=options["allow_undecided"],
            keep=options["keep"],
        ),
        lambda text: click.echo(text, err=True),
    )
    _publish(report, as_json=as_json, **options)
    return int(report.exit_code)


@command.group("baseline", short_help="Make baseline files.")
def baseline_group() -> None:
    """Baselines: one file a kind of device, kept in the repository and reviewed like code."""


@baseline_group.command("update", short_help="Learn a baseline from five or more runs.")
@click.argument("runs", nargs=-1, required=True, type=PathType)
@click.option("--out", required=True, type=PathType, help="The file, such as baselines/h100.json.")
@_pairs_option
@_policy_option
@_device_option
def update_command(
    runs: tuple[Path, ...], out: Path, pairs: int, policy: Path | None, device: str | None
) -> None:
    """Learn from RUNS of accepted code, write the file and say what moved. Invalid runs are refused."""
    from quantroof.cli.gate_text import update_lines
    from quantroof.errors import EnvironmentMissing
    from quantroof.gate import baseline
    from quantroof.gate.calibrate import calibrate

    tolerance = _policy(policy, (), None).environment
    found = calibrate([_times(run, device) for run in runs], pairs, tolerance)
    if found.invalid:
        reasons = "; ".join(f"{run}: {findings[0].text}" for run, findings in found.invalid.items())
        raise EnvironmentMissing(f"invalid runs teach nothing: {reasons}", hint="leave them out")
    old = baseline.read(out) if out.exists() else None
    baseline.write(found.baseline, out)
    for line in update_lines(old, found.baseline):
        click.echo(line, err=True)
    click.echo(str(out))


@command.command(
    "calibrate", context_settings={"show_default": True}, short_help="What could a gate see here?"
)
@click.option("--suite", default="quick", help="quick, node, default, full, or a file of your own.")
@click.option("--device", help="cpu, cuda:1, a UUID, or sim:PROFILE.  [default: the only one]")
@click.option("--format", "formats", multiple=True, help="Only these formats.")
@click.option("--provider", "providers", multiple=True, help="Only kernels of these providers.")
@click.option("--kernel", "kernels", multiple=True, help="A kernel of your own, as PATH.py:NAME.")
@click.option("--runs", type=click.IntRange(5), default=8, help="How many runs of the same code.")
@click.option("--processes", type=click.IntRange(3), default=5, help="Fresh processes a run.")
@click.option("--seconds", type=POSITIVE, help="Sampling limit a kernel and case.")
@click.option("--out", type=PathType, default=Path("runs/calibration"), help="Folder for the runs.")
@click.option("--baseline", type=PathType, help="Also write what was learned as a baseline.")
@_pairs_option
@_policy_option
@json_option
def calibrate_command(
    *, out: Path, runs: int, baseline: Path | None, policy: Path | None, as_json: bool, **options: Any
) -> None:
    """Run one and the same code again and again, and print the slowdown that a gate could see, by case."""
    from quantroof.gate import baseline as files
    from quantroof.gate.calibrate import calibrate

    times = [_collect(out / f"run-{number:02d}", number, options) for number in range(runs)]
    found = calibrate(times, options["pairs"], _policy(policy, (), None).environment)
    if baseline is not None:
        files.write(found.baseline, baseline)
    _print_calibration(found, as_json=as_json)


def _collect(directory: Path, seed: int, options: dict[str, Any]) -> RunTimes:
    """One A/A run with anchors; each has its own data."""
    from quantroof.bench.run import execute, new_job
    from quantroof.bench.settings import Wishes
    from quantroof.cli.progress import Display
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select
    from quantroof.records.directory import RunWriter

    wishes = Wishes(
        suite=options["suite"],
        devices=(options["device"],) if options["device"] else (),
        formats=options["formats"] or None,
        providers=options["providers"] or None,
        seconds_per_case=options["seconds"],
        processes=options["processes"],
        seed=seed,
        ceilings=False,
        anchors=True,
        kernels=tuple(str(Path(k.rpartition(":")[0]).resolve()) + ":" + k.rpartition(":")[2]
                      for k in options["kernels"]),
    )  # fmt: skip
    job = new_job(wishes, select(detect(), wishes.devices), ("quantroof", *sys.argv[1:]))
    click.echo(f"{directory}: about {job.estimate_s() / 60:.1f} min", err=True)
    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
        execute(job, writer, display)
    return _times(directory, None)


def _times(run: Path, device: str | None) -> RunTimes:
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    return run_times(read_run(run), device)


def _baseline(path: Path, revision: str | None) -> Baseline:
    """The baseline file, or as a git revision has it: what a change under test must not touch."""
    from quantroof.gate import baseline
    from quantroof.gate.sides import git

    if revision is None:
        return baseline.read(path)
    text = git("show", f"{revision}:./{path.name}", folder=path.resolve().parent)
    return baseline.parse(text.encode(), _baseline_name(path, revision))


def _baseline_name(path: Path, revision: str | None) -> str:
    return f"{path} of {revision}" if revision else str(path)


def _policy(path: Path | None, floors: tuple[str, ...], threshold: float | None) -> Policy:
    """The policy file with what the command line says on top."""
    from msgspec.structs import replace

    from quantroof.gate.policy import Policy, parse_floor, read_policy

    policy = read_policy(path) if path is not None else Policy()
    if floors:
        policy = replace(policy, min_roof={**policy.min_roof, **dict(parse_floor(text) for text in floors)})
    return policy if threshold is None else replace(policy, relative=threshold)


def _publish(
    report: Report, *, as_json: bool, junit: Path | None, markdown: Path | None, github: bool, **_: Any
) -> None:
    from quantroof.cli.gate_text import report_lines
    from quantroof.gate import github as actions
    from quantroof.gate.junit import junit as as_junit
    from quantroof.gate.markdown import markdown as as_markdown

    _write(junit, lambda: as_junit(report))
    _write(markdown, lambda: as_markdown(report))
    if github:
        actions.write_summary(report)
        for line in actions.workflow_commands(report):
            click.echo(line, err=True)
    if as_json:
        import msgspec

        echo_json("gate", msgspec.to_builtins(report))
        return
    for line in report_lines(report):
        click.echo(line)


def _write(path: Path | None, text: Callable[[], str]) -> None:
    from quantroof.errors import EnvironmentMissing

    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(path)) from None


def _print_calibration(found: Calibration, *, as_json: bool) -> None:
    from quantroof.cli.gate_text import calibration_lines

    if as_json:
        import msgspec

        data = msgspec.to_builtins(found)
        echo_json("calibration", {**data, "smallest_for_all": found.smallest_for_all})
        return
    for line in calibration_lines(found):
        click.echo(line)
