"""Nsight Compute's CSV, timelines and the lines to run; the CSV is what one H200 really printed.

tests/data/h200_ncu_*.csv: fp16 GEMV, M = 1, cold, 8 calls; NVIDIA H200, driver 580.159.04,
torch 2.11.0+cu130, Nsight Compute with --clock-control none, 2026-11-20.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from quantroof.bench.crosscheck import compare, ncu
from quantroof.bench.crosscheck.compare import cross_check, round_robin
from quantroof.bench.crosscheck.single import Spans, spans
from quantroof.cli.commands.profile import command
from quantroof.errors import EnvironmentMissing, QuantroofError, UsageError
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from tests.builders import write
from tests.runs import cpu_run, gpu_run

DATA = Path(__file__).parent.parent / "data"


def test_one_kernel_a_call_reads_as_its_counter_time_and_bytes() -> None:
    """14336 x 4096: 30.7 us, and the bytes we count within 2 % of what DRAM delivered."""
    counted = ncu.per_call(ncu.launches((DATA / "h200_ncu_gemv_14336x4096.csv").read_text()), calls=8)
    case = Case.linear(SCHEMES["fp16"], 1, 14336, 4096)

    assert counted.kernels == 1
    assert counted.time_ns == pytest.approx(30_700, rel=0.02)
    assert counted.dram_bytes is not None
    assert case.bytes_moved == pytest.approx(counted.dram_bytes, rel=0.02)


def test_a_split_k_call_is_two_kernels() -> None:
    """4096 x 4096: cuBLAS splits K and reduces, 12.2 + 3.2 us as a sum that overlaps in truth."""
    counted = ncu.per_call(ncu.launches((DATA / "h200_ncu_gemv_4096x4096.csv").read_text()), calls=8)

    assert counted.kernels == 2
    assert counted.time_ns == pytest.approx(15_400, rel=0.05)


def test_a_refusal_is_passed_on() -> None:
    """Without permission ncu prints an error and no table."""
    text = "==PROF== Connected\n==ERROR== ERR_NVGPUCTRPERM - The user does not have permission\n"

    with pytest.raises(UsageError, match="ERR_NVGPUCTRPERM"):
        ncu.launches(text)


def test_launches_that_are_no_equal_calls_are_refused() -> None:
    """A stray kernel in the range would shift every group."""
    found = ncu.launches((DATA / "h200_ncu_gemv_14336x4096.csv").read_text())

    with pytest.raises(UsageError, match="divide into 3 equal calls"):
        ncu.per_call(found, calls=3)


def test_a_timeline_counts_overlap_once() -> None:
    """Two kernels of 12 and 3 us that overlap by 2 are a call of 13."""
    kernels = [(0.0, 12.0), (10.0, 13.0), (100.0, 112.0), (110.0, 114.0)]

    assert spans(kernels, calls=2) == Spans([13.0, 14.0], kernels=2)


def test_profile_prints_the_line_of_a_case(tmp_path: Path) -> None:
    """--print-only needs no GPU: it prints a line that can be run on the node."""
    write(gpu_run(), tmp_path / "run")
    done = CliRunner().invoke(
        command, [str(tmp_path / "run"), "--case", "gemv/bf16*", "--print-only", "--limit", "1"]
    )

    assert done.exit_code == 0, done.output
    assert done.output.startswith("ncu --clock-control none --cache-control none --nvtx")
    assert "quantroof.bench.crosscheck.single gemv/bf16" in done.output


@pytest.mark.parametrize(
    ("make", "pattern", "words"),
    [(cpu_run, "*", "this run has none"), (gpu_run, "gemm/nothing*", "no timed case matches")],
)
def test_profile_refuses_in_one_line(tmp_path: Path, make: object, pattern: str, words: str) -> None:
    """A run without a GPU, and a pattern that matches nothing."""
    assert callable(make)
    write(make(), tmp_path / "run")
    done = CliRunner().invoke(command, [str(tmp_path / "run"), "--case", pattern])

    assert isinstance(done.exception, QuantroofError)
    assert words in str(done.exception)


def _ncu(folder: Path, *, complaint: str = "", hang_after: int = 99) -> None:
    """A stand-in for Nsight Compute: answers every case with the launches that a real one counted."""
    table = (DATA / "h200_ncu_gemv_14336x4096.csv").read_text().splitlines()
    start = next(i for i, row in enumerate(table) if row.startswith('"ID"'))
    (folder / "table.json").write_text(json.dumps(table[start:]))
    script = folder / "ncu"
    script.write_text(
        f"""#!{sys.executable}
import csv, io, json, subprocess, sys, time
if {complaint!r}:
    sys.exit(print({complaint!r}))
rows = list(csv.DictReader(json.load(open({str(folder / "table.json")!r}))))
rows = [row for row in rows if row["Metric Name"] in sys.argv[sys.argv.index("--metrics") + 1].split(",")]
first = sys.argv.index("quantroof.bench.crosscheck.single") + 1
cases = (sys.argv.index("--index") - first) // 2
out, place = csv.DictWriter(sys.stdout, rows[0].keys(), quoting=csv.QUOTE_ALL), 0
out.writeheader()
calls = list(dict.fromkeys(row["ID"] for row in rows))
calls += calls[: 10 - len(calls)]
for case in range(cases):
    if case == {hang_after}:
        sys.stdout.flush()
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(folder / "child")!r}, "w").write(str(child.pid))
        time.sleep(600)
    for number, call in enumerate([calls[0], *calls]):
        name = {{}} if number else {{"Kernel Name": "at::cuda::<unnamed>::spin_kernel(long)"}}
        for row in rows:
            if row["ID"] == call:
                out.writerow(row | name | {{"ID": place}})
        place += 1
"""
    )
    script.chmod(0o755)


def test_all_cases_are_counted_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A marker kernel tells the cases apart: starting CUDA under the profiler takes longer than a case."""
    _ncu(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = [m for m in gpu_run().measurements if m.timing is not None][:3]
    found = cross_check(lines, 0)

    assert [a.case for a in found] == [line.case for line in lines]
    assert all(a.witness == "counters" and a.kernels == 1 for a in found)
    assert all(a.witness_ns == pytest.approx(30_700, rel=0.02) for a in found)


def _ends(pid: int, within_s: float) -> bool:
    """Whether a process that was killed is gone soon: the kernel ends it at its own time."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_witness_out_of_time_keeps_what_it_counted_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ncu hangs at its third case: the first is kept, the second may lack calls, and its child is gone."""
    _ncu(tmp_path, hang_after=2)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = [m for m in gpu_run().measurements if m.timing is not None][:4]
    agreements = cross_check(lines, 0, limit_s=8.0)
    child = int((tmp_path / "child").read_text())

    assert [a.case for a in agreements] == [lines[0].case]
    assert _ends(child, within_s=5.0)


def test_every_kernel_is_checked_before_any_twice() -> None:
    """The smallest M first, and there the largest layer."""
    cases = [
        ("gemm/bf16-bf16-bf16/m2048-n4096-k4096", "a"),
        ("gemv/bf16-bf16-bf16/m1-n1024-k4096", "a"),
        ("gemv/bf16-bf16-bf16/m1-n4096-k4096", "a"),
        ("gemv/int4.g128-bf16-bf16/m1-n4096-k4096", "b"),
        ("gemm/int8.channel-int8.token-bf16/m2048-n4096-k4096", "c"),
    ]
    template = next(m for m in gpu_run().measurements if m.timing is not None)
    lines = [
        replace(template, case=case, kernel=kernel, bytes_moved=Case.parse(case).bytes_moved)
        for case, kernel in cases
    ]
    order = [(line.kernel, line.case) for line in round_robin(lines)]

    assert [kernel for kernel, _ in order] == ["a", "b", "c", "a", "a"]
    assert order[0][1] == "gemv/bf16-bf16-bf16/m1-n4096-k4096"
    assert order[-1][1] == "gemm/bf16-bf16-bf16/m2048-n4096-k4096"


def test_counters_that_are_refused_are_the_environments_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without permission: one line, exit code 3, and the timeline is still there to be asked."""
    _ncu(tmp_path, complaint="==ERROR== ERR_NVGPUCTRPERM - The user does not have permission")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentMissing) as caught:
        cross_check([m for m in gpu_run().measurements if m.timing is not None][:1], 0)
    assert "ERR_NVGPUCTRPERM" in str(caught.value.hint)


def test_the_timeline_needs_no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is the witness; a case it could not run is left out."""
    answer = json.dumps({"cases": [{"spans_ns": [9.0, 10.0, 11.0], "kernels": 2}, None]})
    monkeypatch.setattr(compare, "_run", lambda *_: (f"noise\n{answer}\n", True))
    lines = [m for m in gpu_run().measurements if m.timing is not None][:2]
    (agreement,) = cross_check(lines, 0, timeline=True)

    assert (agreement.witness, agreement.witness_ns, agreement.kernels) == ("timeline", 10.0, 2)
    assert agreement.bytes_difference is None


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    """A factor of a thousand must not pass for agreement."""
    text = (DATA / "h200_ncu_gemv_14336x4096.csv").read_text()
    broken = (
        text.replace('"us"', '"fortnight"').replace('"usecond"', '"fortnight"').replace('"ns"', '"fortnight"')
    )

    with pytest.raises(UsageError, match="fortnight"):
        ncu.launches(broken)
