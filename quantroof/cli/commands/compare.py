"""`quantroof compare`: two runs side by side, for people."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.newest import or_two_latest
from quantroof.cli.options import SHARE
from quantroof.cli.output import echo_json, echo_lines, json_option
from quantroof.cli.renamed import renamed


@click.command("compare", short_help="What changed between two runs.")
@click.argument("base", metavar="[OLD]", required=False, type=click.Path(path_type=Path))
@click.argument("now", metavar="[NEW]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--min-effect", type=SHARE, default=0.05, show_default=True, help="A smaller change does not count.",
)  # fmt: skip
@renamed("--floor", "--min-effect")
@click.option("--all", "everything", is_flag=True, help="Also cases that stayed as they were.")
@json_option
def command(
    *, base: Path | None, now: Path | None, min_effect: float, everything: bool, as_json: bool
) -> int:
    """Compare two runs case by case, with intervals and likely causes.

    Without NEW the newest run in runs/ is taken, without OLD the one of the same suite before it.

    Exit code 1 means that a case is slower or lost its time, 4 that a change is undecided or the runs cannot
    be compared: one was disturbed, or their device or mode differ. Fewer than three processes per run
    (`run --processes 3`) leave a difference undecided. To fail a CI job, use `quantroof gate`.

    \b
    quantroof compare                            the two newest runs
    quantroof compare runs/before runs/after
    """
    from quantroof.analysis.cause import compare_runs
    from quantroof.analysis.device_results import device_results
    from quantroof.analysis.verdicts import exit_code
    from quantroof.records.directory import read_run
    from quantroof.reports.text.comparison_lines import comparison_document, comparison_lines

    older, newer = or_two_latest(base, now)
    comparison = compare_runs(
        device_results([read_run(older)]), device_results([read_run(newer)]), min_effect
    )
    entries = [entry for entry in comparison.entries if everything or entry.verdict != "same"]
    if as_json:
        echo_json("comparison", comparison_document(comparison, entries))
    else:
        echo_lines(comparison_lines(comparison, entries))
    return exit_code(comparison.verdict)
