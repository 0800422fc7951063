"""What a step asks a timer for, part by part, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.advisor import bands
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.estimate import Estimate, Source
from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.kernel_costs import Cost
from quantroof.advisor.layer_times import AttentionKey, LayerTimes
from quantroof.advisor.linear_time import Assumptions, Timer, Work
from quantroof.advisor.memory import kv_bytes, kv_read_bytes
from quantroof.advisor.models import Model, Moe, Recurrent, SparseIndex
from quantroof.advisor.steady_load import _with_prompts, steady_load
from quantroof.advisor.step import Part, Step, decode_step, prefill
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.attention.case import Attention
from tests.advisor.machines import H100, timer
from tests.advisor.test_sizes_by_hand import EXPERTS, LATENT, TINY

BF16, KV16 = choice("bf16"), kv_format("fp16")
WINDOWED = replace(TINY, full_layers=2, window=10)
CPU = replace(H100, is_gpu=False, capability=None)
Asked = list[tuple[str, str, Work]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is modeled: operation, format and work."""
    seen: Asked = []
    modeled = Timer.modeled

    def noted(self: Timer, operation: Any, name: str, work: Work) -> Estimate:
        if "attention" in operation:
            seen.append((operation, name, work))
        return modeled(self, operation, name, work)

    monkeypatch.setattr(Timer, "modeled", noted)
    return seen


def _decoded(
    model: Model,
    *,
    batch: int = 3,
    context: int = 100,
    ways: int = 1,
    kv: str = "fp16",
    at: Timer | None = None,
) -> Step:
    return decode_step(
        model,
        BF16,
        kv_format(kv),
        batch=batch,
        context=context,
        ways=ways,
        timer=at or timer(H100, Assumptions()),
    )


@pytest.mark.parametrize(
    ("kv", "cache"), [("fp16", "fp16"), ("fp8", "fp8"), ("int8", "fp8"), ("int4", "fp8")]
)
@pytest.mark.parametrize("ways", [1, 2])
def test_decoding_attends_once_per_head_and_token(asked: Asked, kv: str, cache: str, ways: int) -> None:
    """Four operations per number of a query: three sequences of 100 tokens, eight heads of 16."""
    _decoded(TINY, ways=ways, kv=kv)
    ((operation, name, work),) = asked

    assert (operation, name, work.element) == ("decode-attention", cache, "bf16")
    assert work.flops == 100 * 3 * 4 * 8 * 16 / ways
    assert work.bytes_moved == pytest.approx(kv_read_bytes(TINY, kv_format(kv), 100, ways) * 3 / 6)


def test_a_latent_cache_is_attended_to_by_its_own_kernel(asked: Asked) -> None:
    """Two operations for scores of the whole latent and for sums over its rank, for each of eight heads."""
    _decoded(replace(TINY, mla=LATENT))
    ((operation, _, work),) = asked

    assert operation == "latent-attention"
    assert work.flops == 100 * 3 * 2 * 8 * ((24 + 8) + 24)


def test_windowed_layers_count_as_layers_of_attention(asked: Asked) -> None:
    """Two layers of 100 tokens and four of 10 are six kernels; recurrent layers are none."""
    _decoded(WINDOWED)
    _decoded(replace(TINY, full_layers=2, recurrent=Recurrent(layers=4, inputs=112, inner=48, state=1000)))

    assert asked[0][2].flops == (2 * 100 + 4 * 10) / 6 * 3 * 4 * 8 * 16
    assert asked[1][2].flops == 100 * 3 * 4 * 8 * 16


def test_a_prompt_writes_its_cache_for_every_sequence(asked: Asked) -> None:
    """Three prompts of 100 tokens: half a square of pairs each, and rows as many as tokens."""
    prefill(TINY, BF16, KV16, batch=3, context=100, ways=2, timer=timer(H100, Assumptions()))
    ((operation, _, work),) = asked

    assert operation == "prefill-attention"
    assert work.flops == pytest.approx(3 * 2 * 2 * 16 * 8 * 100**2 / 2 / 2)
    assert work.bytes_moved == pytest.approx(kv_bytes(TINY, KV16, 100, 2) * 3 / 6)
    assert work.rows == 100


def _timed(key: AttentionKey, *seconds: tuple[int, float]) -> Timer:
    rows = [KernelTime(context, s, s, s, "k") for context, s in seconds]
    return Timer(H100, TimingTable(layers=LayerTimes({key: {1: rows}})), Assumptions())


def test_windowed_layers_take_the_time_of_their_window() -> None:
    """Two layers at 100 tokens and four at 10, as timed; a model without a window keeps all of them."""
    at = _timed(AttentionKey("bf16-kv", Attention(8, 4, 16, 16)), (10, 1e-6), (100, 5e-6))

    assert _decoded(WINDOWED, batch=1, at=at).part("attention").seconds == pytest.approx(2 * 5e-6 + 4 * 1e-6)
    everything = replace(WINDOWED, window=None)
    assert _decoded(everything, batch=1, at=at).part("attention").seconds == pytest.approx(6 * 5e-6)


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({}, "interpolated"),
        ({"index": SparseIndex(heads=3, head_dim=32, top_k=50)}, "modeled"),
        ({"recurrent": Recurrent(layers=4, inputs=112, inner=48, state=1000), "full_layers": 2}, "modeled"),
    ],
    ids=["as timed", "picked tokens", "a state"],
)
def test_attention_that_reads_otherwise_is_not_taken_as_timed(change: dict[str, Any], source: Source) -> None:
    """An indexer reads a part of the cache, and a recurrent layer a state."""
    at = _timed(AttentionKey("bf16-kv", Attention(8, 4, 16, 16)), (100, 5e-6))

    assert _decoded(replace(TINY, **change), batch=1, at=at).part("attention").source == source


@pytest.mark.parametrize(
    ("scheme", "kernels"), [("bf16", 4), ("int4-w4a16", 4), ("fp8-w8a8", 1), ("nvfp4-w4a4", 1)]
)
def test_quantizing_takes_in_three_of_four_short_kernels(
    scheme: str, kernels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two norms, the rotary embedding and the activation: all but the embedding quantize as well."""
    counts: list[int] = []
    short = Timer.short_kernels

    def noted(self: Timer, count: int, moved: float) -> Estimate:
        counts.append(count)
        return short(self, count, moved)

    monkeypatch.setattr(Timer, "short_kernels", noted)
    b200 = replace(H100, matrix={**H100.matrix, "nvfp4": H100.matrix["int8"]})
    decode_step(TINY, choice(scheme), KV16, batch=1, context=16, ways=1, timer=timer(b200, Assumptions()))

    assert counts == [kernels]


def test_a_model_of_experts_has_its_activation_within_them() -> None:
    """The short kernels of three tokens move 8 x 64 by norms and 2 x (8 + 8) x 16 by the embedding alone."""
    step = _decoded(replace(TINY, moe=EXPERTS), at=timer(CPU, Assumptions()))

    assert step.part("other").seconds == pytest.approx(6 * 3 * (512 + 512) * 2 / 3350e9 / 0.8)


def test_launches_are_counted_by_kernels_and_layers() -> None:
    """2 us each, for ten kernels in each of six layers; nothing of it is a roof's."""
    eager = Assumptions(launch_s=2e-6)
    step, graphs = (_decoded(TINY, at=timer(H100, one)) for one in (eager, Assumptions()))

    assert step.part("launches").seconds == pytest.approx(2e-6 * 10 * 6)
    assert step.total.floor == pytest.approx(graphs.total.floor)


def _energies(monkeypatch: pytest.MonkeyPatch, joules: Callable[[str], float | None]) -> None:
    one = Estimate(seconds=1e-6, low=1e-6, high=1e-6, floor=None, source="measured")
    monkeypatch.setattr(Timer, "layer", lambda _self, layer, *_: (one, joules(layer.name)))


def test_the_energy_of_a_step_is_that_of_every_linear_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One joule per layer, four kinds of which are there six times, and the head."""
    _energies(monkeypatch, lambda _: 1.0)

    assert _decoded(TINY).joules == 4 * 6 + 1


@pytest.mark.parametrize("unread", ["qkv", "lm_head"])
def test_without_the_energy_of_a_layer_there_is_none(unread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first or the last: a sum of the others would be too little. Experts are never read."""
    _energies(monkeypatch, lambda name: None if name == unread else 1.0)
    assert _decoded(TINY).joules is None
    _energies(monkeypatch, lambda _: 1.0)
    assert _decoded(replace(TINY, moe=EXPERTS)).joules is None


@pytest.mark.parametrize(
    "moe", [None, Moe(experts=8, per_token=2, intermediate=28672)], ids=["dense", "experts"]
)
def test_the_band_of_a_step_is_that_of_its_kind_of_model(moe: Moe | None) -> None:
    """A decode step beyond 3 ms has the band of decoding, not that of the prompts of others."""
    large = replace(TINY, hidden=16384, intermediate=28672, moe=moe)
    step = _decoded(large, at=timer(H100))
    band = bands.shipped()["per token", moe is not None, "decode"]

    assert step.total.seconds > 3e-3
    assert step.total.high == pytest.approx(band.high * step.total.seconds)


def _step(*parts: tuple[str, float, Source]) -> Step:
    made = tuple(
        Part(name=name, estimate=Estimate(seconds=s, low=s, high=s, floor=None, source=source))
        for name, s, source in parts
    )
    return Step(tokens=1, parts=made, total=made[0].estimate)


def test_the_shares_of_sources_are_of_the_time_of_linear_layers() -> None:
    """Three quarters in two layers are modeled, the rest is measured; attention does not count."""
    mixed = _step(
        ("linear qkv", 1.0, "measured"), ("linear o", 1.0, "modeled"), ("linear down", 2.0, "modeled"),
        ("attention", 9.0, "imported"),
    )  # fmt: skip

    assert list(mixed.linear_shares.items()) == [("modeled", 0.75), ("measured", 0.25)]
    assert mixed.linear_words == "75% modeled, 25% measured"
    assert _step(("linear qkv", 3.0, "measured"), ("attention", 1.0, "modeled")).linear_words == "measured"


@pytest.mark.parametrize("output", [40, 41])
def test_a_request_is_half_way_through_its_answer(output: int) -> None:
    """A step of a steady load reads the prompt and half of the answer; the first token is one prompt's."""
    at = timer(H100)
    load = steady_load(TINY, BF16, KV16, batch=4, prompt=100, output=output, ways=1, timer=at)

    assert load.decode == decode_step(TINY, BF16, KV16, batch=4, context=120, ways=1, timer=at)
    assert load.first_token == prefill(TINY, BF16, KV16, batch=1, context=100, ways=1, timer=at).total


@pytest.mark.parametrize("moe", [None, EXPERTS], ids=["dense", "experts"])
def test_a_first_token_under_load_has_the_band_of_its_kind_of_model(
    moe: Moe | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the same one as long as they are not told apart: here they are."""
    both = bands.shipped()
    key: tuple[bands.Kind, bool, bands.Regime] = ("first token under load", True, "any")
    apart = {**both, key: replace(both[key], low=0.25, high=9.0)}
    monkeypatch.setattr(bands, "shipped", lambda: apart)
    load = steady_load(
        replace(TINY, moe=moe), BF16, KV16, batch=4, prompt=100, output=40, ways=1, timer=timer(H100)
    )
    band = bands.shipped()["first token under load", moe is not None, "any"]

    assert load.loaded_first_token.low == pytest.approx(band.low * load.loaded_first_token.seconds)
    assert load.loaded_first_token.high == pytest.approx(band.high * load.loaded_first_token.seconds)


def _estimate(seconds: float, floor: float | None, source: Source = "measured") -> Estimate:
    return Estimate(seconds=seconds, low=0.9 * seconds, high=1.2 * seconds, floor=floor, source=source)


def test_a_part_grows_by_its_share_of_the_prompts_band_and_floor_too() -> None:
    """Half a prompt adds half of 2 ms: 2 ms become 3, the band in proportion, the source the weaker."""
    grown = _with_prompts(_estimate(2.0, 1.0), _estimate(4.0, 1.5, "modeled"), 0.5)

    assert (grown.seconds, grown.low, grown.high) == pytest.approx((3.0, 2.7, 3.6))
    assert grown.floor == 1.25
    assert grown.source == "modeled"


@pytest.mark.parametrize(("plain", "full"), [(None, 1.5), (1.0, None), (None, None)])
def test_a_floor_is_unknown_where_one_of_two_is(plain: float | None, full: float | None) -> None:
    """A step without prompts that was timed beside one that is modeled, or the other way round."""
    assert _with_prompts(_estimate(2.0, plain), _estimate(4.0, full), 0.5).floor is None


def test_a_kernel_without_constants_reaches_its_roofs() -> None:
    """No share is the whole roof, no rows no slope, and it is known from no points."""
    plain = Cost(operation="linear", format="bf16", gpu="x", engine="x")

    assert (plain.seconds(3.0, 2.0, 1), plain.seconds(2.0, 3.0, 1)) == (3.0, 3.0)
    assert plain.points == 0


def test_one_row_is_the_least_a_product_has() -> None:
    """100 rows more at one row: 101 times the time of its operations; less than a row is one."""
    steep = Cost(operation="linear", format="bf16", gpu="x", engine="x", rows=100)

    assert steep.seconds(0.0, 1.0, 1) == pytest.approx(101)
    assert steep.seconds(0.0, 1.0, 0.5) == pytest.approx(101)
    assert steep.seconds(0.0, 1.0, 2) == pytest.approx(51)
