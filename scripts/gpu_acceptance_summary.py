"""One page out of an acceptance directory: agreement with counters, repeatability, ceilings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from quantroof.records.directory import Run, read_run
from quantroof.records.estimate import estimate, grouped
from quantroof.records.roofs import measured_roofs

# What the measurement contract promises; a line says whether it holds here.
LONG_NS, SHORT_NS = 20_000, 5_000
MEDIAN_SHARE, WORST_SHARE, SHORT_SLACK_NS = 0.01, 0.04, 1_000
REPEAT_SHARE, REPEATING = 0.01, 0.95
BYTES_SHARE, BYTES_FROM = 0.02, 16 << 20


def main() -> None:
    """Print the summary of the directory named on the command line."""
    out = Path(sys.argv[1])
    first = read_run(out / "first")
    print(f"# Acceptance on {', '.join(d.name for d in first.info.devices)}\n")
    print(f"{first.info.started_at}, driver {first.info.devices[0].driver}, {_versions(first)}\n")
    for title, lines in (
        ("Against hardware counters", _counters(out / "counters.json")),
        ("Repeatability", _repeatability(first, read_run(out / "second"))),
        ("Ceilings", _ceilings(first)),
    ):
        print(f"## {title}\n")
        print("\n".join(lines) + "\n")


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.info.versions.items())


def _counters(file: Path) -> list[str]:
    try:
        cases: list[dict[str, Any]] = json.loads(file.read_text())["cases"]
    except (OSError, ValueError, KeyError):
        return ["not measured: there were no counters here"]
    for case in cases:
        case["share"] = case["ours_ns"] / case["witness_ns"] - 1
    long = [c for c in cases if c["kernels"] == 1 and c["witness_ns"] >= LONG_NS]
    short = [c for c in cases if c["kernels"] == 1 and SHORT_NS <= c["witness_ns"] < LONG_NS]
    several = [c for c in cases if c["kernels"] > 1]
    heavy = [c for c in cases if c["dram_bytes"] and c["counted_bytes"] >= BYTES_FROM]
    lines = [f"{len(cases)} cases"]
    if long:
        shares = [abs(c["share"]) for c in long]
        good = median(shares) <= MEDIAN_SHARE and max(shares) <= WORST_SHARE
        lines.append(
            f"- {len(long)} of >= 20 us: median {median(shares):.2%}, worst {max(shares):.2%}{_mark(good)}"
        )
    if short:
        worst = max(abs(c["ours_ns"] - c["witness_ns"]) for c in short)
        lines.append(f"- {len(short)} of 5-20 us: worst {worst / 1e3:.2f} us{_mark(worst <= SHORT_SLACK_NS)}")
    if several:
        worst = max(abs(c["share"]) for c in several)
        lines.append(f"- {len(several)} of several kernels, against the timeline: worst {worst:.2%}")
    if heavy:
        worst = max(abs(c["counted_bytes"] / c["dram_bytes"] - 1) for c in heavy)
        lines.append(
            f"- counted bytes of {len(heavy)} cases >= 16 MB: worst {worst:.2%}{_mark(worst <= BYTES_SHARE)}"
        )
    return lines


def _repeatability(first: Run, second: Run) -> list[str]:
    again = grouped(second.measurements)
    shares = []
    for key, lines in grouped(first.measurements).items():
        one, two = estimate(lines), estimate(again.get(key, []))
        if one is not None and two is not None:
            shares.append(abs(two.interval.median / one.interval.median - 1))
    if not shares:
        return ["not measured"]
    within = sum(share <= REPEAT_SHARE for share in shares) / len(shares)
    return [
        f"{within:.0%} of {len(shares)} cases within 1 %, worst {max(shares):.1%}{_mark(within >= REPEATING)}"
    ]


def _ceilings(run: Run) -> list[str]:
    lines = []
    for device in run.info.devices:
        roofs = measured_roofs(device.id, run.ceilings)
        lines += [f"- {device.id} {name}: {rate / 1e9:.0f} GB/s" for name, rate in roofs.bandwidth.items()]
        lines += [f"- {device.id} {name}: {rate / 1e12:.1f} TFLOP/s" for name, rate in roofs.matrix.items()]
    return lines or ["not measured"]


def _mark(good: bool) -> str:
    return ": holds" if good else ": DOES NOT HOLD"


if __name__ == "__main__":
    main()
