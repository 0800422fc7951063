"""`quantroof claims`: check claims about hardware, formats and accuracy, row by row."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option
from quantroof.errors import ExitCode, UsageError


@click.command(short_help="Which claims about formats and GPUs hold?")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--study", "study_path", type=click.Path(path_type=Path),
              help="A file of `quality study --out`; judges claims about a loss, for its model.")  # fmt: skip
@click.option("--run", "runs", multiple=True, type=click.Path(path_type=Path),
              help="A run whose measurements judge claims about speed. Repeatable.")  # fmt: skip
@click.option("--only", multiple=True, help="A row, a section's letter, or the id of a claim. Repeatable.")
@click.option("--wrong", "only_wrong", is_flag=True, help="Only claims that are wrong, with their evidence.")
@click.option(
    "--all", "everything", is_flag=True, help="Every claim with its evidence, not the counts per section."
)
@json_option
def command(
    files: tuple[Path, ...],
    *,
    study_path: Path | None,
    runs: tuple[Path, ...],
    only: tuple[str, ...],
    only_wrong: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Check claims against arithmetic, the hardware catalog, machine code, format errors, a study and runs.

    Without FILES, the claims of a course on quantization (docs/lesson.md): counts per section, and more with
    --wrong, --only or --all. A claim that nothing here can judge is listed with what it needs. Exit code 1
    means that a claim is wrong.

    \b
    quantroof claims
    quantroof claims --only A4      one row with its evidence
    quantroof claims --wrong
    """
    from quantroof.analysis.answers import answers
    from quantroof.analysis.studies import read_studies
    from quantroof.claims.checklist import evidence_of, judge, shipped
    from quantroof.claims.reading import read_claims
    from quantroof.records.directory import read_run
    from quantroof.reports.text.claims_lines import claim_lines, document, head_lines

    checklist = read_claims(files) if files else shipped()
    selected = [c for c in checklist.claims if not only or {c.row, c.id, (c.row or "")[:1]} & set(only)]
    if not selected:
        raise UsageError(f"no claim is called {', '.join(only) or 'anything'}", hint="A, A4 or an id")
    timed = answers([read_run(run) for run in runs]).timed if runs else []
    study = read_studies([study_path])[0] if study_path else None
    results = judge(selected, evidence_of(timed, study))
    if as_json:
        echo_json("claims", document(results))
    elif files or only or only_wrong or everything:
        shown = [result for result in results if result.outcome == "wrong" or not only_wrong]
        echo_rich(claim_lines(shown, checklist.sections))
    else:
        echo_lines(head_lines(results, checklist.sections))
    return ExitCode.FINDING if any(result.outcome == "wrong" for result in results) else ExitCode.OK
