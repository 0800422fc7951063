"""The advisor's answer as lines for a terminal, as Markdown and as one document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.explain import explain
from quantroof.advisor.launch import Launch, vllm
from quantroof.advisor.steady_load import SteadyLoad
from quantroof.reports.text import md, table
from quantroof.reports.text.advice_words import (
    FORMAT_HEADINGS,
    NONE,
    OPTION_HEADINGS,
    format_row,
    headline,
    option_row,
)

_EXPLANATION = ("what", "formula with its numbers", "result")
_Row = tuple[str, ...]


def advice_lines(advice: Advice, option: Option | None, *, explained: bool, emit: bool) -> Iterator[str]:
    """The ranking, formats and remarks; `explained` adds the formulas of `option`, `emit` its command."""
    yield from (headline(advice), "")
    yield from (*table.plain(*_options(advice)), "")
    yield from (*table.plain(FORMAT_HEADINGS, _formats(advice)), "")
    yield from (f"- {note}" for note in _notes(advice, option))
    if option is not None and explained:
        yield from ("", _steps_title(advice, option), "")
        yield from (*table.plain(_EXPLANATION, _steps(advice, option)), "")
    if option is not None and emit:
        launch = vllm(advice, option)
        yield from ("", launch.command)
        yield from (f"  {text}" for text in _launch_notes(launch))


def advice_markdown(advice: Advice, option: Option | None, *, explained: bool, emit: bool) -> str:
    """The same as Markdown."""
    parts = [
        md.text(headline(advice)),
        md.table(*_options(advice)),
        md.table(FORMAT_HEADINGS, _formats(advice)),
        md.bullets(_notes(advice, option)),
    ]
    if option is not None and explained:
        parts += [md.text(_steps_title(advice, option)), md.table(_EXPLANATION, _steps(advice, option))]
    if option is not None and emit:
        launch = vllm(advice, option)
        parts += [md.code(launch.command), md.bullets(_launch_notes(launch))]
    return "\n\n".join(part for part in parts if part) + "\n"


def advice_document(advice: Advice, option: Option | None, *, explained: bool, emit: bool) -> dict[str, Any]:
    """The same as data."""
    document: dict[str, Any] = msgspec.to_builtins(advice)
    if option is not None and explained:
        document["explanation"] = msgspec.to_builtins(explain(advice, option))
    if option is not None and emit:
        launch = vllm(advice, option)
        document["launch"] = {**msgspec.to_builtins(launch), "command": launch.command}
    return document


def _notes(advice: Advice, option: Option | None) -> Iterator[str]:
    if option is not None:
        name = _name(advice, option)
        if option.prefill is not None:
            prompt = option.prefill.total
            took = f"{prompt.seconds * 1e3:.0f} ms ({prompt.source})"
            yield f"{name}: the first token of a {advice.request.context}-token prompt takes {took}"
        if option.load is not None:
            yield f"{name}: {_under_load(option.load)}"
        yield from (f"{name}: {caveat}" for caveat in option.caveats)
    yield from advice.remarks


def _under_load(load: SteadyLoad) -> str:
    """A token's time with the prompts of the other requests, and the rate that follows."""
    took, first = load.per_token, load.first_token.seconds * 1e3
    band = f"{took.seconds * 1e3:.3g} ms per token [{took.low * 1e3:.3g}, {took.high * 1e3:.3g}]"
    return (
        f"{load.batch} requests at once, {load.prompt} tokens in and {load.output} out: {band} with the "
        f"others' prompts, {load.tokens_per_s:.0f} tokens/s; the first after {first:.0f} ms at least"
    )


def _name(advice: Advice, option: Option) -> str:
    return f"{option.format} on {advice.machine.count(option.gpus)}"


def _steps_title(advice: Advice, option: Option) -> str:
    return f"{_name(advice, option)}, step by step"


def _steps(advice: Advice, option: Option) -> list[_Row]:
    return [(line.what, line.formula, line.result) for line in explain(advice, option)]


def _launch_notes(launch: Launch) -> Iterator[str]:
    yield from (f"{option.name} {option.value}: {option.reason}" for option in launch.options)
    yield from (f"warning: {warning}" for warning in launch.warnings)


def _options(advice: Advice) -> tuple[_Row, list[_Row]]:
    """Headings and rows, without the columns that are empty everywhere, such as dollars without a price."""
    rows = [option_row(option) for option in advice.options]
    filled = [i for i in range(len(OPTION_HEADINGS)) if any(row[i] != NONE for row in rows)]
    return tuple(OPTION_HEADINGS[i] for i in filled), [tuple(row[i] for i in filled) for row in rows]


def _formats(advice: Advice) -> list[_Row]:
    return [format_row(row) for row in advice.formats]
