"""Print the table of docs/kernels.md from a run: shape x format x kernel, time, shares, and the targets.

Usage: python scripts/kernel_table.py RUN
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from quantroof.analysis.device_results import device_results
from quantroof.analysis.points import Point
from quantroof.records.directory import read_run

# (format, smallest M, least share of the fastest torch kernel's speed): what issue 5 asks of wide products.
_AGAINST_TORCH = {"fp8-w8a8-static": 0.97, "int8-w8a8-static": 0.97, "bf16": 0.95}
_WIDE = 4096
_READ_SHARE = 0.90  # of a plain read of the same bytes, int4 at M = 1
_SLOWDOWN_AT_16 = 1.10
_INT4 = ("triton.int4", "cupy.int4")


def main(path: str) -> int:
    """Print the table and the verdicts; 1 where a target is missed."""
    for results in device_results([read_run(Path(path))]):
        timed = [p for p in results.points if p.time is not None]
        print(f"### {results.device.name}, {results.run.info.started_at:.10}\n")
        print("| M x N x K | format | kernel | us | 95 % +- | of the roof | of a read of its size |")
        print("|---|---|---|---|---|---|---|")
        for point in sorted(timed, key=lambda p: (p.case.n, p.case.k, p.case.m, p.scheme, _us(p))):
            print(_row(point))
        print()
        verdicts = list(_verdicts(timed))
        print(*verdicts or ["- no target applies: none of our kernels was timed"], sep="\n")
        return int(any("missed" in verdict for verdict in verdicts))
    print("no device in this run", file=sys.stderr)
    return 2


def _us(point: Point) -> float:
    assert point.time is not None
    return point.time.median / 1e3


def _row(point: Point) -> str:
    assert point.time is not None
    c = point.case
    half = (point.time.high - point.time.low) / 2 / point.time.median
    shares = " | ".join("" if s is None else f"{s:.1%}" for s in (point.roof_fraction, point.sized_fraction))
    name = f"{c.m} x {c.n} x {c.k} | {point.scheme} | {point.measurement.kernel}"
    return f"| {name} | {_us(point):.1f} | {half:.1%} | {shares} |"


def _verdicts(points: list[Point]) -> Iterator[str]:
    found = {(p.measurement.kernel, p.measurement.case): p for p in points}
    for point in points:
        c = point.case
        kernel = point.measurement.kernel
        share = point.sized_fraction
        if kernel in _INT4 and c.m == 1 and share is not None:
            yield _verdict(
                f"{kernel} M=1 {c.n}x{c.k}: {share:.1%} of a read of its size", share >= _READ_SHARE
            )
            wider = found.get((kernel, c.id.replace("gemv/", "gemm/").replace("/m1-", "/m16-")))
            if wider is not None:
                ratio = _us(wider) / _us(point)
                yield _verdict(f"{kernel} M=16 {c.n}x{c.k}: {ratio:.2f} x M=1", ratio <= _SLOWDOWN_AT_16)
        if point.measurement.provider == "triton" and point.scheme in _AGAINST_TORCH and c.m >= _WIDE:
            torch = [_us(p) for p in points if p.case == c and p.measurement.provider == "torch"]
            if torch:
                share = min(torch) / _us(point)
                text = f"{point.scheme} {c.m}x{c.n}x{c.k}: {share:.1%} of torch's speed"
                yield _verdict(text, share >= _AGAINST_TORCH[point.scheme])


def _verdict(text: str, reached: bool) -> str:
    return f"- {text}: {'reached' if reached else 'missed'}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
