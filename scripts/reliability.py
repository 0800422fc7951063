#!/usr/bin/env python3
"""Loads and breaks quantroof as a host does, and writes what happened to docs/measured/reliability.md.

    scripts/reliability.py                            # everything; minutes
    scripts/reliability.py --part kills --keep FILE   # one part; the page needs all in FILE
    scripts/reliability.py --python PATH ...          # adds interpreters that have the dependencies

A part that needs root (a mount, a control group) says `not tried` where that is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from reliability_machines import machines
from reliability_pressure import clocks, disk, memory, points
from reliability_tools import DATA, ROOT, SIMULATED, Ended, Row, command, one_line, quantroof

sys.path.insert(0, str(ROOT))
from quantroof.records.directory import read_run

RUNS, KILLS, RACES = 1000, 50, 10


def _copies(folder: Path, count: int) -> list[Path]:
    """Run directories with an id and a time each, a minute apart, of a quiet machine that varies by 1 %."""
    lines = [
        json.loads(line) for line in (DATA / "cpu" / "run.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    draw, made = random.Random(0), []
    for line in lines:
        line.update({"flags": []} if line["kind"] == "measurement" else {})
        if line.get("state"):
            line["state"]["other_load_cores"] = 0.0
    for index in range(count):
        at = datetime.fromtimestamp(1_780_000_000 + 60 * index, UTC)
        lines[0] |= {"run_id": f"{at:%Y%m%d-%H%M%S}-{index:04x}", "started_at": at.isoformat()}
        for line in lines:
            if timing := line.get("timing"):
                middle = sorted(timing["samples_ns"])[len(timing["samples_ns"]) // 2]
                timing["samples_ns"] = [middle * draw.gauss(1, 0.01) for _ in timing["samples_ns"]]
        made.append(folder / f"{index // 100:02}" / f"{index:04}")
        made[-1].mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (made[-1] / "run.jsonl").write_text(text, encoding="utf-8")
    return made


class _Reader:
    """Reads a store again and again until it is told to end."""

    def __init__(self, store: Path) -> None:
        self._store, self._end = store, threading.Event()
        self.counts: list[int] = []
        self.errors: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        import duckdb

        while not self._end.is_set():
            if self._store.exists():
                try:
                    found = duckdb.connect().execute(
                        "SELECT count(*) FROM read_parquet(?)", [str(self._store)]
                    ).fetchone()  # fmt: skip
                    self.counts.append(found[0] if found else 0)
                except duckdb.Error as error:
                    self.errors.append(str(error))
            time.sleep(0.05)

    def end(self) -> None:
        """Stop reading."""
        self._end.set()
        self._thread.join()


def soak(folder: Path) -> list[Row]:
    """Runs appended to a store in ten steps while a reader reads, then compacted and compared."""
    runs = _copies(folder / "runs", RUNS)
    store = folder / "store.parquet"
    reader = _Reader(store)
    steps = [
        quantroof("history", part, "--store", store, "--json")
        for part in sorted({run.parent for run in runs})
    ]
    reader.end()
    shrank = sum(b < a for a, b in zip(reader.counts, reader.counts[1:], strict=False))
    packed = quantroof("compact", *runs, "--out", folder / "all.parquet")
    compared = quantroof("compare", runs[0], runs[-1], "--json")
    rows_at_end = reader.counts[-1] if reader.counts else 0
    appended = f"exit codes {_codes(steps)}, {sum(step.seconds for step in steps):.0f} s"
    largest = max(step.megabytes for step in steps)
    size = (folder / "all.parquet").stat().st_size / 1e3
    seen = f"{len(reader.counts)} reads, {len(reader.errors)} failed"
    return [
        (
            f"{RUNS:,} runs appended to a store in {len(steps)} steps",
            f"{appended}, at most {largest:.0f} MB; the store has {rows_at_end:,} rows",
        ),
        ("a reader of the store meanwhile", f"{seen}, {shrank} saw fewer rows than the one before"),
        (
            f"the {RUNS:,} runs compacted into one file",
            f"exit code {packed.code}, {packed.seconds:.0f} s, {packed.megabytes:.0f} MB for {size:.0f} kB",
        ),
        ("the first and the last compared", f"exit code {compared.code}, {compared.seconds:.1f} s"),
    ]


def _codes(ended: list[Ended]) -> str:
    counts = Counter(one.code for one in ended)
    return ", ".join(f"{code} ({count} times)" for code, count in sorted(counts.items()))


def kills(folder: Path) -> list[Row]:
    """SIGKILL at a random moment, then --resume; each planned line must be there once."""
    quantroof("run", *SIMULATED, "--out", folder / "whole")
    planned = _lines(folder / "whole")
    draw, states = random.Random(0), Counter[str]()
    for index in range(KILLS):
        out = folder / f"killed-{index}"
        process = subprocess.Popen(
            command("run", *SIMULATED, "--out", out), cwd=ROOT, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        least = draw.randrange(-20, sum(planned.values()))
        while process.poll() is None and _written(out) <= least:
            time.sleep(0.001)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        states[_after_kill(out, planned)] += 1
    counts = "; ".join(f"{count} {state}" for state, count in states.most_common())
    return [(f"{KILLS} SIGKILLs at random moments of a run", counts)]


def _written(run: Path) -> int:
    """Lines of a run so far; some below zero before it has a file, so that it is killed there as well."""
    file = run / "run.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else -10


def _lines(run: Path) -> Counter[tuple[object, ...]]:
    """Each measurement of a run by device, case, kernel and process."""
    return Counter((*line.key, line.process) for line in read_run(run).measurements)


def _after_kill(out: Path, planned: Counter[tuple[object, ...]]) -> str:
    if not (out / "run.jsonl").exists() or not (out / "run.jsonl").read_bytes().count(b"\n"):
        again = quantroof("run", *SIMULATED, "--out", out)
        return "before the header, started again" if again.code == 0 else f"LOST: {again.error}"
    ended = read_run(out).complete
    if not ended:
        resumed = quantroof("run", "--resume", out, "--quiet")
        if resumed.code != 0:
            return f"LOST: exit code {resumed.code}: {resumed.error}"
    if _lines(out) != planned or not read_run(out).complete:
        return "LOST: another set of lines than planned"
    return "were too late, the run was complete" if ended else "resumed, each planned line once"


def races(folder: Path) -> list[Row]:
    """Two runs that are given the same directory at the same moment."""
    states = Counter[str]()
    for index in range(RACES):
        out = folder / f"race-{index}"
        pair = [
            subprocess.Popen(command("run", *SIMULATED, "--out", out), cwd=ROOT, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]  # fmt: skip
        errors = [process.communicate()[1] for process in pair]
        codes = sorted(process.returncode for process in pair)
        refused = [text for process, text in zip(pair, errors, strict=True) if process.returncode]
        complete = read_run(out).complete
        fine = codes == [0, 2] and complete and all(map(one_line, refused))
        good = "one run complete, the other refused in one line (exit code 2)"
        states[good if fine else f"FAILED: {codes} {refused}"] += 1
    return [(f"two runs in one directory, {RACES} times", "; ".join(f"{n} x {s}" for s, n in states.items()))]


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "soak": soak, "kills": kills, "races": races, "disk": disk, "clocks": clocks, "memory": memory,
    "points": points,
}  # fmt: skip


_BAD = ("LOST", "NOT ", "FAILED")
"""Words of a result that was not as it should be."""
_BY_HAND = "\n## Tests on other interpreters\n"
"""The end of the page, which this script keeps as it is."""


def _table(head: str, rows: list[Row]) -> str:
    shown = [f"| {what} | {result.replace('|', chr(92) + '|')} |" for what, result in rows]
    return "\n".join([f"| {head} | what happened |", "|---|---|", *shown])


def main() -> int:
    """Run the parts; exit code 1 if any of them lost or broke something."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", action="append", choices=[*PARTS, "machines"])
    parser.add_argument("--python", action="append", default=[], help="an interpreter with the dependencies")
    parser.add_argument("--keep", type=Path, help="JSON file of the parts done; the page has all of it")
    options = parser.parse_args()
    done: dict[str, list[Row]] = {}
    for name in options.part or [*PARTS, "machines"]:
        with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
            rows = machines(Path(folder), options.python) if name == "machines" else PARTS[name](Path(folder))
            rows = [(what, result.replace(f"{folder}/", "")) for what, result in rows]
        done = _kept(options.keep) | done | {name: rows}
        if options.keep:
            options.keep.write_text(json.dumps(done), encoding="utf-8")
        print(*(f"{what}: {result}" for what, result in rows), sep="\n", flush=True)
    if {*PARTS, "machines"} <= set(done):
        _write([row for name in PARTS for row in done[name]], done["machines"])
    return int(any(mark in row[1] for rows in done.values() for row in rows for mark in _BAD))


def _kept(file: Path | None) -> dict[str, list[Row]]:
    if file is None or not file.exists():
        return {}
    return {name: [tuple(row) for row in rows] for name, rows in json.loads(file.read_text()).items()}


def _write(load: list[Row], tried: list[Row]) -> None:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    page = ROOT / "docs" / "measured" / "reliability.md"
    _, mark, by_hand = page.read_text(encoding="utf-8").partition(_BY_HAND) if page.exists() else ("",) * 3
    page.write_text(
        f"""# Reliability

Made by `scripts/reliability.py` on {datetime.now(UTC):%F}, commit {commit}, Python
{platform.python_version()}, {os.cpu_count()} cores, Linux {platform.release()}. Other processes were
busy on the host, so times are upper bounds.

## Load and faults

{_table("what", load)}

## Machines

Each row measures a small suite on the CPU, shows it and makes its page.

{_table("machine", tried)}
{mark}{by_hand}""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
