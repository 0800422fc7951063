"""The advisor's answer as lines for a terminal, as Markdown and as one document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from quantroof import units
from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.engines import launch_of
from quantroof.advisor.explain import explain
from quantroof.advisor.flow import decision_flow
from quantroof.advisor.launch import Launch
from quantroof.advisor.steady_load import SteadyLoad
from quantroof.reports.text import md, table
from quantroof.reports.text.advice_words import (
    FORMAT_HEADINGS,
    SHOWN_ROWS,
    filled,
    format_row,
    headline,
    misses,
    option_rows,
)

_EXPLANATION = ("what", "formula with its numbers", "result")
_Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is printed beside the ranking: every row, an option's formulas, and the line that starts it."""

    all_rows: bool = False
    explained: bool = False
    engine: str | None = None


def advice_lines(advice: Advice, option: Option | None, view: View) -> Iterator[str]:
    """The ranking, the decision, formats and remarks; then what else is wanted of `option`."""
    yield from (headline(advice), "")
    if advice.unusable is not None and not view.all_rows:
        yield "No option is compared with times that may be wrong: repeat the run, or see them with --all."
        return
    yield from (*table.plain(*_options(advice, view)), *_left_out(advice, view), "")
    yield from (*_flow_lines(advice), "")
    yield from (*table.plain(FORMAT_HEADINGS, _formats(advice)), "")
    yield from (f"- {note}" for note in _notes(advice, option))
    if option is not None and view.explained:
        yield from ("", _steps_title(advice, option), "")
        yield from (*table.plain(_EXPLANATION, _steps(advice, option)), "")
    if option is not None and view.engine is not None:
        launch = launch_of(view.engine, advice, option)
        yield from ("", launch.command or f"{launch.engine} would refuse this: {launch.refusal}")
        yield from (f"  {text}" for text in _launch_notes(launch))


def advice_markdown(advice: Advice, option: Option | None, view: View) -> str:
    """The same as Markdown."""
    if advice.unusable is not None and not view.all_rows:
        return md.text(headline(advice)) + "\n"
    parts = [
        md.text(headline(advice)),
        md.table(*_options(advice, view)),
        md.bullets([*_left_out(advice, view), *_flow_lines(advice)]),
        md.table(FORMAT_HEADINGS, _formats(advice)),
        md.bullets(_notes(advice, option)),
    ]
    if option is not None and view.explained:
        parts += [md.text(_steps_title(advice, option)), md.table(_EXPLANATION, _steps(advice, option))]
    if option is not None and view.engine is not None:
        launch = launch_of(view.engine, advice, option)
        refused = md.text(f"{launch.engine} would refuse this: {launch.refusal}")
        parts += [md.code(launch.command) if launch.command else refused, md.bullets(_launch_notes(launch))]
    return "\n\n".join(part for part in parts if part) + "\n"


def advice_document(advice: Advice, option: Option | None, view: View) -> dict[str, Any]:
    """The same as data, always with every option."""
    document: dict[str, Any] = msgspec.to_builtins(advice)
    document["decision"] = msgspec.to_builtins(decision_flow(advice))
    if option is not None and view.explained:
        document["explanation"] = msgspec.to_builtins(explain(advice, option))
    if option is not None and view.engine is not None:
        launch = launch_of(view.engine, advice, option)
        document["launch"] = {**msgspec.to_builtins(launch), "command": launch.command}
    return document


def _notes(advice: Advice, option: Option | None) -> Iterator[str]:
    if option is not None:
        name = _name(advice, option)
        if option.prefill is not None:
            prompt = option.prefill.total
            took = f"{units.time(prompt.seconds * 1e9, 2)} ({prompt.source})"
            yield f"{name}: the first token of a {advice.request.context}-token prompt takes {took}"
        if option.load is not None:
            yield f"{name}: {_under_load(option.load)}"
        yield from (f"{name}: {caveat}" for caveat in option.caveats)
    yield from advice.remarks


def _under_load(load: SteadyLoad) -> str:
    """A token's time with the prompts of the other requests, and the rate that follows."""
    took, first = load.per_token, load.loaded_first_token
    waited, low, high = (units.time(s * 1e9, 2) for s in (first.seconds, first.low, first.high))
    band = f"{took.seconds * 1e3:.3g} ms per token [{took.low * 1e3:.3g}, {took.high * 1e3:.3g}]"
    return (
        f"{load.batch} requests at once, {load.prompt} tokens in and {load.output} out: {band} with the "
        f"others' prompts, {load.tokens_per_s:.0f} tokens/s; the first after {waited} [{low}, {high}]"
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


def _options(advice: Advice, view: View) -> tuple[_Row, list[_Row]]:
    return filled(_rows(advice, view))


def _rows(advice: Advice, view: View) -> list[_Row]:
    rows = option_rows(advice)
    return rows if view.all_rows else rows[:SHOWN_ROWS]


def _left_out(advice: Advice, view: View) -> list[str]:
    """What the short table does not show: how many rows, and why options were rejected."""
    if view.all_rows:
        return []
    more = len(option_rows(advice)) - SHOWN_ROWS
    return [*([f"{more} more rows: --all"] if more > 0 else []), *misses(advice)]


def _flow_lines(advice: Advice) -> list[str]:
    """How the decision is reached, one question per line."""
    return [f"{q.ask} {'yes' if q.yes else 'no'}: {q.evidence} -> {q.follows}" for q in decision_flow(advice)]


def _formats(advice: Advice) -> list[_Row]:
    return [format_row(row) for row in advice.formats]
