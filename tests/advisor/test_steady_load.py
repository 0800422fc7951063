"""A steady load: what the prompts of other requests add to the time of a token, counted by hand."""

from __future__ import annotations

import pytest

from quantroof.advisor.bands import Regime, shipped
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.model_lookup import model
from quantroof.advisor.steady_load import SteadyLoad, steady_load
from tests.advisor.machines import H100, timer

KV = kv_format("fp16")


def _load(batch: int, prompt: int = 1024, output: int = 256) -> SteadyLoad:
    return steady_load(
        model("llama-3.1-8b"),
        choice("bf16"),
        KV,
        batch=batch,
        prompt=prompt,
        output=output,
        ways=1,
        timer=timer(H100),
    )


def test_a_lone_request_waits_for_nobody() -> None:
    """Without others a token takes a decode step at the mean context, and the first its own prompt."""
    alone = _load(1)

    assert alone.per_token.seconds == pytest.approx(alone.decode.total.seconds)
    assert alone.prompt_share == pytest.approx(0)


def test_others_prompts_add_what_they_cost_in_a_step() -> None:
    """16 requests, 1024 tokens in and 256 out: 15/256 prompts per token, each the products of 1040 rows less
    those that 16 rows take, attention of 2 h S^2 operations a layer, and one more row of logits.
    """
    bandwidth, rate = 3350e9, 989.4e12

    def linear(m: int, n: int, k: int) -> float:
        return max((2 * n * k + 2 * m * (n + k)) / bandwidth, 2 * m * n * k / rate)

    shapes = ((6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336))
    layers = 32 * sum(linear(16 + 1024, n, k) - linear(16, n, k) for n, k in shapes)
    attention = 32 * 2 * 4096 * 1024**2 / rate
    head = linear(17, 128256, 4096) - linear(16, 128256, 4096)
    load = _load(16)

    added = load.per_token.seconds - load.decode.total.seconds
    assert added == pytest.approx(15 / 256 * (layers + attention + head), rel=1e-9)


def test_longer_answers_dilute_the_prompts() -> None:
    """Twice as many generated tokens halve the prompts that are read per token."""
    short, long = _load(16, output=256), _load(16, output=512)

    assert long.prompt_share < short.prompt_share
    assert short.tokens_per_s == pytest.approx(16 / short.per_token.seconds)


@pytest.mark.parametrize(("output", "regime"), [(256, "decode"), (32, "prompts")])
def test_the_band_is_that_of_what_takes_the_time(output: int, regime: Regime) -> None:
    """Of 256 tokens decoding takes most of the time, of 32 the others' prompts do: each has its own band."""
    load = _load(16, output=output)
    band = shipped()["per token", False, regime]

    assert (load.prompt_share < 0.4) is (regime == "decode")
    assert load.per_token.high == pytest.approx(band.high * load.per_token.seconds)


def test_the_floor_counts_the_prompts_too() -> None:
    """At the roof the estimate is the floor, others' prompts included."""
    load = _load(16)

    assert load.per_token.floor == pytest.approx(load.per_token.seconds, rel=1e-6)


def test_a_first_token_waits_for_a_step_and_some_of_the_others_prompts() -> None:
    """Alone it is its prompt; among 16, a step and a quarter of half of 15 prompts come before it."""
    alone, loaded = _load(1), _load(16)
    added = (
        (loaded.per_token.seconds - loaded.decode.total.seconds) * 256 / 15
    )  # what one prompt adds to a step

    assert alone.loaded_first_token == alone.first_token
    waits = loaded.loaded_first_token.seconds - loaded.first_token.seconds
    assert waits == pytest.approx(loaded.decode.total.seconds + 0.25 * 15 / 2 * added)
    assert loaded.loaded_first_token.low < loaded.loaded_first_token.seconds < loaded.loaded_first_token.high
