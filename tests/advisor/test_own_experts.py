"""Routed experts and decode attention as a run of this node timed them."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.model_lookup import model
from quantroof.advisor.own_experts import SHORT_KERNELS, between_bytes, product_times, products_time
from quantroof.advisor.run_times import run_table
from quantroof.advisor.step import decode_step
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.attention.case import Attention
from quantroof.kernels.cases import AttentionCase, ExpertsCase
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.lines import Measurement
from tests.advisor.machines import H100
from tests.builders import gpu_device, info, measurement, run

MIXTRAL = model("mixtral-8x7b-v0.1")
UP, DOWN = (8, 2, 28672, 4096), (8, 2, 4096, 14336)


def _line(tokens: int, layer: tuple[int, int, int, int], us: float, routing: str = "uniform") -> Measurement:
    """A grouped product in bf16, twenty samples within 1 %."""
    case = ExpertsCase.of(SCHEMES["bf16"], tokens, layer, routing)
    line = measurement(gpu_device(), "bf16", 1, (4096, 4096), us * 1e3, provider="triton")
    return msgspec.structs.replace(line, case=case.id, flops=case.flops, bytes_moved=case.bytes_moved)


LINES = [
    *(_line(tokens, UP, us) for tokens, us in ((1, 200.0), (16, 800.0))),
    *(_line(tokens, DOWN, us) for tokens, us in ((1, 100.0), (16, 400.0))),
]


def _experts(table: TimingTable, tokens: int, scheme: str = "bf16") -> tuple[float, str]:
    timer = Timer(H100, table, Assumptions())
    step = decode_step(
        MIXTRAL, choice(scheme), kv_format("fp16"), batch=tokens, context=512, ways=1, timer=timer
    )
    part = step.part("linear experts")
    return part.seconds, part.source


def _short(tokens: int) -> float:
    """The short kernels of one layer by the model: they are not in the run."""
    up, down = (layer for layer in linear_layers(MIXTRAL) if layer.moe is not None)
    timer = Timer(H100, TimingTable(), Assumptions())
    moved = between_bytes(up, down, choice("bf16"), tokens, 1)
    return timer.short_kernels(SHORT_KERNELS, moved).seconds


def test_a_step_takes_experts_from_the_products_that_the_run_timed() -> None:
    """At 4 tokens both products are half-way between 1 and 16 in logarithms, in each of 32 layers."""
    table = run_table(run(info([gpu_device()]), LINES), gpu_device(), [])
    seconds, source = _experts(table, 4)
    assert seconds == pytest.approx(32 * (600e-6 + _short(4)), rel=0.01)
    assert source == "interpolated"
    assert _short(4) < 60e-6


@pytest.mark.parametrize("lines", [[], LINES[:2], LINES[2:]])
def test_experts_are_modeled_unless_both_products_were_timed(lines: list[Measurement]) -> None:
    """Nothing, gate and up alone, down alone."""
    table = run_table(run(info([gpu_device()]), lines), gpu_device(), [])
    assert _experts(table, 4)[1] == "modeled"


def test_products_of_another_format_or_cut_are_not_taken() -> None:
    """fp8 was not timed, and half of each expert neither."""
    times = product_times(LINES, "cuda:0")
    up, down = (layer for layer in linear_layers(MIXTRAL) if layer.moe is not None)
    assert products_time(times, up, down, choice("bf16"), 1, 1) is not None
    assert products_time(times, up, down, choice("fp8-w8a8"), 1, 1) is None
    assert products_time(times, up, down, choice("bf16"), 1, 2) is None


def test_the_fastest_kernel_and_uniform_routings_count() -> None:
    """A slower kernel and a power law of the same sizes change nothing; another device's lines neither."""
    slower = msgspec.structs.replace(_line(1, UP, 300.0), kernel="torch.grouped_mm", provider="torch")
    elsewhere = msgspec.structs.replace(_line(1, UP, 50.0), device="cuda:1")
    others = [slower, _line(1, UP, 50.0, "zipf1.0"), elsewhere]
    assert product_times([*LINES, *others], "cuda:0") == product_times(LINES, "cuda:0")


def _attention(batch: int, context: int, us: float, cache: str = "bf16-kv") -> Measurement:
    """Decode attention of Llama-3.1-8B's heads."""
    case = AttentionCase.of(cache, Attention(32, 8, 128, 128), batch, context)
    line = measurement(gpu_device(), "bf16", 1, (4096, 4096), us * 1e3, provider="triton")
    return msgspec.structs.replace(line, case=case.id, flops=case.flops, bytes_moved=case.bytes_moved)


@pytest.mark.parametrize(("cache", "source"), [("fp16", "interpolated"), ("fp8", "modeled")])
def test_a_step_takes_the_attention_that_the_run_timed(cache: str, source: str) -> None:
    """Between four timed corners the time is log-linear; a cache that the run did not time is modeled."""
    corners = ((1, 1024, 10.0), (1, 4096, 40.0), (16, 1024, 90.0), (16, 4096, 360.0))
    table = run_table(
        run(info([gpu_device()]), [_attention(*corner) for corner in corners]), gpu_device(), []
    )
    timer = Timer(H100, table, Assumptions())
    kv, subject = kv_format(cache), model("llama-3.1-8b")
    step = decode_step(subject, choice("bf16"), kv, batch=4, context=2048, ways=1, timer=timer)
    part = step.part("attention")
    assert part.source == source
    if source == "interpolated":
        assert part.seconds == pytest.approx(32 * 60e-6, rel=0.02)
