"""The measured tables of docs/kernels.md, docs/measurement.md and README.md, from a run on a GPU.

Usage: python scripts/kernel_table.py RUN [--write] [--acceptance OUT]
Without --write the table and the targets are printed. With it the text between the marks of each page is
replaced; measurement.md takes the lines of an acceptance's summary.md, and stays as it is without one.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from quantroof.analysis.device_results import DeviceResults, device_results
from quantroof.analysis.points import Point
from quantroof.records.directory import read_run

# (format, smallest M, least share of the fastest torch kernel's speed): what issue 5 asks of wide products.
_AGAINST_TORCH = {"fp8-w8a8-static": 0.97, "int8-w8a8-static": 0.97, "bf16": 0.95}
_WIDE = 4096
_READ_SHARE = 0.90  # of a plain read of the same bytes, int4 at M = 1
_SLOWDOWN_AT_16 = 1.10
_INT4 = ("triton.int4", "cupy.int4")


_ROOT = Path(__file__).parent.parent
_MARKED = re.compile(r"(<!-- measured: begin -->\n).*?(<!-- measured: end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Print or write the tables; 1 where a target is missed, 2 where there is nothing to fill them with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--acceptance", type=Path)
    parser.add_argument("--root", type=Path, default=_ROOT, help="where the pages are")
    options = parser.parse_args(arguments)
    results = next(iter(device_results([read_run(options.run)])), None)
    timed = [] if results is None else [p for p in results.points if p.time is not None]
    if results is None or not timed:
        print("nothing was timed in this run", file=sys.stderr)
        return 2
    verdicts = list(_verdicts(timed))
    table = _table(results, timed, verdicts)
    if not options.write:
        print(table)
    elif results.run.info.simulated or results.device.kind != "cuda":
        print("only a run of a real GPU fills the pages", file=sys.stderr)
        return 2
    else:
        _fill(options.root / "docs" / "kernels.md", table)
        _fill(options.root / "README.md", f"On {_measured_on(results)}:\n\n" + "\n".join(verdicts[:6]))
        if options.acceptance is not None:
            lines = (options.acceptance / "summary.md").read_text(encoding="utf-8").splitlines()
            kept = "\n".join(line for line in lines if line.startswith("- ") or " cases within " in line)
            _fill(options.root / "docs" / "measurement.md", f"On {_measured_on(results)}:\n\n{kept}")
    return int(any("missed" in verdict for verdict in verdicts))


def _table(results: DeviceResults, timed: list[Point], verdicts: list[str]) -> str:
    """The heading, a row per point, and the targets."""
    rows = sorted(timed, key=lambda p: (p.case.n, p.case.k, p.case.m, p.scheme, _us(p)))
    return "\n".join(
        [
            f"### {_measured_on(results)}\n",
            "| M x N x K | format | kernel | us | 95 % +- | of the roof | of a read of its size |",
            "|---|---|---|---|---|---|---|",
            *map(_row, rows),
            "",
            *(verdicts or ["- no target applies: none of our kernels was timed"]),
        ]
    )


def _measured_on(results: DeviceResults) -> str:
    """Device, date and versions."""
    info = results.run.info
    versions = ", ".join(f"{name} {version}" for name, version in info.versions.items())
    driver = results.device.driver or "unknown"
    return f"{results.device.name}, {info.started_at:.10}, driver {driver}, {versions}"


def _fill(page: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    old = page.read_text(encoding="utf-8")
    new, count = _MARKED.subn(lambda found: f"{found[1]}{text}\n{found[2]}", old)
    if count != 1:
        raise SystemExit(f"{page}: no text between 'measured: begin' and 'measured: end'")
    page.write_text(new, encoding="utf-8")


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
    sys.exit(main(sys.argv[1:]))
