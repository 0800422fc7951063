"""Nsight Compute's CSV, timelines and the lines to run; the CSV is what one H200 really printed.

tests/data/h200_ncu_*.csv: fp16 GEMV, M = 1, cold, 8 calls; NVIDIA H200, driver 580.159.04,
torch 2.11.0+cu130, Nsight Compute with --clock-control none, 2026-11-20.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from quantroof.bench.crosscheck import ncu
from quantroof.bench.crosscheck.timeline import spans
from quantroof.cli.commands.profile import command
from quantroof.errors import QuantroofError, UsageError
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

    with pytest.raises(UsageError, match="no 3 equal calls"):
        ncu.per_call(found, calls=3)


def test_a_timeline_counts_overlap_once() -> None:
    """Two kernels of 12 and 3 us that overlap by 2 are a call of 13."""
    kernels = [(0.0, 12.0), (10.0, 13.0), (100.0, 112.0), (110.0, 114.0)]

    assert spans(kernels, calls=2) == [13.0, 14.0]


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
