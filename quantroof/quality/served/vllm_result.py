"""The result of `vllm bench serve --save-result` as records: one JSON object, or one per line if appended.

Written by vllm/benchmarks/serve.py of vLLM. With `--save-detailed` the file holds every request, without it
only the percentiles that were asked for; both are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from quantroof.errors import UsageError
from quantroof.records.served import (
    Served,
    ServedHeader,
    ServedLoad,
    ServedRequest,
    ServedSummary,
    Spread,
    distinct_errors,
    kept,
)

_MS = 1e6
_S = 1e9


class _Result(msgspec.Struct):
    model_id: str
    duration: float
    completed: int
    total_input_tokens: int
    total_output_tokens: int
    max_concurrency: int | None = None
    request_rate: float | str | None = None
    failed: int | None = None
    num_prompts: int | None = None
    backend: str | None = None
    date: str | None = None
    input_lens: list[int] | None = None
    output_lens: list[int] | None = None
    ttfts: list[float] | None = None
    itls: list[list[float]] | None = None
    errors: list[str] | None = None
    median_ttft_ms: float | None = None
    p90_ttft_ms: float | None = None
    p99_ttft_ms: float | None = None
    median_tpot_ms: float | None = None
    p90_tpot_ms: float | None = None
    p99_tpot_ms: float | None = None


def read(documents: list[Any], file: Path) -> Served:
    """The loads of one file's objects. UsageError if they are not of one model, or lack what is needed."""
    try:
        results = [msgspec.convert(document, _Result) for document in documents]
    except msgspec.ValidationError as error:
        raise UsageError(f"is not a result of `vllm bench serve`: {error}", where=str(file)) from None
    if len(names := sorted({r.model_id for r in results})) > 1:
        raise UsageError(f"holds several models: {', '.join(names)}", where=str(file), hint="split it")
    first = results[0]
    header = ServedHeader(
        model=first.model_id, tool="vllm bench serve", api=first.backend, measured_at=first.date
    )
    return Served(header, tuple(_load(result, file) for result in results))


def _load(result: _Result, file: Path) -> ServedLoad:
    requests = _requests(result, file)
    failed = result.failed
    if failed is None:
        failed = max(0, (result.num_prompts or result.completed) - result.completed)
    try:
        return ServedLoad(
            concurrency=result.max_concurrency,
            rate_per_s=None if isinstance(result.request_rate, str) else result.request_rate,
            duration_ns=result.duration * _S,
            completed=result.completed,
            failed=failed,
            prompt_tokens=result.total_input_tokens,
            output_tokens=result.total_output_tokens,
            requests=requests,
            summary=None if requests else _summary(result),
            errors=distinct_errors(error for error in result.errors or () if error),
        )
    except ValueError as error:
        raise UsageError(f"contradicts itself: {error}", where=str(file)) from None


def _requests(result: _Result, file: Path) -> tuple[ServedRequest, ...]:
    """The completed requests of a detailed result; a failed one has an error text."""
    optional = (result.input_lens, result.output_lens, result.ttfts, result.itls, result.errors)
    if any(column is None for column in optional):
        return ()
    columns = [column for column in optional if column is not None]
    if len({len(column) for column in columns}) > 1:
        raise UsageError("its lists of one value per request differ in length", where=str(file))
    return tuple(
        ServedRequest(
            prompt_tokens=prompt,
            output_tokens=output,
            first_token_ns=first * _S if first > 0 else None,
            last_token_ns=(first + sum(gaps)) * _S,
        )
        for prompt, output, first, gaps, error in zip(*columns, strict=True)
        if not error
    )


def _summary(result: _Result) -> ServedSummary:
    def of(median: float | None, p90: float | None, p99: float | None) -> Spread | None:
        if not median or not result.completed:  # 0 is what the tool writes where no answer was streamed
            return None
        p90_ns, p99_ns = (None if p is None else p * _MS for p in (p90, p99))
        return kept(result.completed, median * _MS, p90_ns, p99_ns)

    return ServedSummary(
        first_token=of(result.median_ttft_ms, result.p90_ttft_ms, result.p99_ttft_ms),
        per_token=of(result.median_tpot_ms, result.p90_tpot_ms, result.p99_tpot_ms),
    )
