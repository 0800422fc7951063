"""Imported attention, experts and all-reduces: how they are stored, and what lies between their sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from quantroof.advisor.check import Checker
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.layer_times import SMALL_REDUCE, AttentionKey, ExpertsKey, LayerTimes
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.model_lookup import model
from quantroof.advisor.points import Point, shipped_points
from quantroof.advisor.sources import machine_and_times
from quantroof.advisor.step import decode_step
from quantroof.cli.commands.advise import command as advise
from quantroof.cli.commands.import_ import command
from quantroof.cli.main import cli
from quantroof.errors import UsageError
from quantroof.files import require
from quantroof.kernels.attention.case import Attention
from quantroof.records.directory import read_run

ATTENTION = """attn_dtype, kv_cache_dtype, num_heads, num_key_value_heads, head_dim, window_size, batch_size,
    isl, step, kernel_source, latency"""
EXPERTS = """moe_dtype, num_tokens, hidden_size, inter_size, topk, num_experts, moe_tp_size, moe_ep_size,
    distribution, kernel_source, latency"""
ROUTED = ((1, 1, "power_law_1.2", 0.4), (16, 1, "power_law_1.2", 1.2), (1, 2, "power_law_1.2", 0.1),
          (1, 1, "balanced", 0.2))  # fmt: skip
BF16 = "'bfloat16', 'bfloat16'"


def _attention_ms(batch: int, context: int) -> float:
    return 0.010 + batch * context * 4096 / 2.5e9


# Kind, name, columns and rows of TensorRT-LLM's tables on an H100. Times are milliseconds.
TABLES = (
    (
        "gemm", "gemm", "gemm_dtype, kernel_source, m, n, k, latency",
        [f"('fp8', 'cublas', {m}, {n}, {k}, {0.010 + n * k / 3e9})"
         for m in (1, 64) for n in (4096, 16384) for k in (4096, 16384)],
    ),
    (
        "quantize", "computescale", "quant_dtype, m, k, latency",
        [f"('fp8', {m}, {k}, 0.004)" for m in (1, 64) for k in (4096, 16384)],
    ),
    (
        "attention", "generation_attention", ATTENTION,
        [f"({BF16}, 32, 8, 128, 0, {b}, 1, {c - 1}, 'fmha', {_attention_ms(b, c)})"
         for b in (1, 16) for c in (1024, 4096)]
        + [f"({BF16}, 32, 8, 128, 128, 1, 1, 1023, 'fmha', 0.002)"],
    ),
    (
        "moe", "moe", EXPERTS,
        [f"('bfloat16', {t}, 4096, 14336, 2, 8, 1, {ep}, '{d}', 'cutlass', {ms})" for t, ep, d, ms in ROUTED],
    ),
    (
        "comm", "custom_allreduce", "kernel_source, num_gpus, message_size, latency",
        ["('TRTLLM', 2, 4096, 0.006)", "('TRTLLM', 2, 1048576, 0.020)", "('eager', 2, 4096, 0.060)"],
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that these tables become."""
    root = tmp_path_factory.mktemp("checkout")
    duckdb = require("duckdb", "the test", "store")
    for kind, name, columns, rows in TABLES:
        folder = root / "systems" / "data" / "h100_sxm" / kind / "trtllm" / "1.3.0rc20"
        folder.mkdir(parents=True)
        file = folder / f"{name}_perf.parquet"
        values = f"select * from (values {', '.join(rows)}) t({columns})"
        duckdb.sql(f"copy ({values}) to '{file}' (format parquet)")
    directory = root / "run"
    arguments = ["aiconfigurator", "--from", str(root), "--system", "h100_sxm", "--out", str(directory)]
    ran = CliRunner().invoke(command, arguments)
    assert ran.exit_code == 0, ran.output
    return directory


def test_every_kind_becomes_lines_of_the_run(out: Path) -> None:
    """Windows, other routings, expert parallelism and eager all-reduces are left out."""
    run = read_run(out, imported=True)
    cases = [line.case for line in run.measurements]

    assert sum(case.startswith("decode_attention/") for case in cases) == 4
    assert [case for case in cases if case.startswith("call/")] == [
        f"call/experts-bf16/bf16/tokens={t},hidden=4096,width=14336,per_token=2,experts=8,ways=1"
        for t in (1, 16)
    ]
    assert {line.status for line in run.measurements} == {"imported"}
    assert [(c.name, c.bytes_moved, c.status) for c in run.ceilings] == [
        ("all_reduce/cuda:0+cuda:1", 8192, "imported"),
        ("all_reduce/cuda:0+cuda:1", 2097152, "imported"),
    ]


def test_static_scales_are_dynamic_ones_less_the_kernel_that_computes_them(out: Path) -> None:
    """A row of fp8 with 4 us of it for the scales is a row of static fp8 that is 4 us shorter."""
    _, table = machine_and_times(None, out)
    dynamic, static = (table.points[name][16384, 16384][0] for name in ("fp8-w8a8", "fp8-w8a8-static"))

    assert static.seconds == pytest.approx(dynamic.seconds - 4e-6)


def test_a_step_takes_attention_and_all_reduces_from_it(out: Path) -> None:
    """Llama-3.1-8B, 4 requests of 2048: log-linear between 1 and 16 of them, and 1024 and 4096 tokens."""
    machine, table = machine_and_times(None, out)
    timer, subject = Timer(machine, table, Assumptions()), model("llama-3.1-8b")
    corners = [_attention_ms(b, c) * 1e-3 for b in (1, 16) for c in (1024, 4096)]
    between = (corners[0] * corners[1] * corners[2] * corners[3]) ** 0.25

    one = decode_step(subject, choice("bf16"), kv_format("fp16"), batch=4, context=2048, ways=1, timer=timer)
    two = decode_step(subject, choice("bf16"), kv_format("fp16"), batch=1, context=2048, ways=2, timer=timer)

    assert one.part("attention").seconds == pytest.approx(32 * between)
    assert one.part("attention").source == "imported"
    assert two.part("attention").source == "modeled"  # 16 heads were not timed
    assert two.part("all-reduce").seconds == pytest.approx(64 * 6e-6)  # 8 KiB and less: the smallest
    assert two.part("all-reduce").source == "imported"


def test_a_step_takes_experts_from_it(out: Path) -> None:
    """Mixtral-8x7B at 4 tokens: half-way between 1 and 16, in logarithms; two GPUs were not timed."""
    machine, table = machine_and_times(None, out)
    timer, subject = Timer(machine, table, Assumptions()), model("mixtral-8x7b-v0.1")

    def experts(ways: int) -> tuple[float, str]:
        step = decode_step(
            subject, choice("bf16"), kv_format("fp16"), batch=4, context=512, ways=ways, timer=timer
        )
        part = step.part("linear experts")
        return part.seconds, part.source

    seconds, source = experts(1)
    assert seconds == pytest.approx(32 * (0.4e-3 * 1.2e-3) ** 0.5)
    assert source == "imported"
    assert experts(2)[1] == "modeled"


def test_published_points_are_checked_with_it(out: Path) -> None:
    """`--check --run` judges the points of the run's GPU with its times, and refuses a file without any."""
    ran = CliRunner().invoke(advise, ["--check", "--run", str(out), "--json"])

    assert ran.exit_code == 0, ran.output
    machine, table = machine_and_times(None, out)
    refused = Checker(machine=machine, table=table).check([_point("b200")])[1]
    assert refused[0].reason == "the run is of h100-sxm5-80gb, not of b200"


def _point(gpu: str) -> Point:
    return next(point for point in shipped_points() if point.gpu == gpu)


@pytest.mark.parametrize(("payload", "timed"), [(SMALL_REDUCE, True), (SMALL_REDUCE + 1, False)])
def test_the_smallest_all_reduce_stands_for_smaller_ones(payload: int, timed: bool) -> None:
    """Below the smallest size the smallest time counts only if bytes do not decide it."""
    times = LayerTimes(reduces={2: [KernelTime(payload, 1e-5, 1e-5, 1e-5, "nccl")]})

    assert (times.reduce_time(2, 1024) is not None) == timed
    assert times.reduce_time(4, 1 << 30) is None
    beyond = times.reduce_time(2, 2 * payload)
    assert beyond is not None
    assert beyond.seconds == pytest.approx(2e-5)


def test_what_was_not_timed_has_no_time() -> None:
    """Other heads, another cache, and another cut of the experts."""
    heads = Attention(32, 8, 128, 128)
    point = KernelTime(1024, 1e-5, 9e-6, 1.1e-5, "fmha")
    key = ExpertsKey("bf16", 4096, 14336, 2, 8, 1)
    times = LayerTimes({AttentionKey("bf16-kv", heads): {1: [point]}}, {key: [point]})

    assert times.attention_time(AttentionKey("fp8-kv", heads), 1, 1024) is None
    assert times.experts_time(key._replace(ways=2), 1024) is None
    twice = times.attention_time(AttentionKey("bf16-kv", heads), 2, 2048)
    assert twice is not None  # in proportion beyond the largest
    assert twice.seconds == pytest.approx(4e-5)
    assert twice.low == pytest.approx(3.6e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "RUN"),
        ("report", "RUN", "--to", "md", "--out", "-"),
        ("report", "RUN", "--out", "PAGE"),
        ("advise", "--model", "llama-3.1-8b", "--run", "RUN"),
        ("advise", "--model", "llama-3.1-8b", "--run", "RUN", "--json"),
        ("advise", "--model", "llama-3.1-8b", "--run", "RUN", "--markdown"),
    ],
)
def test_every_output_says_imported(out: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Whatever reads a run with imported layers, attention, experts and all-reduces names it so."""
    page = tmp_path / "page.html"
    ran = CliRunner().invoke(cli, [{"RUN": str(out), "PAGE": str(page)}.get(a, a) for a in arguments])

    assert ran.exit_code == 0, ran.output
    assert "IMPORTED NVIDIA H100" in (page.read_text() if page.exists() else ran.output)


@pytest.mark.parametrize(
    "arguments", [("export", "RUN", "--to", "csv", "--out", "-"), ("compare", "RUN", "RUN")]
)
def test_nothing_else_reads_it(out: Path, arguments: tuple[str, ...]) -> None:
    """An export or a comparison of imported times is refused in one line."""
    with pytest.raises(UsageError, match="times that others measured"):
        CliRunner().invoke(cli, [{"RUN": str(out)}.get(a, a) for a in arguments], catch_exceptions=False)
