"""`quantroof list`: the names that options take."""

from __future__ import annotations

import click

from quantroof.cli.output import echo_json, echo_lines, json_option

KINDS = ("formats", "kernels", "suites", "models", "gpus")


@click.command("list", short_help="The names of formats, kernels, suites, models or GPUs.")
@click.argument("kind", type=click.Choice(KINDS))
@json_option
def command(kind: str, *, as_json: bool) -> None:
    """Print the names that options take, one per line, each with what it is.

    \b
    quantroof list formats      for --format
    quantroof list kernels      each with its provider, for --provider
    quantroof list suites       for --suite
    quantroof list models       for --model
    quantroof list gpus         for --gpu, and for --device sim:NAME
    """
    from quantroof.reports.text import names

    rows = names.rows(kind)
    if as_json:
        echo_json(
            "list",
            {
                "kind_of_name": kind,
                "names": [dict(zip(names.HEADINGS[kind], row, strict=True)) for row in rows],
            },
        )
    else:
        echo_lines(names.lines(kind, rows))
