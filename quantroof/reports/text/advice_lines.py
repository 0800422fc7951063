"""How the advisor's answer looks on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.explain import explain
from quantroof.advisor.launch import Launch, vllm
from quantroof.reports.text.advice import (
    FORMAT_HEADINGS,
    NONE,
    OPTION_HEADINGS,
    format_row,
    headline,
    markdown_table,
    option_row,
)

_Row = tuple[str, ...]


def print_advice(
    advice: Advice, shown: Option | None, *, explained: bool, emit: str | None, markdown: bool
) -> None:
    """Print the ranking, the format facts, the remarks, and what else was asked for."""
    table = _markdown if markdown else _plain
    click.echo(headline(advice))
    click.echo(table(*_filled(OPTION_HEADINGS, [option_row(option) for option in advice.options])))
    click.echo(table(FORMAT_HEADINGS, [format_row(row) for row in advice.formats]))
    for line in _notes(advice, shown):
        click.echo(f"- {line}")
    if shown is not None and explained:
        rows = [(line.what, line.formula, line.result) for line in explain(advice, shown)]
        click.echo(f"\n{_name(advice, shown)}, step by step")
        click.echo(table(("what", "formula with its numbers", "result"), rows))
    if shown is not None and emit is not None:
        _print_launch(vllm(advice, shown))


def _notes(advice: Advice, shown: Option | None) -> Iterator[str]:
    if shown is not None and shown.prefill is not None:
        prompt = shown.prefill.total
        took = f"{prompt.seconds * 1e3:.0f} ms ({prompt.source})"
        context = advice.request.context
        yield f"{_name(advice, shown)}: the first token of a {context}-token prompt takes {took}"
    if shown is not None:
        yield from (f"{_name(advice, shown)}: {caveat}" for caveat in shown.caveats)
    yield from advice.remarks


def _name(advice: Advice, option: Option) -> str:
    return f"{option.format} on {advice.machine.count(option.gpus)}"


def _print_launch(launch: Launch) -> None:
    click.echo(f"\n{launch.command}")
    for flag in launch.flags:
        click.echo(f"  {flag.name} {flag.value}: {flag.reason}")
    for warning in launch.warnings:
        click.echo(f"  warning: {warning}")


def _filled(headings: _Row, rows: list[_Row]) -> tuple[_Row, list[_Row]]:
    """Without the columns that no row has a value in, such as dollars without a price: lines stay short."""
    kept = [i for i in range(len(headings)) if any(row[i] != NONE for row in rows)]
    return tuple(headings[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def _markdown(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return f"\n{markdown_table(headings, rows)}\n"


def _plain(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns padded with blanks, so that a pipe and a terminal read the same; the last one runs free."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings) - 1)]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n" + "\n".join(lines) + "\n"
