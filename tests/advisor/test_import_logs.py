"""Links from nccl-tests and kernel times from CSV files of other tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from quantroof.advisor.imports.nccl_tests import read
from quantroof.advisor.sources import machine_and_times
from quantroof.cli.commands.import_ import command
from quantroof.errors import UsageError

NCCL = """\
# nThread 1 nGpus 2 minBytes 16384 maxBytes 33554432 step: 4(factor) warmup iters: 5 iters: 20
# Using devices
#  Rank  0 Group  0 Pid   1234 on     node1 device  0 [0000:1b:00] NVIDIA H100 80GB HBM3
#  Rank  1 Group  0 Pid   1234 on     node1 device  1 [0000:43:00] NVIDIA H100 80GB HBM3
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw
       16384          8192  bfloat16     sum      -1     7.30    2.24    2.24      0     7.21    2.27
      262144        131072  bfloat16     sum      -1     8.80   29.79   29.79      0     8.75   29.96
    33554432      16777216  bfloat16     sum      -1    143.6  233.67  233.67    N/A    142.9  234.81
# Avg bus bandwidth    : 88.5
"""
COLUMNS = """\
schema = "quantroof-columns/1"
source = "a kernel benchmark"
license = "MIT"
framework = "triton 3.6"
rule = "do_bench"
time = "latency"
unit = "ms"
m = "M"
n = "N"
k = "K"
format = "column:dtype"
kernel = "column:provider"
copies = 8
[formats]
torch_bf16 = "bf16"
"""
CSV = """\
M,N,K,dtype,provider,latency
1,4096,4096,torch_bf16,mine,0.0130
16,4096,4096,torch_bf16,mine,0.0135
1,16384,16384,torch_bf16,mine,0.0500
1,4096,4096,fp5,mine,0.0130
1,4096,4096,torch_bf16,mine,soon
"""


def test_every_size_is_a_ceiling_of_the_link() -> None:
    """Bus bandwidth times time is what a link carries: 33.6 MB of two GPUs in 143.6 us."""
    small, _, large = read(NCCL, "log")

    assert large.name == "all_reduce/cuda:0+cuda:1"
    assert large.bytes_moved == pytest.approx(33554432, rel=1e-3)
    assert small.timing is not None
    assert small.timing.samples_ns[0] == pytest.approx(7300)


def test_advice_takes_rate_and_latency_from_it(tmp_path: Path) -> None:
    """The link of the run is 234 GB/s with 7.3 us, in place of the catalog's."""
    log, out = tmp_path / "all_reduce.txt", tmp_path / "run"
    log.write_text(NCCL)
    ran = CliRunner().invoke(command, ["nccl-tests", str(log), "--gpu", "h100-sxm5-80gb", "--out", str(out)])

    machine, _ = machine_and_times(None, out)

    assert ran.exit_code == 0, ran.output
    assert machine.link is not None
    assert machine.link.bytes_per_s == pytest.approx(233.67e9, rel=1e-3)
    assert machine.link.latency_s == pytest.approx(7.3e-6)
    assert not machine.link.from_catalog


@pytest.mark.parametrize(
    "text", ["", "hello\n", NCCL.replace("Rank  1", "Rank  0"), NCCL.split("     16384", maxsplit=1)[0]]
)
def test_other_text_is_refused_in_one_line(text: str) -> None:
    """No ranks, or no rows, is not the output of an all-reduce."""
    with pytest.raises(UsageError, match="log: "):
        read(text, "log")


def test_a_csv_is_read_by_its_columns(tmp_path: Path) -> None:
    """Two rows are kept; one lies above the roof, one has no format, one no time."""
    file, columns, out = tmp_path / "times.csv", tmp_path / "columns.toml", tmp_path / "run"
    file.write_text(CSV)
    columns.write_text(COLUMNS)
    arguments = ["csv", str(file), "--columns", str(columns), "--gpu", "h100-sxm5-80gb", "--out", str(out)]

    ran = CliRunner().invoke(command, arguments)
    _, table = machine_and_times(None, out)

    assert ran.exit_code == 0, ran.output
    assert "2 kernel times of h100-sxm5-80gb, imported" in ran.output
    assert ran.output.count("set aside, 1:") == 3
    assert [timed.m for timed in table.points["bf16"][4096, 4096]] == [1, 16]  # eight sets are cold
    assert table.imported == "triton 3.6, from a kernel benchmark (a file)"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('unit = "ms"', 'unit = "weeks"'),
        ("copies = 8", "copies = 0"),
        ('time = "latency"', 'time = "duration"'),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str) -> None:
    """A unit, a count and a column that there are not are refused with the file."""
    file, columns = tmp_path / "times.csv", tmp_path / "columns.toml"
    file.write_text(CSV)
    columns.write_text(COLUMNS.replace(old, new))
    out = str(tmp_path / "run")

    ran = CliRunner().invoke(
        command, ["csv", str(file), "--columns", str(columns), "--gpu", "h100-sxm5-80gb", "--out", out]
    )

    assert isinstance(ran.exception, UsageError)
