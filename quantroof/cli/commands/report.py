"""`quantroof report`: one HTML file (or a Markdown summary) of one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.newest import or_latest
from quantroof.cli.output import STANDARD_OUTPUT, deliver, working
from quantroof.cli.renamed import renamed
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.advisor.advice import Advice
    from quantroof.analysis.answers import Answers
    from quantroof.reports.html.page import Reader


@click.command(short_help="Write one HTML file of a run, or of several.")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--before", type=click.Path(path_type=Path), help="An older run to compare the first one with.")
@renamed("--baseline", "--before")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file; default report.html beside the first run; - is standard output.",
)
@click.option(
    "--to", "form", type=click.Choice(["html", "md"]), default="html", show_default=True,
    help="A page, or a Markdown summary.",
)  # fmt: skip
@renamed("--format", "--to")
@click.option(
    "--reader",
    type=click.Choice(["health", "formats", "ci"]),
    default="health",
    help="The tab that opens first.",
)
@click.option("--plotlyjs", type=click.Choice(["inside", "beside"]), default="inside",
              help="`beside` writes plotly.js as its own file, for folders of many reports.")  # fmt: skip
@click.option("--study", "study_paths", multiple=True, type=click.Path(path_type=Path),
              help="Accuracy losses to show: a file of `quality study --out`. Repeatable.")  # fmt: skip
@click.option("--model", help="The model of the serving section; default a usual one for the device.")
@click.option("--png", is_flag=True, help="Also write a picture of the page beside it (needs chromium).")
def command(
    runs: tuple[Path, ...],
    before: Path | None,
    out: Path | None,
    form: str,
    reader: Reader,
    plotlyjs: str,
    study_paths: tuple[Path, ...],
    model: str | None,
    png: bool,
) -> None:
    """Write one self-contained HTML file that opens from disk without a network, and print its path.

    Without RUNS, the newest run in runs/ is taken; `latest` names it too.

    \b
    quantroof report
    quantroof report runs/after
    quantroof report runs/after --before runs/before --reader ci --out site/index.html
    quantroof report runs/after --to md --out - >>"$GITHUB_STEP_SUMMARY"
    """
    from quantroof.analysis.answers import answers
    from quantroof.analysis.studies import read_studies
    from quantroof.records.directory import read_run
    from quantroof.reports.html.page import html
    from quantroof.reports.text.markdown import markdown

    beside = plotlyjs == "beside"
    if out == STANDARD_OUTPUT and (beside or png):
        raise UsageError("standard output takes one file", where="--out -", hint="name a file to write")
    studies = read_studies(study_paths)
    conclusions = answers(
        [read_run(run, imported=True) for run in or_latest(runs)], read_run(before) if before else None
    )
    target = out or conclusions.runs[0].path.parent / f"report.{form}"
    if form == "md":
        deliver(target, lambda file: file.write_text(markdown(conclusions, studies), encoding="utf-8"))
        return
    with working("building the page"):
        page = html(
            conclusions, reader=reader, beside=beside, advice=_advice(conclusions, model), studies=studies
        )
    deliver(target, lambda file: file.write_text(page, encoding="utf-8"))
    if beside:
        _write_library(target.parent)
    if png:
        from quantroof.reports.html.picture import picture

        click.echo(str(picture(target)))


def _write_library(folder: Path) -> None:
    from quantroof.files import write_to
    from quantroof.reports.html.bundle import plotly_bundle

    bundle = plotly_bundle()
    write_to(folder / bundle.file_name, lambda file: file.write_bytes(bundle.text))


def _advice(conclusions: Answers, model: str | None) -> Advice | None:
    """The serving section, left out with a remark if the run cannot answer it and it was not asked for."""
    from quantroof.advisor.usual import usual_advice

    try:
        return usual_advice(conclusions.runs[0], model)
    except UsageError as error:
        if model is not None:
            raise
        click.echo(f"no serving section: {error}", err=True)
        return None
