"""One page and its tables out of an acceptance directory; what is missing there is said to be missing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from quantroof.analysis.case_time import case_time, grouped, median_ns
from quantroof.analysis.roofs import ceiling_rate, measured_roofs
from quantroof.errors import QuantroofError
from quantroof.kernels.cases import Case
from quantroof.records.directory import Run, read_run
from quantroof.records.lines import Ceiling

# What the measurement contract promises; a line says whether it holds here.
LONG_NS, SHORT_NS = 20_000, 5_000
MEDIAN_SHARE, WORST_SHARE, SHORT_SLACK_NS = 0.01, 0.04, 1_000
REPEAT_SHARE, REPEATING = 0.01, 0.95
CASE_COST_S = 0.15
BYTES_SHARE, BYTES_FROM = 0.02, 16 << 20
MOST_LINES, _LISTED = 60, 10
_BAD_WORDS = ("DOES NOT HOLD", "OUT OF TIME", "ended with", "incorrect:", "failed:")
FEW_ROWS = 16  # above it the matrix units are the limit, and counters see another clock and other traffic


def main() -> None:
    """Print the summary of the directory named on the command line, and write its tables beside it."""
    out = Path(sys.argv[1])
    first, second = _run(out / "first"), _run(out / "second")
    page: list[str] = []
    if first is None:
        page.append("# Acceptance\n\nThe suite wrote no run: see suite.log and doctor.out.\n")
    else:
        page.append(f"# Acceptance on {', '.join(d.name for d in first.info.devices)}\n")
        page.append(f"{first.info.started_at}, driver {first.info.devices[0].driver}, {_versions(first)}\n")
    for title, lines in (
        ("Steps", _steps(out / "steps.tsv")),
        ("Cases", _cases(first, out)),
        ("Against hardware counters", _counters(out)),
        ("Repeatability", _repeatability(first, second, out)),
        ("Ceilings", _ceilings(first, out)),
        ("GPU tests", _last_line(out / "gpu_tests.out")),
    ):
        page += [f"## {title}\n", "\n".join(lines) + "\n"]
    text = "\n".join(page).splitlines()
    if len(text) > MOST_LINES - 1:
        text = [*text[: MOST_LINES - 2], f"({len(text) - MOST_LINES + 2} more lines: see the tables)"]
    print("\n".join([*text, _verdict("\n".join(page), first)]))


def _verdict(text: str, first: Run | None) -> str:
    """The last line: what to look at, if anything."""
    if first is None or not any(m.status == "ok" for m in first.measurements):
        return "VERDICT: undecided, nothing was measured"
    wrong = [f"{text.count(word)} {word}" for word in _BAD_WORDS if word in text]
    return f"VERDICT: look at {', '.join(wrong)}" if wrong else "VERDICT: everything that was measured holds"


def _run(path: Path) -> Run | None:
    try:
        return read_run(path)
    except (OSError, QuantroofError):
        return None


def _table(out: Path, name: str, head: str, rows: Iterable[Sequence[object]]) -> None:
    """One table as tab-separated text; None is an empty cell."""
    lines = ["\t".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (out / f"{name}.tsv").write_text("\n".join([head.replace(" ", "\t"), *lines, ""]), encoding="utf-8")


def _steps(file: Path) -> list[str]:
    try:
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    except OSError:
        return ["not recorded"]
    return [f"- {name}: {_outcome(code)}, {seconds} s" for name, code, seconds in rows]


def _outcome(code: str) -> str:
    return {"0": "done", "124": "OUT OF TIME"}.get(code, f"ended with {code}, see its log")


def _last_line(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1:] or ["not run"]


def _cases(run: Run | None, out: Path) -> list[str]:
    """How many lines came to what, why some failed, and what a case costs beside its sampling."""
    if run is None:
        return ["not measured"]
    rows, costs = [], []
    for m in run.measurements:
        ns = None if m.timing is None else median_ns(m.timing)
        if m.timing is not None and m.elapsed_s is not None:
            costs.append(m.elapsed_s - sum(m.timing.samples_ns) * m.timing.calls_per_sample / 1e9)
        clock = m.state.sm_clock_mhz if m.state else None
        source = m.state.sm_clock_source if m.state else None
        rows.append((m.device, m.case, m.kernel, m.status, ns, clock, source, m.elapsed_s, m.reason))
    _table(out, "cases", "device case kernel status median_ns clock_mhz clock_source elapsed_s reason", rows)
    counts = Counter(m.status for m in run.measurements)
    lines = ["- " + ", ".join(f"{count} {status}" for status, count in counts.most_common())]
    bad = [m for m in run.measurements if m.status in ("failed", "incorrect")]
    lines += [f"- {m.status}: {m.case} {m.kernel}: {m.reason}" for m in bad[:_LISTED]]
    if costs:
        good = median(costs) <= CASE_COST_S
        lines.append(f"- a case costs {median(costs):.2f} s beside its sampling (median){_mark(good)}")
    return lines


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.info.versions.items())


def _witnessed(out: Path) -> list[dict[str, Any]]:
    """The cases of the first witness that answered."""
    for name in ("counters.out", "timeline.out"):
        try:
            cases: list[dict[str, Any]] = json.loads((out / name).read_text(encoding="utf-8"))["cases"]
        except (OSError, ValueError, KeyError):
            continue
        return cases
    return []


def _counters(out: Path) -> list[str]:
    cases = _witnessed(out)
    if not cases:
        return ["not measured: neither counters nor a timeline here"]
    keys = ("case", "kernel", "witness", "ours_ns", "witness_ns", "kernels", "counted_bytes", "dram_bytes")
    _table(out, "counters", " ".join(keys), ([case.get(key) for key in keys] for case in cases))
    for case in cases:
        case["share"] = case["ours_ns"] / case["witness_ns"] - 1
    few = [c for c in cases if Case.parse(c["case"]).m <= FEW_ROWS]
    long = [c for c in few if c["kernels"] == 1 and c["witness_ns"] >= LONG_NS]
    short = [c for c in few if c["kernels"] == 1 and SHORT_NS <= c["witness_ns"] < LONG_NS]
    several = [c for c in few if c["kernels"] > 1]
    heavy = [c for c in few if c["dram_bytes"] and c["counted_bytes"] >= BYTES_FROM]
    lines = [f"{len(cases)} cases by {', '.join(sorted({c.get('witness', 'counters') for c in cases}))}"]
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
    if len(few) < len(cases):
        lines.append(
            f"- {len(cases) - len(few)} of M > {FEW_ROWS} are not compared: x and y are hot by contract, and "
            "the power cap holds our clock below that of the counters"
        )
    return lines


def _repeatability(first: Run | None, second: Run | None, out: Path) -> list[str]:
    if first is None or second is None:
        return ["not measured"]
    again = grouped(second.measurements)
    shares, rows = [], []
    for key, lines in grouped(first.measurements).items():
        one, two = case_time(lines), case_time(again.get(key, []))
        if one is not None and two is not None:
            shares.append(abs(two.interval.median / one.interval.median - 1))
            rows.append((*key, one.interval.median, two.interval.median, shares[-1]))
    _table(out, "repeatability", "device case kernel first_ns second_ns difference", rows)
    if not shares:
        return ["not measured"]
    within = sum(share <= REPEAT_SHARE for share in shares) / len(shares)
    return [
        f"{within:.0%} of {len(shares)} cases within 1 %, worst {max(shares):.1%}{_mark(within >= REPEATING)}"
    ]


def _ceilings(run: Run | None, out: Path) -> list[str]:
    if run is None:
        return ["not measured"]
    head = "device quantity name kernel status mode bytes shape rate_per_s clock_mhz reason"
    _table(out, "ceilings", head, (_ceiling_row(ceiling) for ceiling in run.ceilings))
    lines = []
    for device in run.info.devices:
        roofs = measured_roofs(device.id, run.ceilings)
        lines += [f"- {device.id} {name}: {rate / 1e9:.0f} GB/s" for name, rate in roofs.bandwidth.items()]
        lines += [f"- {device.id} {name}: {rate / 1e12:.1f} TFLOP/s" for name, rate in roofs.matrix.items()]
    return lines or ["not measured"]


def _ceiling_row(c: Ceiling) -> tuple[object, ...]:
    shape = "x".join(map(str, c.shape or ())) or None
    mode = c.timing.mode if c.timing else None
    clock = c.state.sm_clock_mhz if c.state else None
    rate = ceiling_rate(c)
    return (
        c.device,
        c.quantity,
        c.name,
        c.kernel,
        c.status,
        mode,
        c.bytes_moved,
        shape,
        rate,
        clock,
        c.reason,
    )


def _mark(good: bool) -> str:
    return ": holds" if good else ": DOES NOT HOLD"


if __name__ == "__main__":
    main()
