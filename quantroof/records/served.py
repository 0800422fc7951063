"""Records of a served model under load: what an endpoint did at each concurrency, request by request.

A file is JSON Lines like a run: a header, then one line per load. Times are nanoseconds since the request was
sent. Percentiles and rates are derived by the reader; only a result that came without its requests keeps the
percentiles it came with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from quantroof.bounds import Amount, Count, Nanoseconds
from quantroof.errors import UsageError
from quantroof.files import MALFORMED
from quantroof.records.jsonl import JsonlWriter, create_file, decode_line, split_lines
from quantroof.records.run import Record

SCHEMA = "quantroof-served/1"
# A percentile needs requests beyond it: below these numbers it would be the slowest request by another name.
_P90_NEEDS, _P99_NEEDS = 10, 100
_ERRORS_KEPT, _ERROR_CHARACTERS = 5, 300


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles over `count` requests; None if there were too few requests for it."""

    count: Count
    median_ns: Nanoseconds
    p90_ns: Nanoseconds | None = None
    p99_ns: Nanoseconds | None = None


class ServedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One completed request. `first_token_ns` is None if the answer was not streamed."""

    prompt_tokens: Count
    output_tokens: Count
    first_token_ns: Nanoseconds | None
    last_token_ns: Nanoseconds

    @property
    def per_token_ns(self) -> float | None:
        """Mean time of a token after the first; None for a single token or an answer in one piece."""
        if self.first_token_ns is None or self.output_tokens < 2 or self.last_token_ns == self.first_token_ns:
            return None
        return (self.last_token_ns - self.first_token_ns) / (self.output_tokens - 1)


class ServedSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of a result that holds no single requests, as its tool reported them."""

    first_token: Spread | None
    per_token: Spread | None


class ServedLoad(Record, frozen=True, kw_only=True, tag="served-load"):
    """One load. `concurrency` is None if requests came at a rate, or all at once.

    `duration_ns` spans the completed requests; `failed` ended in an error, `unfinished` were cut off by the
    time limit. `errors` are the distinct texts of the failures, the most frequent first.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=2**62)] | None
    rate_per_s: Amount | None = None
    duration_ns: Nanoseconds | None
    completed: Count
    failed: Count
    unfinished: Count = 0
    prompt_tokens: Count
    output_tokens: Count
    requests: tuple[ServedRequest, ...] = ()
    summary: ServedSummary | None = None
    errors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.requests and len(self.requests) != self.completed:
            raise ValueError(f"{self.completed} requests completed, {len(self.requests)} are listed")

    @property
    def first_token(self) -> Spread | None:
        """Time to the first token; None if no request has it."""
        if not self.requests:
            return self.summary.first_token if self.summary else None
        return spread(r.first_token_ns for r in self.requests)

    @property
    def per_token(self) -> Spread | None:
        """Time per token after the first, over requests; None if no request has it."""
        if not self.requests:
            return self.summary.per_token if self.summary else None
        return spread(r.per_token_ns for r in self.requests)

    @property
    def output_tokens_per_s(self) -> float | None:
        """Generated tokens per second of all requests together; None if none completed."""
        if not self.completed or not self.duration_ns:
            return None
        return self.output_tokens / self.duration_ns * 1e9

    @property
    def mean_prompt_tokens(self) -> float | None:
        """Prompt tokens of a completed request."""
        return self.prompt_tokens / self.completed if self.completed else None

    @property
    def mean_output_tokens(self) -> float | None:
        """Generated tokens of a completed request."""
        return self.output_tokens / self.completed if self.completed else None


class ServedHeader(Record, frozen=True, kw_only=True, tag="served-header"):
    """What was loaded, and by which tool. `endpoint` and `api` are None if a result does not name them."""

    schema: str = SCHEMA
    model: str
    tool: str
    tool_version: str | None = None
    endpoint: str | None = None
    api: str | None = None
    measured_at: str | None = None
    imported_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """A header and its loads, in the order they were made."""

    header: ServedHeader
    loads: tuple[ServedLoad, ...]


def spread(values: Iterable[float | None]) -> Spread | None:
    """Percentiles by linear interpolation of the values that are not None; None if there is none."""
    import numpy as np

    present = [value for value in values if value is not None]
    if not present:
        return None
    median, p90, p99 = (float(p) for p in np.percentile(present, (50, 90, 99)))
    return kept(len(present), median, p90, p99)


def kept(count: int, median_ns: float, p90_ns: float | None, p99_ns: float | None) -> Spread:
    """A spread without the percentiles that need more requests."""
    return Spread(
        count=count,
        median_ns=median_ns,
        p90_ns=p90_ns if count >= _P90_NEEDS else None,
        p99_ns=p99_ns if count >= _P99_NEEDS else None,
    )


def distinct_errors(texts: Iterable[str | None]) -> tuple[str, ...]:
    """The distinct failure texts of a load tool, the most frequent first: one line each, a few at most."""
    counts = Counter(" ".join((text or "no reason given").split())[:_ERROR_CHARACTERS] for text in texts)
    return tuple(text for text, _ in counts.most_common(_ERRORS_KEPT))


_DECODER: msgspec.json.Decoder[ServedHeader | ServedLoad] = msgspec.json.Decoder(ServedHeader | ServedLoad)


def write_served(file: Path, served: Served) -> None:
    """Write a new file. UsageError if there is one already, EnvironmentMissing on a bad disk."""
    exists = UsageError("there is a file here already", where=str(file), hint="name another")
    with JsonlWriter(file, create_file(file, exists)) as writer:
        for record in (served.header, *served.loads):
            writer.write(record)


def is_served(data: bytes) -> bool:
    """Whether the bytes of a file begin with the header of served loads."""
    try:
        head = msgspec.json.decode(data.partition(b"\n")[0])
    except MALFORMED:
        return False
    return isinstance(head, dict) and head.get("kind") == "served-header"


def decode_served(data: bytes, file: Path) -> Served:
    """The records in the bytes of a file, without half a line at the end.

    UsageError names the line that is not one.
    """
    lines, _ = split_lines(data)
    decoded = [decode_line(_DECODER, line, file, number) for number, line in enumerate(lines, start=1)]
    header = decoded[0] if decoded else None
    if not isinstance(header, ServedHeader) or header.schema != SCHEMA:
        raise UsageError(f"not served loads of schema {SCHEMA}", where=str(file))
    return Served(header, tuple(line for line in decoded if isinstance(line, ServedLoad)))
