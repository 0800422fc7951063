"""The advisor's answer in words and cells, for the terminal, Markdown and the HTML page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quantroof import units
from quantroof.advisor.advice import Advice, FormatOnGpu, Option
from quantroof.advisor.machine import Machine

NONE = "-"
OPTION_HEADINGS = (
    "option", "KV", "GPUs", "first token", "ms/token", "band", "batch", "sequences", "KV GB per sequence",
    "tok/s per GPU", "$/M tok", "$/month", "J/tok", "linear layers", "verdict",
)  # fmt: skip
SHOWN_ROWS = 5
FORMAT_HEADINGS = ("format", "bits/weight", "computes in", "rate", "ridge batch", "measured against bf16")


def headline(advice: Advice) -> str:
    """The answer in one sentence."""
    request, best = advice.request, advice.choice
    asked = [f"context {request.context}"]
    if request.latency_s is not None:
        asked.append(f"{request.latency_s * 1e3:g} ms per token")
    if request.tokens_per_day is not None:
        asked.append(f"{request.tokens_per_day / 1e6:g} M tokens per day")
    unsaid = advice.machine.simulated and not advice.machine.name.startswith("SIMULATED")
    mark = "SIMULATED. " if unsaid else ""
    subject = f"{mark}{advice.model.id} on {advice.machine.name}, {', '.join(asked)}"
    if advice.unusable is not None:
        return f"{subject}: unknown, {advice.unusable}."
    if advice.frontier:
        return f"{subject}: {_open_question(advice)}"
    if best is None or best.decode is None:
        return f"{subject}: nothing meets the targets."
    count = advice.machine.count(best.total_gpus or best.gpus)
    low, high = two(best.decode.total.low * 1e3), two(best.decode.total.high * 1e3)
    took = f"{best.verdict} at {two(best.decode.total.seconds * 1e3)} ms per token ({low} to {high})"
    speed = f"batch {best.batch}, linear layers {best.decode.linear_words}"
    return f"{subject}: {_named(best)} on {count} {took}, {speed}."


def _open_question(advice: Advice) -> str:
    """What the frontier is, and what the user must say to decide."""
    options = [advice.options[index] for index in advice.frontier]
    by_name: dict[str, list[int]] = {}
    for option in options:
        by_name.setdefault(_named(option), []).append(option.gpus)
    names = "; ".join(f"{name} on {_counts(advice.machine, gpus)}" for name, gpus in by_name.items())
    if len(options) == 1:
        several = len({option.gpus for option in advice.options}) > 1
        return f"{names}; more GPUs gain nothing" if several else names
    ask = "How quick must a token be (--latency), and how much traffic is there (--tokens-per-day)?"
    return f"without targets nothing decides between {names}. {ask}"


def _counts(machine: Machine, gpus: Sequence[int]) -> str:
    """`1 GPU`, or `1, 2 or 4 GPUs`."""
    *first, last = [machine.count(count) for count in gpus]
    return f"{', '.join(str(count) for count in gpus[:-1])} or {last}" if first else last


def _named(option: Option) -> str:
    return option.format if option.kv == "fp16" else f"{option.format} with {option.kv} KV"


def two(value: float) -> str:
    """A number with two significant digits, never in powers of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):.{max(0, digits)}f}"


def option_rows(advice: Advice) -> list[tuple[str, ...]]:
    """Every option as cells, the frontier first, formats that differ in their name only in one row."""
    first = [advice.options[index] for index in advice.frontier]
    ordered = [*first, *(option for option in advice.options if option not in first)]
    merged: dict[tuple[str, ...], list[str]] = {}
    for option in ordered:
        name, *cells = option_row(option)
        merged.setdefault(tuple(cells), []).append(name)
    return [(", ".join(names), *cells) for cells, names in merged.items()]


def filled(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows without empty columns, such as dollars without a price, and without `sequences`
    where it repeats the batch.
    """
    batch, sequences = OPTION_HEADINGS.index("batch"), OPTION_HEADINGS.index("sequences")
    shown = [i for i in range(len(OPTION_HEADINGS)) if any(row[i] != NONE for row in rows)]
    if all(row[batch] == row[sequences] for row in rows):
        shown = [i for i in shown if i != sequences]
    return tuple(OPTION_HEADINGS[i] for i in shown), [tuple(row[i] for i in shown) for row in rows]


def misses(advice: Advice) -> list[str]:
    """Why options were not timed: one line per reason, with the formats and GPU counts that it rejects."""
    rejected: dict[str, dict[str, list[str]]] = {}
    for option in advice.options:
        if option.decode is None:
            head, _, rest = option.reasons[0].partition(" fit: ")
            counts = rejected.setdefault(f"{head} fit" if rest else head, {}).setdefault(option.format, [])
            if str(option.gpus) not in counts:
                counts.append(str(option.gpus))
    lines = []
    for reason, formats in rejected.items():
        named = "; ".join(f"{name} on {', '.join(counts)}" for name, counts in formats.items())
        lines.append(f"misses: {reason}" + (f" ({named})" if advice.machine.is_gpu else ""))
    return lines


def option_row(option: Option) -> tuple[str, ...]:
    """One option as cells, in the order of OPTION_HEADINGS."""
    verdict = f"{option.verdict}: {'; '.join(option.reasons)}" if option.reasons else option.verdict
    gpus = str(option.gpus)
    if option.decode is None:
        return (option.format, option.kv, gpus, *[NONE] * 11, verdict)
    time, memory = option.decode.total, option.memory
    if option.replicas and option.replicas > 1:
        gpus = f"{option.replicas} x {option.gpus}"
    return (
        option.format,
        option.kv,
        gpus,
        NONE if option.prefill is None else units.time(option.prefill.total.seconds * 1e9, 2),
        two(time.seconds * 1e3),
        f"{two(time.low * 1e3)} to {two(time.high * 1e3)}",
        str(option.batch or 1),
        str(memory.sequences),
        two(memory.kv_per_sequence / 1e9),
        NONE if option.tokens_per_s is None else two(option.tokens_per_s / option.gpus),
        _cell(option.usd_per_million_tokens, ".2f"),
        _cell(option.usd_per_month, ".0f"),
        NONE if option.joules_per_token is None else two(option.joules_per_token),
        option.decode.linear_words,
        verdict,
    )


def format_row(row: FormatOnGpu) -> tuple[str, ...]:
    """What a format is on this GPU, in the order of FORMAT_HEADINGS."""
    rate = f"{row.rate.value / 1e12:.4g} T/s, {row.rate.basis}" if row.rate else "none"
    return (
        row.format,
        f"{row.bits_per_weight:.4g}",
        row.computes_in,
        rate,
        _cell(row.ridge_batch, ".0f"),
        _against_baseline(row),
    )


def _against_baseline(row: FormatOnGpu) -> str:
    if row.speed_up is None or row.measured_shape is None:
        return NONE
    gain = row.speed_up
    what = "bytes" if gain.bound == "memory" else "operations"
    text = f"{gain.total:.2f}x at M=1 = {gain.work:.2f} fewer {what} x {gain.rate:.2f} rate"
    if row.crossing is None:
        return f"{text}; no crossing seen"
    low, high = (_cell(value, ".0f") for value in (row.crossing.low, row.crossing.high))
    return f"{text}; slower from M={row.crossing.batch:.0f} ({low}..{high})"


def _cell(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)
