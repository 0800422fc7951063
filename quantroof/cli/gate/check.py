"""`quantroof gate check`: judge a run by a baseline, for people and for programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from quantroof.cli.gate.options import (
    cases_option,
    device_option,
    listed,
    pairs_option,
    policy_of,
    policy_option,
    times_of,
)
from quantroof.cli.options import FILE, SHARE, as_struct, with_options
from quantroof.cli.output import STANDARD_OUTPUT, echo_json, echo_lines, json_option, note
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.baseline import Baseline
    from quantroof.gate.check import Report


class Surfaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where a verdict is written beside standard output."""

    junit: Path | None
    markdown: Path | None
    github: bool


surface_options = with_options(
    click.option("--junit", type=FILE, help="Write JUnit XML; - is standard output."),
    click.option("--markdown", type=FILE, help="Write Markdown; - is standard output."),
    click.option("--github", is_flag=True, help="Write the step summary and annotations of GitHub Actions."),
)


class CheckFlags(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is judged."""

    baseline: Path
    base_ref: str | None
    revision: str | None
    python: str | None
    pairs: int
    policy: Path | None
    min_roof: tuple[str, ...]
    threshold: float | None
    allow_undecided: bool
    no_measure: bool
    keep: Path | None
    cases: Path | None


@click.command("check", short_help="Judge a run by a baseline.")
@click.argument("run", type=FILE)
@click.option("--baseline", required=True, type=FILE, help="The baseline file.")
@click.option("--base-ref", help="Read the baseline from this git revision instead of the working tree.")
@click.option("--confirm-against", "revision", help="Confirm suspects by an A/B with this git revision.")
@click.option("--confirm-python", "python", help="Confirm suspects by an A/B with this interpreter.")
@pairs_option
@policy_option
@click.option("--min-roof", multiple=True, help="FORMAT:FRACTION of the measured roof, for its best kernel.")
@click.option("--threshold", type=SHARE, help="Relative slowdown that fails.  [default: 0.01]")
@click.option("--allow-undecided", is_flag=True, help="Exit 0 where nothing failed but a case is undecided.")
@click.option("--no-measure", is_flag=True, help="Leave suspects undecided instead of measuring again.")
@click.option("--keep", type=FILE, help="Keep the second measurements in this folder.")
@cases_option
@surface_options
@device_option
@json_option
@as_struct(Surfaces)
@as_struct(CheckFlags)
def command(flags: CheckFlags, surfaces: Surfaces, *, run: Path, device: str | None, as_json: bool) -> int:
    """Judge RUN. Exit 0 pass, 1 confirmed regression or missing case, 2 usage, 3 environment invalid,
    4 undecided.

    Suspects are measured again, in an A/B where --confirm-against or --confirm-python names a base build.
    Without one nothing fails: what is slower again is undecided.

    \b
    quantroof gate check runs/candidate --baseline baselines/h100.json --confirm-against origin/main
    """
    from quantroof.gate.check import CheckOptions, check
    from quantroof.reports.exports.github import summary_file

    _require_base(flags.revision, flags.python)
    if surfaces.github:
        summary_file()  # before minutes of measuring
    name = flags.baseline
    report = check(
        CheckOptions(
            times=times_of(run, device),
            baseline=_baseline(name, flags.base_ref),
            baseline_name=_baseline_name(name, flags.base_ref),
            policy=policy_of(flags.policy, flags.min_roof, flags.threshold),
            policy_name=str(flags.policy or "policy"),
            revision=flags.revision,
            python=flags.python,
            measure=not flags.no_measure,
            pairs=flags.pairs,
            allow_undecided=flags.allow_undecided,
            keep=flags.keep,
            only=listed(flags.cases),
        ),
        note,
    )
    print_report(report, as_json=as_json)
    write_surfaces(report, surfaces)
    return int(report.exit_code)


def _require_base(revision: str | None, python: str | None) -> None:
    """UsageError for a base that does not exist: now, not when the first suspect needs it months later."""
    from shutil import which

    from quantroof.gate.revisions import require_revision

    if revision and python:
        raise UsageError("--confirm-against and --confirm-python exclude each other")
    if python and which(python) is None:
        raise UsageError("this interpreter does not exist", where=f"--confirm-python {python}")
    if revision:
        require_revision(revision)


def _baseline(path: Path, revision: str | None) -> Baseline:
    """The baseline file, or as a git revision has it: what a change under test must not touch."""
    from quantroof.gate import baseline
    from quantroof.gate.revisions import git

    if revision is None:
        return baseline.read(path)
    text = git("show", f"{revision}:./{path.name}", folder=path.resolve().parent)
    return baseline.parse(text.encode(), _baseline_name(path, revision))


def _baseline_name(path: Path, revision: str | None) -> str:
    return f"{path} of {revision}" if revision else str(path)


def print_report(report: Report, *, as_json: bool) -> None:
    """The verdict on standard output, as lines or as one document."""
    import msgspec

    from quantroof.reports.text.gate_lines import report_lines

    if as_json:
        echo_json("gate", msgspec.to_builtins(report))
        return
    echo_lines(report_lines(report))


def write_surfaces(report: Report, surfaces: Surfaces) -> None:
    """The surfaces that were asked for, after the verdict was printed: a full disk must not swallow it."""
    from quantroof.files import write_to
    from quantroof.reports.exports import github as actions
    from quantroof.reports.exports.junit import junit
    from quantroof.reports.text.gate_markdown import markdown

    if surfaces.github:
        actions.write_summary(report)
        for line in actions.workflow_commands(report):
            click.echo(line, err=True)
    for path, text in ((surfaces.junit, junit), (surfaces.markdown, markdown)):
        if path == STANDARD_OUTPUT:
            click.echo(text(report))
        elif path is not None:
            write_to(path, partial(_write_text, text(report)))


def _write_text(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
