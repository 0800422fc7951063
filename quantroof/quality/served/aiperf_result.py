"""The aggregated result of AIPerf (`profile_export_aiperf.json`) as records.

Every metric is a table with `unit`, `avg` and percentiles; `input_config` holds the options of the run. The
single requests are in another file, so only the percentiles are kept.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantroof.errors import UsageError
from quantroof.records.served import Served, ServedHeader, ServedLoad, ServedSummary, Spread, kept

_MS, _S = 1e6, 1e9


class _Metric(msgspec.Struct):
    unit: str
    avg: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


class _Endpoint(msgspec.Struct):
    model_names: list[str]
    url: str | None = None
    type: str | None = None


class _Load(msgspec.Struct):
    concurrency: int | None = None
    request_rate: float | None = None


class _Config(msgspec.Struct):
    endpoint: _Endpoint
    loadgen: _Load = msgspec.field(default_factory=_Load)


class _Errors(msgspec.Struct):
    count: int = 0


class _Result(msgspec.Struct):
    input_config: _Config
    request_count: _Metric
    total_isl: _Metric | None = None
    total_osl: _Metric | None = None
    input_sequence_length: _Metric | None = None
    output_sequence_length: _Metric | None = None
    benchmark_duration: _Metric | None = None
    time_to_first_token: _Metric | None = None
    inter_token_latency: _Metric | None = None
    error_summary: list[_Errors] = msgspec.field(default_factory=list)
    start_time: str | None = None


def is_result(document: object) -> bool:
    """Whether a JSON document has the shape of such a result."""
    return isinstance(document, dict) and "input_config" in document and "request_count" in document


def read(document: object, file: Path) -> Served:
    """The one load of a result. UsageError names what is missing."""
    try:
        result = msgspec.convert(document, _Result)
    except msgspec.ValidationError as error:
        raise UsageError(f"is not a result of AIPerf: {error}", where=str(file)) from None
    endpoint, load = result.input_config.endpoint, result.input_config.loadgen
    if len(endpoint.model_names) != 1:
        raise UsageError("does not name one model", where=str(file), hint="profile one model at a time")
    completed = round(result.request_count.avg or 0)
    header = ServedHeader(
        model=endpoint.model_names[0],
        tool="AIPerf",
        endpoint=endpoint.url,
        api=endpoint.type,
        measured_at=result.start_time,
    )
    duration = result.benchmark_duration
    return Served(
        header,
        (
            ServedLoad(
                concurrency=load.concurrency,
                rate_per_s=load.request_rate,
                duration_ns=None if duration is None or duration.avg is None else duration.avg * _S,
                completed=completed,
                failed=sum(group.count for group in result.error_summary),
                prompt_tokens=_tokens(result.total_isl, result.input_sequence_length, completed),
                output_tokens=_tokens(result.total_osl, result.output_sequence_length, completed),
                summary=ServedSummary(
                    first_token=_spread(result.time_to_first_token, completed, file),
                    per_token=_spread(result.inter_token_latency, completed, file),
                ),
            ),
        ),
    )


def _tokens(whole: _Metric | None, each: _Metric | None, completed: int) -> int:
    """Tokens of all requests together, from their sum or from the mean of one."""
    if whole is not None and whole.avg is not None:
        return round(whole.avg)
    return round((each.avg if each is not None and each.avg is not None else 0.0) * completed)


def _spread(metric: _Metric | None, completed: int, file: Path) -> Spread | None:
    if metric is None or metric.p50 is None or not completed:
        return None
    if metric.unit != "ms":
        raise UsageError(f"states times in {metric.unit}, not ms", where=str(file))
    p90, p99 = (None if p is None else p * _MS for p in (metric.p90, metric.p99))
    return kept(completed, metric.p50 * _MS, p90, p99)
