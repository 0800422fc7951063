"""The advisor's answer in words and cells, for the terminal, Markdown and the HTML page alike."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, FormatOnGpu, Option

NONE = "-"
OPTION_HEADINGS = (
    "option", "GPUs", "ms/token", "band", "batch", "linear layers", "sequences", "tok/s per GPU", "$/M tok",
    "$/month", "J/tok", "verdict",
)  # fmt: skip
FORMAT_HEADINGS = ("format", "bits/weight", "computes in", "rate", "ridge batch", "measured against bf16")


def headline(advice: Advice) -> str:
    """The answer in one sentence."""
    request, best = advice.request, advice.choice
    asked = [f"context {request.context}"]
    if request.latency_s is not None:
        asked.append(f"{request.latency_s * 1e3:g} ms per token")
    if request.tokens_per_day is not None:
        asked.append(f"{request.tokens_per_day / 1e6:g} M tokens per day")
    mark = "SIMULATED. " if advice.machine.simulated else ""
    subject = f"{mark}{advice.model.id} on {advice.machine.name}, {', '.join(asked)}"
    if advice.unusable is not None:
        return f"{subject}: unknown, {advice.unusable}."
    if best is None or best.decode is None:
        return f"{subject}: nothing meets the targets."
    count = advice.machine.count(best.total_gpus or best.gpus)
    took = f"{best.decode.total.seconds * 1e3:.1f} ms per token at batch {best.batch}"
    speed = f"{took} (linear layers {best.decode.linear_words})"
    return f"{subject}: {best.format} on {count}, {speed}."


def option_row(option: Option) -> tuple[str, ...]:
    """One option as cells, in the order of OPTION_HEADINGS."""
    verdict = f"{option.verdict}: {'; '.join(option.reasons)}" if option.reasons else option.verdict
    if option.decode is None:
        return (option.format, str(option.gpus), *[NONE] * 9, verdict)
    time = option.decode.total
    speed = None if option.tokens_per_s is None else option.tokens_per_s / option.gpus
    gpus = (
        f"{option.replicas} x {option.gpus}" if option.replicas and option.replicas > 1 else str(option.gpus)
    )
    return (
        option.format,
        gpus,
        f"{time.seconds * 1e3:.2f}",
        f"{time.low * 1e3:.2f}..{time.high * 1e3:.2f}",
        str(option.batch or 1),
        option.decode.linear_words,
        str(option.memory.sequences),
        _cell(speed, ".1f"),
        _cell(option.usd_per_million_tokens, ".2f"),
        _cell(option.usd_per_month, ".0f"),
        _cell(option.joules_per_token, ".3g"),
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
