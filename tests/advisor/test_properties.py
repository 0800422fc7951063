"""What must hold for any model, format and machine."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from quantroof.advisor.choices import CHOICES, KV_FORMATS, choice, kv_format
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.machine import Machine, Rate
from quantroof.advisor.memory import Reserve, memory_fit, weight_bytes
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.step import Step, decode_step, prefill
from quantroof.hwprofiles import roofline
from tests.advisor.machines import H100, timer

# Their products have no rate on an H100.
_BLACKWELL = ("mxfp8-w8a8", "mxfp4-w4a8", "mxfp4-w4a4", "nvfp4-w4a4")
models = st.sampled_from(sorted(catalog()))
served = st.sampled_from(sorted(set(CHOICES) - {"tf32", *_BLACKWELL}))
caches = st.sampled_from(sorted(KV_FORMATS))
batches = st.integers(1, 2000)
contexts = st.integers(1, 100_000)
ways = st.sampled_from([1, 2, 4])


def _decode(name: str, scheme: str, batch: int, context: int, t: int, at: Timer | None = None) -> Step:
    return decode_step(
        model(name),
        choice(scheme),
        kv_format("fp16"),
        batch=batch,
        context=context,
        ways=t,
        timer=at or timer(H100),
    )


def _faster(machine: Machine, factor: float) -> Machine:
    bandwidth = Rate(value=machine.bandwidth.value * factor, basis="datasheet")
    return msgspec.structs.replace(machine, bandwidth=bandwidth)


@given(models, served, batches, contexts, ways, st.floats(1, 4))
@settings(max_examples=60, deadline=None)
def test_more_bandwidth_never_slows(
    name: str, scheme: str, batch: int, context: int, t: int, factor: float
) -> None:
    """A machine that differs by a higher bandwidth alone is never slower, in decode and in prefill."""
    fast = timer(_faster(H100, factor))
    prompt = min(context, 8192)

    assert _decode(name, scheme, batch, context, t, fast).total.seconds <= (
        _decode(name, scheme, batch, context, t).total.seconds * (1 + 1e-12)
    )
    kv, m, s = kv_format("fp16"), model(name), choice(scheme)
    quick = prefill(m, s, kv, batch=1, context=prompt, ways=t, timer=fast).total.seconds
    assert quick <= prefill(m, s, kv, batch=1, context=prompt, ways=t, timer=timer(H100)).total.seconds * (
        1 + 1e-12
    )


@given(models, served, batches, contexts, st.integers(0, 50_000), ways)
@settings(max_examples=60, deadline=None)
def test_longer_context_never_speeds_up(
    name: str, scheme: str, batch: int, context: int, more: int, t: int
) -> None:
    """Every further token of context costs time, or none where the layers slide."""
    short = _decode(name, scheme, batch, context, t).total.seconds

    assert _decode(name, scheme, batch, context + more, t).total.seconds >= short * (1 - 1e-12)


@given(models, served, batches, st.integers(1, 500), contexts, ways)
@settings(max_examples=60, deadline=None)
def test_modeled_latency_is_monotone_in_batch(
    name: str, scheme: str, batch: int, more: int, context: int, t: int
) -> None:
    """A larger batch never takes less time by the model."""
    small = _decode(name, scheme, batch, context, t).total.seconds

    assert _decode(name, scheme, batch + more, context, t).total.seconds >= small * (1 - 1e-12)


@given(models, st.sampled_from([(32, 64), (64, 128), (32, 128)]))
def test_larger_group_never_adds_bytes(name: str, groups: tuple[int, int]) -> None:
    """Fewer scales are fewer bytes."""
    small, large = (choice("int4-w4a16").with_group(group) for group in groups)

    assert weight_bytes(model(name), large) <= weight_bytes(model(name), small)


@given(models, served, batches, contexts, ways)
@settings(max_examples=60, deadline=None)
def test_band_holds_the_estimate_and_the_floor_is_below(
    name: str, scheme: str, batch: int, context: int, t: int
) -> None:
    """low <= seconds <= high, and no estimate is below its roofs."""
    total = _decode(name, scheme, batch, context, t).total

    assert total.low <= total.seconds <= total.high
    assert total.floor is not None
    assert total.floor <= total.seconds * (1 + 1e-12)


@given(models, served, caches, contexts, ways, st.floats(10, 2000))
@settings(max_examples=100, deadline=None)
def test_what_fits_is_within_the_memory(
    name: str, scheme: str, kv: str, context: int, t: int, memory_gb: float
) -> None:
    """Weights, runtime, sequences and the larger of activations and logits fit; one more does not."""
    found = memory_fit(model(name), choice(scheme), kv_format(kv), context, memory_gb * 1e9, t, Reserve())

    def needed(sequences: int) -> float:
        beside = max(found.activations, sequences * found.logits_per_sequence)
        return found.weights + found.runtime + beside + sequences * found.kv_per_sequence

    assert found.sequences == 0 or needed(found.sequences) <= found.usable
    assert needed(found.sequences + 1) > found.usable


@given(st.floats(1e6, 1e15), st.floats(1e3, 1e12))
def test_machine_agrees_with_the_roofline(flops: float, moved: float) -> None:
    """The advisor's roof is the one formula of hwprofiles/roofline."""
    rate = H100.matrix["bf16"].value
    expected = roofline.attainable_seconds(flops, moved, rate, H100.bandwidth.value)

    assert H100.roof_seconds(flops, moved, "bf16") == expected
