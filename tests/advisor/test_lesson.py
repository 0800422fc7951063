"""The lesson's arithmetic: each test quotes a claim, and holds it or contradicts it with the reason."""

from __future__ import annotations

import pytest

from quantroof.advisor.caveats import cannot_run
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.cost import stated_price, usd_per_million_tokens, usd_per_month
from quantroof.advisor.crossover import ridge_batch
from quantroof.advisor.layers import total_parameters
from quantroof.advisor.machine import Machine, from_profile
from quantroof.advisor.memory import Reserve, memory_fit, weight_bytes
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import decode_step
from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.catalog import profile
from quantroof.kernels.formats import Format
from tests.advisor.machines import A100, H100, H200, timer

LLAMA = model("llama-3.1-70b")
FP16 = kv_format("fp16")


@pytest.mark.parametrize(
    ("element", "gigabytes", "milliseconds"),
    [("fp32", 280, 140), ("fp16", 140, 70), ("int8", 70, 35), ("int4", 35, 17.5)],
)
def test_bandwidth_table_holds_for_bare_elements(element: str, gigabytes: float, milliseconds: float) -> None:
    """'280 GB 140 ms, 140 GB 70 ms, 70 GB 35 ms, 35 GB 17.5 ms' for 70B at 2 TB/s: right."""
    stored = Format.parse(element).storage_bytes(70_000, 1_000_000)

    assert gigabytes * 1e9 == stored
    assert milliseconds / 1e3 == pytest.approx(stored / A100.bandwidth.value)


def test_fp16_does_not_fit_one_a100() -> None:
    """'FP16 on a single A100 80GB is impossible - the model alone takes 140 GB': right, 141.1."""
    assert total_parameters(LLAMA) == 70_553_706_496
    assert weight_bytes(LLAMA, choice("fp16")) == pytest.approx(141.1e9, rel=1e-3)
    assert memory_fit(LLAMA, choice("fp16"), FP16, 4096, A100.memory_bytes, 1, Reserve()).sequences == 0


def test_two_a100_hold_fp16_weights_but_serve_nobody() -> None:
    """'You need at least two A100s': the weights fit in 160 GB, but 0.9 of that has no room for a cache."""
    memory = memory_fit(LLAMA, choice("fp16"), FP16, 4096, A100.memory_bytes, 2, Reserve())

    assert 2 * memory.weights < 2 * A100.memory_bytes
    assert memory.sequences == 0


def test_int8_on_one_a100_has_no_room_for_a_cache() -> None:
    """'INT8 would cut the model to 70 GB - fitting on a single A100 80GB with room for KV cache': wrong.

    With a 16-bit embedding and head it is 72.7 GB, and 0.9 x 80 GB are 72.
    """
    memory = memory_fit(LLAMA, choice("int8-w8a16"), FP16, 4096, A100.memory_bytes, 1, Reserve())

    assert memory.weights == pytest.approx(72.7e9, rel=1e-3)
    assert memory.left_for_kv < 0


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("nf4-w4a16", 42.7), ("int4-w4a16", 39.5), ("int8-w8a16", 72.7)]
)
def test_four_bit_weights_are_more_than_half_a_byte(name: str, gigabytes: float) -> None:
    """'INT4/NF4 0.5 bytes per weight, 35 GB': wrong. Scales and a 16-bit head are stored too."""
    assert weight_bytes(LLAMA, choice(name)) == pytest.approx(gigabytes * 1e9, rel=2e-3)


@pytest.mark.parametrize(("name", "gpus", "milliseconds"), [("fp16", 2, 34.9), ("int8-w8a16", 2, 17.9)])
def test_180_ms_a_token_is_no_physics(name: str, gpus: int, milliseconds: float) -> None:
    """'180ms per output token on two A100s ... the physics do not cooperate': wrong by five times.

    Two A100 read 69.5e9 weights (the embedding is a row gather) and 0.67 GB of cache in 35 ms; batching 21
    sequences adds 13 GB of cache and stays below 50 ms.
    """
    one = decode_step(LLAMA, choice(name), FP16, batch=1, context=2048, ways=gpus, timer=timer(A100)).total
    many = decode_step(LLAMA, choice(name), FP16, batch=21, context=2048, ways=gpus, timer=timer(A100)).total

    assert one.floor is not None
    assert many.floor is not None
    assert one.floor * 1e3 == pytest.approx(milliseconds, rel=0.01)
    assert many.floor < 0.050


def test_a100_int8_to_h100_fp8() -> None:
    """'1.68x bandwidth, 3.2x compute' from A100 INT8 to H100 FP8: 1.64 from 2039 GB/s, and 1979/624."""
    a100, h100 = (from_profile(profile(name)) for name in ("a100-sxm4-80gb", "h100-sxm5-80gb"))

    assert h100.bandwidth.value / a100.bandwidth.value == pytest.approx(1.64, abs=0.01)
    assert h100.matrix["fp8_e4m3"].value / a100.matrix["int8"].value == pytest.approx(3.2, abs=0.05)


def test_two_a100_int8_against_one_a100_with_four_bits() -> None:
    """'2x A100 INT8 vs 1x A100 NF4, KV room 90 GB vs 45 GB': right in direction, 68 and 31 GB in fact.

    Double-quantized NF4 stores 4.127 bits a weight and int4 in groups of 128 stores 4.125: 50 sequences of
    4096 tokens against 22. Single-quantized NF4 (4.5 bits) leaves 20.
    """
    two = memory_fit(LLAMA, choice("int8-w8a16"), FP16, 4096, A100.memory_bytes, 2, Reserve())
    one = memory_fit(LLAMA, choice("int4-w4a16"), FP16, 4096, A100.memory_bytes, 1, Reserve())
    plain = memory_fit(LLAMA, choice("nf4-w4a16"), FP16, 4096, A100.memory_bytes, 1, Reserve())

    assert [f.sequences for f in (two, one, plain)] == [50, 22, 20]
    assert 2 * two.left_for_kv == pytest.approx(68e9, rel=0.01)
    assert one.left_for_kv == pytest.approx(31e9, rel=0.01)


def test_two_a100_int8_is_nearly_four_times_one_a100_fp16() -> None:
    """'roughly 2x vs single A100 FP16' for 2x A100 INT8: wrong, half the bytes at twice the bandwidth.

    Not quite four, as the head stays in 16 bits.
    """
    one, two = (
        decode_step(LLAMA, choice(name), FP16, batch=1, context=2048, ways=ways, timer=timer(A100)).total
        for name, ways in (("fp16", 1), ("int8-w8a16", 2))
    )
    assert one.floor is not None
    assert two.floor is not None

    assert one.floor / two.floor == pytest.approx(3.92, abs=0.01)


@pytest.mark.parametrize(("flops", "moved"), [(1e9, 1e9), (1e15, 1e9)])
def test_int8_is_at_most_twice_as_fast_in_either_regime(flops: float, moved: float) -> None:
    """'2x on top of 2x, up to 4x': wrong. T = max(bytes / BW, operations / F), and each term halves, once."""
    bandwidth, fp16, int8 = A100.bandwidth.value, A100.matrix["fp16"].value, A100.matrix["int8"].value

    wide = roofline.attainable_seconds(flops, moved, fp16, bandwidth)
    narrow = roofline.attainable_seconds(flops, moved / 2, int8, bandwidth)

    assert wide / narrow == pytest.approx(2)


@pytest.mark.parametrize(
    ("machine", "name", "batch"),
    [
        (A100, "fp16", 156),
        (A100, "int8-w8a8", 156),
        (A100, "int4-w4a16", 40),
        (H100, "fp16", 295),
        (H100, "fp8-w8a8", 295),
        (H100, "int4-w4a16", 76),
        (H200, "bf16", 206),
    ],
)
def test_batch_from_which_compute_binds(machine: Machine, name: str, batch: float) -> None:
    """'batch 200+ for compute-bound': right for 16 bit on H100 and H200; int4 binds from 40 or 76."""
    scheme = choice(name)
    rate = machine.rate(scheme.compute.name)
    assert rate is not None
    bits = scheme.weight.bits_per_element(8192, 8192)

    assert ridge_batch(bits, rate.value, machine.bandwidth.value) == pytest.approx(batch, rel=0.01)


def test_fp8_on_a_100_saves_bytes_only() -> None:
    """'on A100, FP8 quantization only helps via the bandwidth path': right, and no fp8 product is offered."""
    refused = cannot_run(choice("fp8-w8a8"), A100)

    assert refused is not None
    assert "fp8-w8a16" in refused
    assert cannot_run(choice("fp8-w8a16"), A100) is None


def test_quantizing_weights_can_slow_large_batches() -> None:
    """'the only case where quantization hurts performance is accuracy': wrong for weight-only formats.

    Their products stay in bf16, so that a prefill gains nothing over bf16, while int8 W8A8 halves it.
    """
    times = {
        name: decode_step(LLAMA, choice(name), FP16, batch=4096, context=1, ways=1, timer=timer(A100)).part(
            "linear"
        )
        for name in ("bf16", "int4-w4a16", "int8-w8a8")
    }

    assert times["int4-w4a16"].seconds == pytest.approx(times["bf16"].seconds, rel=1e-6)
    assert times["int8-w8a8"].seconds < 0.55 * times["bf16"].seconds


def test_2400_dollars_a_month_is_a_price_of_1_64() -> None:
    """'$2,400 per month on two A100s at 10 million tokens per day' states no rate: it implies 1.644 $/h."""
    price = stated_price("a100", 1.644)

    assert usd_per_month(price, 2) == pytest.approx(2400, rel=1e-3)
    assert usd_per_million_tokens(price, 2, 10e6 / 86400) == pytest.approx(2400 / 10 / (730 / 24), rel=2e-3)
