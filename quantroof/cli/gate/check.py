"""`quantroof gate check`: judge a run by a baseline, and tell it to people and programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.gate.options import (
    PathType,
    device_option,
    pairs_option,
    policy_of,
    policy_option,
    times_of,
)
from quantroof.cli.numbers import SHARE
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.baseline import Baseline
    from quantroof.gate.check import Report


@click.command("check", short_help="Judge a run by a baseline.")
@click.argument("run", type=PathType)
@click.option("--baseline", required=True, type=PathType, help="The baseline file.")
@click.option("--base-ref", help="Read the baseline as it is in this git revision, not as it lies here.")
@click.option("--confirm-against", "revision", help="Confirm suspects by an A/B with this git revision.")
@click.option("--confirm-python", "python", help="Confirm suspects by an A/B with this interpreter.")
@pairs_option
@policy_option
@click.option("--min-roof", multiple=True, help="FORMAT:FRACTION of the measured roof, for its best kernel.")
@click.option("--threshold", type=SHARE, help="Relative slowdown that fails.  [default: 0.01]")
@click.option("--allow-undecided", is_flag=True, help="Exit 0 where nothing failed but something is open.")
@click.option("--no-measure", is_flag=True, help="Leave suspects undecided instead of measuring again.")
@click.option("--keep", type=PathType, help="Keep the second measurements in this folder.")
@click.option("--junit", type=PathType, help="Write JUnit XML.")
@click.option("--markdown", type=PathType, help="Write Markdown.")
@click.option("--github", is_flag=True, help="Write the step summary and annotations of GitHub Actions.")
@device_option
@json_option
def command(*, run: Path, device: str | None, as_json: bool, **options: Any) -> int:
    """Judge RUN. Exit 0 pass, 1 confirmed regression or missing case, 2 usage, 3 environment invalid,
    4 undecided.

    Suspects are measured again: against a base build where --confirm-against or --confirm-python names one,
    by themselves otherwise.

    \b
    quantroof gate check runs/candidate --baseline baselines/h100.json --confirm-against origin/main
    """
    from quantroof.gate.check import CheckOptions, check
    from quantroof.reports.exports.github import summary_file

    _require_base(options["revision"], options["python"])
    if options["github"]:
        summary_file()  # before minutes of measuring
    name = options["baseline"]
    report = check(
        CheckOptions(
            times=times_of(run, device),
            baseline=_baseline(name, options["base_ref"]),
            baseline_name=_baseline_name(name, options["base_ref"]),
            policy=policy_of(options["policy"], options["min_roof"], options["threshold"]),
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
    _print(report, as_json=as_json)
    _write(report, options["junit"], options["markdown"], github=options["github"])
    return int(report.exit_code)


def _require_base(revision: str | None, python: str | None) -> None:
    """UsageError for a base that is not there: on the first check, not on the first suspect months later."""
    from shutil import which

    from quantroof.gate.sides import git

    if revision and python:
        raise UsageError("--confirm-against and --confirm-python exclude each other")
    if python and which(python) is None:
        raise UsageError("there is no such interpreter", where=f"--confirm-python {python}")
    if revision:
        git("rev-parse", "--verify", f"{revision}^{{commit}}")


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


def _print(report: Report, *, as_json: bool) -> None:
    import msgspec

    from quantroof.reports.text.gate_lines import report_lines

    if as_json:
        echo_json("gate", msgspec.to_builtins(report))
        return
    for line in report_lines(report):
        click.echo(line)


def _write(report: Report, junit: Path | None, markdown: Path | None, *, github: bool) -> None:
    """The surfaces that were asked for, after the verdict was printed: a full disk must not swallow it."""
    from quantroof.files import write_to
    from quantroof.reports.exports import github as actions
    from quantroof.reports.exports.junit import junit as as_junit
    from quantroof.reports.text.gate_markdown import markdown as as_markdown

    if github:
        actions.write_summary(report)
        for line in actions.workflow_commands(report):
            click.echo(line, err=True)
    for path, text in ((junit, as_junit), (markdown, as_markdown)):
        if path is not None:
            write_to(path, lambda file, text=text: file.write_text(text(report), encoding="utf-8"))  # type: ignore[misc]
