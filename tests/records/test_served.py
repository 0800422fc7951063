"""Records of served loads: what a reader derives, and what a file gives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.records.served import (
    Served,
    ServedHeader,
    ServedLoad,
    ServedRequest,
    decode_served,
    spread,
    write_served,
)


def request(first_ms: float | None, last_ms: float, tokens: int = 5) -> ServedRequest:
    """A request of 10 prompt tokens."""
    first = None if first_ms is None else first_ms * 1e6
    return ServedRequest(
        prompt_tokens=10, output_tokens=tokens, first_token_ns=first, last_token_ns=last_ms * 1e6
    )


def load(*requests: ServedRequest, seconds: float = 2.0) -> ServedLoad:
    """A load of these requests at concurrency 2."""
    return ServedLoad(
        concurrency=2,
        duration_ns=seconds * 1e9,
        completed=len(requests),
        failed=0,
        prompt_tokens=sum(r.prompt_tokens for r in requests),
        output_tokens=sum(r.output_tokens for r in requests),
        requests=requests,
    )


def test_time_per_token_leaves_the_first_token_out() -> None:
    """Five tokens, the first after 20 ms and the last after 60: 10 ms for each of the four others."""
    assert request(20, 60).per_token_ns == pytest.approx(10e6)


@pytest.mark.parametrize("one", [request(20, 60, tokens=1), request(None, 60), request(60, 60)])
def test_a_time_per_token_that_cannot_be_known_is_none(one: ServedRequest) -> None:
    """A single token, an answer that was not streamed, one that came in a single piece."""
    assert one.per_token_ns is None


def test_percentiles_need_requests_beyond_them() -> None:
    """p90 from 10 requests on, p99 from 100: below they would be the slowest request."""
    few, some, many = (spread(float(n) for n in range(1, count + 1)) for count in (9, 10, 100))

    assert few is not None
    assert some is not None
    assert many is not None
    assert (few.median_ns, few.p90_ns, few.p99_ns) == (5.0, None, None)
    assert some.p90_ns == pytest.approx(9.1)
    assert some.p99_ns is None
    assert many.p99_ns == pytest.approx(99.01)


def test_throughput_counts_all_requests_together() -> None:
    """Two requests of 5 tokens in 2 s are 5 tokens per second; none completed is unknown, not zero."""
    assert load(request(20, 60), request(20, 60)).output_tokens_per_s == pytest.approx(5.0)
    assert load().output_tokens_per_s is None
    assert load().first_token is None


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    """Header and loads survive; a second write to the same file is refused."""
    served = Served(ServedHeader(model="m", tool="t"), (load(request(20, 60)),))
    file = tmp_path / "deep" / "served.jsonl"
    write_served(file, served)

    assert decode_served(file.read_bytes(), file) == served
    with pytest.raises(UsageError, match="already"):
        write_served(file, served)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"kind":"served-header","model":"m","tool":"t","schema":"quantroof-served/9"}\n', "schema"),
        (b'{"kind":"served-header","model":"m","tool":"t"}\n{"kind":"served-load"}\n', "line 2 is broken"),
        (b"", "schema"),
    ],
)
def test_a_broken_file_is_one_line(data: bytes, says: str) -> None:
    """Another schema, a load without its fields, nothing at all: the file is named."""
    with pytest.raises(UsageError, match=says) as error:
        decode_served(data, Path("served.jsonl"))

    assert "served.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_load_that_contradicts_itself_is_refused() -> None:
    """Requests that are listed are those that completed."""
    with pytest.raises(ValueError, match="3 requests completed, 1 are listed"):
        ServedLoad(
            concurrency=1,
            duration_ns=1.0,
            completed=3,
            failed=0,
            prompt_tokens=1,
            output_tokens=1,
            requests=(request(1, 2),),
        )
