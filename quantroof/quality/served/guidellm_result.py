"""The JSON result of guidellm (format 2, guidellm 0.8) as records.

Times are taken from each request's own time stamps, not from guidellm's averages: its
`time_per_output_token_ms` counts the first token in, ours does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed
from quantroof.records.served import Served, ServedHeader, ServedLoad, ServedRequest, distinct_errors

FORMAT = 2
_T = TypeVar("_T", bound=msgspec.Struct)


class _Timings(msgspec.Struct):
    request_start: float | None = None
    first_token_iteration: float | None = None
    last_token_iteration: float | None = None
    request_end: float | None = None


class _Info(msgspec.Struct):
    timings: _Timings
    error: str | None = None


class _Request(msgspec.Struct):
    info: _Info
    prompt_tokens: int | None = None
    output_tokens: int | None = None


class _Requests(msgspec.Struct):
    successful: list[_Request] | None = None
    errored: list[_Request] | None = None
    incomplete: list[_Request] | None = None


class _Strategy(msgspec.Struct):
    type_: str
    streams: int | None = None
    max_concurrency: int | None = None
    rate: float | None = None


class _BenchmarkConfig(msgspec.Struct):
    strategy: _Strategy


class _Benchmark(msgspec.Struct):
    config: _BenchmarkConfig
    requests: _Requests


class _Backend(msgspec.Struct):
    target: str | None = None
    model: str | None = None
    request_format: str | None = None


class _Spec(msgspec.Struct):
    backend: _Backend


class _Config(msgspec.Struct):
    spec: _Spec


class _Metadata(msgspec.Struct):
    version: int
    guidellm_version: str | None = None


class _Versioned(msgspec.Struct):
    metadata: _Metadata


class _Report(_Versioned):
    config: _Config
    benchmarks: list[_Benchmark]


def read(data: bytes, file: Path) -> Served:
    """The loads of one result. UsageError for another format, or one that lacks what a record needs."""
    version = _decode(data, _Versioned, file).metadata.version
    if version != FORMAT:
        hint = "repeat it with guidellm 0.8"
        raise UsageError(
            f"is a guidellm result of format {version}, not {FORMAT}", where=str(file), hint=hint
        )
    report = _decode(data, _Report, file)
    backend = report.config.spec.backend
    header = ServedHeader(
        model=backend.model or "unknown",
        tool="guidellm",
        tool_version=report.metadata.guidellm_version,
        endpoint=backend.target,
        api=backend.request_format,
    )
    return Served(header, tuple(_load(benchmark) for benchmark in report.benchmarks))


def _decode(data: bytes, kind: type[_T], file: Path) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except MALFORMED as error:
        raise UsageError(f"is not a guidellm result: {malformed(error)}", where=str(file)) from None


def _load(benchmark: _Benchmark) -> ServedLoad:
    outcomes = benchmark.requests
    timed = [
        r for r in outcomes.successful or () if r.info.timings.request_start and r.info.timings.request_end
    ]
    requests = tuple(_request(r) for r in timed)
    failed = outcomes.errored or []
    strategy = benchmark.config.strategy
    return ServedLoad(
        concurrency=_concurrency(strategy),
        rate_per_s=strategy.rate,
        duration_ns=_duration_ns(r.info.timings for r in timed),
        completed=len(requests),
        failed=len(failed),
        unfinished=len(outcomes.incomplete or ()),
        prompt_tokens=sum(r.prompt_tokens for r in requests),
        output_tokens=sum(r.output_tokens for r in requests),
        requests=requests,
        errors=distinct_errors(r.info.error for r in failed),
    )


def _is_timed(request: _Request) -> bool:
    return bool(request.info.timings.request_start and request.info.timings.request_end)


def _concurrency(strategy: _Strategy) -> int | None:
    """Requests that were kept under way; None if a rate decided."""
    if strategy.type_ == "synchronous":
        return 1
    return strategy.streams if strategy.type_ == "concurrent" else None


def _request(request: _Request) -> ServedRequest:
    timings = request.info.timings
    start, end = timings.request_start or 0.0, timings.request_end or 0.0
    first, last = timings.first_token_iteration, timings.last_token_iteration
    return ServedRequest(
        prompt_tokens=request.prompt_tokens or 0,
        output_tokens=request.output_tokens or 0,
        first_token_ns=None if first is None else (first - start) * 1e9,
        last_token_ns=((last or end) - start) * 1e9,
    )


def _duration_ns(timings: Iterable[_Timings]) -> float | None:
    spans = [(t.request_start or 0.0, t.request_end or 0.0) for t in timings]
    return (max(end for _, end in spans) - min(start for start, _ in spans)) * 1e9 if spans else None
