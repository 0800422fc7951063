"""Several GPUs for one model, as one table for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.comparison import Compared
from quantroof.advisor.models import Model
from quantroof.reports.text import md, table
from quantroof.reports.text.advice_words import NONE, two

_HEADINGS = (
    "GPU", "GPUs", "option", "KV", "first token", "ms/token", "band", "batch", "tok/s per GPU", "$/M tok",
    "verdict",
)  # fmt: skip


def comparison_lines(model: Model, request: AdviceOptions, rows: Sequence[Compared]) -> Iterator[str]:
    """The GPUs that hold the model in a table, the others in one line per reason."""
    yield from (_headline(model, request, rows), "")
    if any(row.option for row in rows):
        yield from (*table.plain(*_table(rows)), "")
    yield from _without(rows)


def comparison_markdown(model: Model, request: AdviceOptions, rows: Sequence[Compared]) -> str:
    """The same as Markdown."""
    parts = [md.text(_headline(model, request, rows)), md.table(*_table(rows)), md.bullets(_without(rows))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(model: Model, request: AdviceOptions, rows: Sequence[Compared]) -> str:
    priced = any(row.option and row.option.usd_per_million_tokens is not None for row in rows)
    order = "dollars per million tokens" if priced else "tokens per second and GPU"
    asked = f"{model.id}, context {request.context}"
    if request.latency_s is not None:
        asked += f", {request.latency_s * 1e3:g} ms per token"
    if not any(row.option for row in rows):
        return f"{asked}: nothing fits on any of these GPUs."
    how = "on each GPU the smallest deployment of each format that fits; times are modeled"
    return f"{asked}: by {order}, {how}."


def _table(rows: Sequence[Compared]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    cells = [_row(row) for row in rows if row.option is not None]
    filled = [i for i in range(len(_HEADINGS)) if any(row[i] != NONE for row in cells)]
    return tuple(_HEADINGS[i] for i in filled), [tuple(row[i] for i in filled) for row in cells]


def _row(row: Compared) -> tuple[str, ...]:
    option = row.option
    assert option is not None, "GPUs without an option are listed apart"
    assert option.decode is not None, "an option that fits was timed"
    time, cost = option.decode.total, option.usd_per_million_tokens
    several = option.replicas is not None and option.replicas > 1
    return (
        row.gpu,
        f"{option.replicas} x {option.gpus}" if several else str(option.gpus),
        option.format,
        option.kv,
        NONE if option.prefill is None else f"{two(option.prefill.total.seconds * 1e3)} ms",
        two(time.seconds * 1e3),
        f"{two(time.low * 1e3)} to {two(time.high * 1e3)}",
        str(option.batch or 1),
        two(row.tokens_per_gpu),
        NONE if cost is None else f"{cost:.2f}",
        option.verdict,
    )


def _without(rows: Sequence[Compared]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.option is None:
            head, _, rest = (row.reason or "").partition(" fit: ")
            reasons.setdefault(f"{head} fit" if rest else head, []).append(row.gpu)
    for reason, gpus in reasons.items():
        yield f"misses: {reason} ({', '.join(gpus)})"
