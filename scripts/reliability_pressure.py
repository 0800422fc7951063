"""A full disk, a clock that jumps, and little memory, for scripts/reliability.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from reliability_tools import DATA, ROOT, SIMULATED, SUITE, Ended, Row, one_line, quantroof

sys.path.insert(0, str(ROOT))
from quantroof.records.directory import read_run
from tests.benchmarks.report_benchmark import big_run
from tests.builders import write


def disk(folder: Path) -> list[Row]:
    """Commands that write to a full file system."""
    run = DATA / "sim-5"
    rows = []
    for name, *arguments in (
        ("run", "run", *SIMULATED, "--out", "{}/r"),
        ("report", "report", run, "--out", "{}/page.html"),
        ("export", "export", run, "--to", "json", "--out", "{}/x.json"),
        ("compact", "compact", run, "--out", "{}/x.parquet"),
        ("history", "history", run, "--store", "{}/s.parquet"),
        ("export to csv", "export", run, "--to", "csv", "--out", "{}/x.csv"),
    ):
        place = folder / name.replace(" ", "-")
        place.mkdir()
        mount = f"mount -t tmpfs -o size=8k tmpfs {place} && head -c 4096 /dev/zero > {place}/full"
        script = f'{mount}; "$@"; code=$?; ls {place} > {place}.left; exit $code'
        ended = quantroof(
            *[str(argument).replace("{}", str(place)) for argument in arguments],
            before=("unshare", "-m", "sh", "-c", script, "sh"),
        )
        left = Path(f"{place}.left").read_text(encoding="utf-8").replace("full", "").split()
        kept = f"; left behind: {', '.join(left)}" if left else "; nothing left behind"
        rows.append((f"a full disk: `{name}`", _judged(ended, {3}) + kept))
    return rows


def _judged(ended: Ended, allowed: set[int]) -> str:
    if ended.code == 0:
        return f"exit code 0, {ended.seconds:.1f} s"
    how = "one line" if one_line(ended.error) else f"NOT ONE LINE: {ended.error[-200:]!r}"
    text = ended.error.strip().splitlines()[-1][:160] if ended.error.strip() else ""
    return f"exit code {ended.code}{'' if ended.code in allowed else ' (NOT DOCUMENTED)'}, {how}: `{text}`"


def clocks(folder: Path) -> list[Row]:
    """time.time jumps by up to an hour, either way, at every question; a stand-in for a clock that is set."""
    (folder / "sitecustomize.py").write_text(
        "import random, time\n_true = time.time\ntime.time = lambda: _true() + random.uniform(-3600, 3600)\n"
    )
    path = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    rows = []
    for device in ("cpu", "sim:h100-sxm5-80gb"):
        out = folder / device[:3]
        ended = quantroof("run", "--device", device, "--suite", SUITE, "--quiet", "--out", out, **path)
        found = read_run(out)
        negative = sum((m.elapsed_s or 0) < 0 for m in found.measurements)
        rows.append(
            (
                f"a clock that jumps, `run --device {device}`",
                f"exit code {ended.code}, complete: {found.complete}, {negative} negative durations",
            )
        )
    return rows


def memory(folder: Path) -> list[Row]:
    """Eight simulated GPUs under a limit of address space."""
    rows = []
    for megabytes in (4000, 1000, 600, 400, 300):
        ended = quantroof(
            "run", "--device", "sim:h100-sxm5-80gb*8", "--suite", SUITE, "--quiet",
            "--out", folder / str(megabytes),
            before=("prlimit", f"--as={megabytes * 10**6}"),
        )  # fmt: skip
        rows.append((f"8 simulated GPUs, {megabytes} MB of address space", _judged(ended, {1, 3})))
    return rows


def points(folder: Path) -> list[Row]:
    """A run of 115,200 measurements, made up: what its readers take, in seconds of CPU time."""
    run = write(big_run(120_000), folder / "big")
    rows = []
    for name, *arguments in (("show", run), ("compare", run, run), ("report", run, "--out", "{}/page.html")):
        ended = quantroof(name, *[str(argument).replace("{}", str(folder)) for argument in arguments])
        text = f"exit code {ended.code}, {ended.cpu_s:.0f} s of CPU time, {ended.megabytes:.0f} MB"
        size = f", page of {(folder / 'page.html').stat().st_size / 1e6:.1f} MB" if name == "report" else ""
        rows.append((f"115,200 measurements: `{name}`", text + size))
    return rows
