"""Links from nccl-tests and nvbandwidth, kernel times from CSV files, nvbench and mamf-finder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quantroof.advisor.imports import mamf
from quantroof.advisor.imports.nccl_tests import read
from quantroof.advisor.sources import machine_and_times
from quantroof.cli.commands.import_ import command
from quantroof.errors import UsageError
from quantroof.records.directory import read_run

# json_output.cpp of nvbandwidth: cells are text, and a GPU has no copy to itself.
NVBANDWIDTH = """{"nvbandwidth": {"CUDA Runtime Version": 13000, "git_version": "v0.8",
"testcases": [
 {"name": "host_to_device_memcpy_ce", "status": "Passed", "bandwidth_matrix": [["55.1", "55.3"]]},
 {"name": "device_to_device_memcpy_read_ce", "status": "Passed",
  "bandwidth_description": "memcpy CE GPU(row) -> GPU(column) bandwidth (GB/s)",
  "bandwidth_matrix": [["N/A", "391.2", "388.0"], ["392.6", "N/A", "120.5"], ["391.0", "391.9", "N/A"]]},
 {"name": "device_to_device_memcpy_write_sm", "status": "Error"}]}}"""
# json_printer.cu of nvbench: numbers of summaries are text in newer versions.
NVBENCH = """{"meta": {"argv": ["bench"]}, "devices": [{"id": 0, "name": "NVIDIA H100"}], "benchmarks": [
 {"name": "gemm", "axes": [], "states": [
  {"name": "a", "is_skipped": false,
   "axis_values": [{"name": "M", "type": "int64", "value": "1"},
    {"name": "N", "type": "int64", "value": 4096}, {"name": "K", "type": "int64", "value": "4096"},
    {"name": "T", "type": "string", "value": "bf16"}],
   "summaries": [
    {"tag": "nv/cold/time/gpu/mean", "data": [{"name": "value", "type": "float64", "value": "1.3e-05"}]},
    {"tag": "nv/cold/sample_size", "data": [{"name": "value", "type": "int64", "value": "100"}]}]},
  {"name": "b", "is_skipped": true, "skip_reason": "too large", "axis_values": null, "summaries": null},
  {"name": "c", "axis_values": [{"name": "M", "value": "2"}, {"name": "N", "value": "4096"},
    {"name": "K", "value": "4096"}, {"name": "T", "value": "bf16"}], "summaries": []}]}]}"""
NVBENCH_COLUMNS = """\
schema = "quantroof-columns/1"
source = "a benchmark of nvbench"
license = "Apache-2.0"
framework = "nvbench 0.3"
rule = "cold"
time = "nv/cold/time/gpu/mean"
unit = "s"
m = "M"
n = "N"
k = "K"
format = "column:T"
kernel = "column:benchmark"
"""
MAMF = """
** Dtype: torch.bfloat16

     1 |  626.2(mean)  629.4(median)  662.0(max) @ 1024x2048x4096       | best:  626.2(mean)  629.4(median)
     2 |  763.0(mean)  762.8(median)  776.2(max) @ 1024x2048x13312      | best:  763.0(mean)  762.8(median)
     3 | 1263.0(mean) 1262.8(median) 1276.2(max) @ 1024x2048x13312      | best:  763.0(mean)  762.8(median)
"""
DATA = Path(__file__).parent.parent / "data"
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


def _import(tmp_path: Path, tool: str, text: str, *options: str) -> tuple[Result, Path]:
    file, out = tmp_path / "file", tmp_path / "run"
    file.write_text(text)
    arguments = [tool, str(file), "--gpu", "h100-sxm5-80gb", "--out", str(out), *options]
    return CliRunner().invoke(command, arguments), out


def test_the_slowest_copy_is_the_link(tmp_path: Path) -> None:
    """GPU 2 gets 120.5 GB/s from GPU 1: and bounds a ring over the three. Host copies do not count."""
    ran, out = _import(tmp_path, "nvbandwidth", NVBANDWIDTH)
    link = machine_and_times(None, out)[0].link

    assert ran.output.startswith("2 copies between GPUs of h100-sxm5-80gb, by nvbandwidth")
    assert link is not None
    assert link.bytes_per_s == pytest.approx(120.5e9)
    assert not link.from_catalog


def test_a_state_of_nvbench_is_a_cold_kernel_time(tmp_path: Path) -> None:
    """13 us of gemm; one state was skipped, one has no time. A flush of the cache makes it cold."""
    columns = tmp_path / "columns.toml"
    columns.write_text(NVBENCH_COLUMNS)
    ran, out = _import(tmp_path, "nvbench", NVBENCH, "--columns", str(columns))
    line = read_run(out, imported=True).measurements[0]

    assert ran.output.count("set aside, 1:") == 2
    assert (line.kernel, line.status) == ("gemm", "imported")
    assert line.timing is not None
    assert (line.timing.samples_ns, line.timing.cache) == ((13000.0,), "cold")


def test_a_log_of_mamf_finder_is_a_ceiling_and_rows(tmp_path: Path) -> None:
    """The best possible shape is the matrix rate that advice counts with; 1263 TFLOP/s are beyond an H100."""
    ran, out = _import(tmp_path, "mamf-finder", MAMF.replace("1262.8", "762.0"))
    machine, table = machine_and_times(None, out)

    assert ran.output.startswith("1 matrix ceilings of h100-sxm5-80gb, by mamf-finder")
    assert machine.matrix["bf16"].value == pytest.approx(762.8e12)
    assert machine.matrix["bf16"].basis == "measured"
    assert table.points["bf16"][2048, 4096][0].seconds == pytest.approx(2 * 1024 * 2048 * 4096 / 629.4e12)


def test_a_real_log_of_mamf_finder_is_read_whole() -> None:
    """24 shapes of an H200 in fp8: the best median is that of its own last line."""
    log = mamf.read((DATA / "h200_mamf_fp8.txt").read_text(), Path("log"))
    rates = [row.case.flops / row.seconds / 1e12 for row in log.rows]

    assert len(rates) == 24
    assert max(rates) == pytest.approx(1418.6, abs=0.1)


@pytest.mark.parametrize(
    ("tool", "text", "complaint"),
    [
        ("nvbandwidth", "{}", "is not a result of nvbandwidth"),
        (
            "nvbandwidth",
            NVBANDWIDTH.replace("device_to_device_memcpy_read_ce", "x"),
            "no copies between GPUs",
        ),
        ("nvbandwidth", "hello", "is not a result of nvbandwidth"),
        ("nvbench", "{}", "is not a result of nvbench"),
        ("nvbench", NVBENCH.replace("nv/cold", "nv/hot"), "has no column 'nv/cold/time/gpu/mean'"),
        ("mamf-finder", "hello", "names no dtype"),
        ("mamf-finder", MAMF.replace("bfloat16", "float4"), "is of the dtype float4"),
        ("mamf-finder", "** Dtype: torch.bfloat16", "holds no rows"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, tool: str, text: str, complaint: str) -> None:
    """Each names what the file should be."""
    columns = tmp_path / "columns.toml"
    columns.write_text(NVBENCH_COLUMNS)
    ran, _ = _import(tmp_path, tool, text, *(["--columns", str(columns)] if tool == "nvbench" else []))

    assert isinstance(ran.exception, UsageError)
    assert complaint in str(ran.exception)
