"""The one-page summary of an acceptance run, from a directory as the script leaves it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.builders import write
from tests.runs import gpu_run

TABLES = ("cases", "counters", "repeatability", "ceilings")
ROOT = Path(__file__).parent.parent.parent
_ONE = "--co tests/kernels/test_triton_gpu.py"  # the step is under test, not the collection of all tests
GEMV = "gemv/fp16-fp16-fp16/m1-n14336-k4096"
CASES = [
    {
        "case": GEMV,
        "kernels": 1,
        "ours_ns": 30_900,
        "witness_ns": 30_700,
        "counted_bytes": 117.44e6,
        "dram_bytes": 117.5e6,
    },
    {
        "case": GEMV,
        "kernels": 1,
        "ours_ns": 12_800,
        "witness_ns": 12_200,
        "counted_bytes": 33.55e6,
        "dram_bytes": 40.0e6,
    },
    {
        "case": GEMV,
        "kernels": 2,
        "ours_ns": 115_200,
        "witness_ns": 114_000,
        "counted_bytes": 470e6,
        "dram_bytes": None,
    },
]


def _summary(directory: Path) -> str:
    script = ROOT / "scripts" / "gpu_acceptance_summary.py"
    command = [sys.executable, str(script), str(directory)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}, timeout=60
    )
    return done.stdout


def test_every_promise_of_the_contract_gets_its_line(tmp_path: Path) -> None:
    """Long and short kernels, several kernels, bytes, repeatability, ceilings; what fails says so."""
    write(gpu_run(), tmp_path / "first")
    write(gpu_run(), tmp_path / "second")
    (tmp_path / "counters.out").write_text(json.dumps({"cases": CASES}))
    text = _summary(tmp_path)

    assert "- 1 of >= 20 us: median 0.65%, worst 0.65%: holds" in text
    assert "- 1 of 5-20 us: worst 0.60 us: holds" in text
    assert "against the timeline: worst 1.05%" in text
    assert "worst 16.12%: DOES NOT HOLD" in text
    assert "100% of" in text
    assert "GB/s" in text


@pytest.mark.parametrize(("m", "compared"), [(16, True), (17, False)])
def test_wide_products_are_not_held_against_counters(tmp_path: Path, m: int, compared: bool) -> None:
    """Their x and y are hot and their clock is capped: another time and other bytes are not a fault."""
    write(gpu_run(), tmp_path / "first")
    wide = CASES[0] | {
        "case": f"gemm/fp16-fp16-fp16/m{m}-n14336-k4096",
        "dram_bytes": 60e6,
        "ours_ns": 40_000,
    }
    (tmp_path / "counters.out").write_text(json.dumps({"cases": [wide]}))
    text = _summary(tmp_path)

    assert ("DOES NOT HOLD" in text.split("## Repeatability")[0].split("hardware counters")[1]) is compared
    assert ("1 of M > 16 are not compared" in text) is not compared


def test_without_counters_it_says_not_measured(tmp_path: Path) -> None:
    """Without permission for counters there is no result, and none is invented."""
    write(gpu_run(), tmp_path / "first")
    write(gpu_run(), tmp_path / "second")

    assert "not measured: neither counters nor a timeline here" in _summary(tmp_path)


def test_the_tables_stand_beside_the_page(tmp_path: Path) -> None:
    """Cases, counters, repeatability and ceilings, a row each, for whoever wants more than the page."""
    write(gpu_run(), tmp_path / "first")
    write(gpu_run(), tmp_path / "second")
    (tmp_path / "counters.out").write_text(json.dumps({"cases": CASES}))
    text = _summary(tmp_path)

    assert "beside its sampling" in text
    rows = {name: (tmp_path / f"{name}.tsv").read_text().splitlines() for name in TABLES}
    assert len(rows["counters"]) == 1 + len(CASES)
    assert len(rows["cases"]) == 1 + len(gpu_run().measurements)
    assert rows["ceilings"][0].startswith("device\tquantity\tname")
    assert len(rows["repeatability"]) > 1


def test_an_empty_directory_still_gets_its_page(tmp_path: Path) -> None:
    """Where the suite did not even start, the page says so and where to look."""
    text = _summary(tmp_path)

    assert "The suite wrote no run: see suite.log" in text
    assert text.count("not measured") >= 3


def test_the_page_has_at_most_sixty_lines_and_ends_in_a_verdict(tmp_path: Path) -> None:
    """However many kernels failed."""
    run = gpu_run()
    failed = [replace(m, status="failed", reason="no", timing=None) for m in run.measurements] * 40
    run.measurements[:] = failed
    write(run, tmp_path / "first")
    lines = _summary(tmp_path).strip().splitlines()

    assert len(lines) <= 60
    assert lines[-1] == "VERDICT: undecided, nothing was measured"
