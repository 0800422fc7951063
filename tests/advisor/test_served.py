"""The advisor's prediction beside a served load: the same formulas, the same refusals, the ratio."""

from __future__ import annotations

import pytest

from quantroof.advisor.linear_time import Assumptions
from quantroof.advisor.model_lookup import model
from quantroof.advisor.served import Predictor
from quantroof.advisor.step import decode_step, prefill
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.served import ServedLoad, ServedRequest
from tests.advisor.machines import A100, H100, timer

LLAMA_8B = model("llama-3.1-8b")


def load(concurrency: int | None, prompt: int = 256, output: int = 64) -> ServedLoad:
    """Two requests: 50 ms to the first token, 10 ms for every other."""
    one = ServedRequest(
        prompt_tokens=prompt,
        output_tokens=output,
        first_token_ns=50e6,
        last_token_ns=50e6 + (output - 1) * 10e6,
    )
    return ServedLoad(
        concurrency=concurrency,
        duration_ns=1e9,
        completed=2,
        failed=0,
        prompt_tokens=2 * prompt,
        output_tokens=2 * output,
        requests=(one, one),
    )


def test_a_load_is_compared_with_a_batch_of_its_concurrency() -> None:
    """Prefill of all prompts for the first token, a decode step at the mean context for the others."""
    found = Predictor(LLAMA_8B, A100, TimingTable(), "bf16").predict(load(16))
    counted, fp16, scheme = timer(A100, Assumptions()), Format.parse("fp16"), SCHEMES["bf16"]
    step = decode_step(LLAMA_8B, scheme, fp16, batch=16, context=288, ways=1, timer=counted)
    prompts = prefill(LLAMA_8B, scheme, fp16, batch=16, context=256, ways=1, timer=counted)

    assert found.per_token is not None
    assert found.first_token is not None
    assert found.first_token_alone is not None
    assert found.per_token.predicted == step.total
    assert found.first_token.predicted == prompts.total
    assert found.per_token.ratio == pytest.approx(0.010 / step.total.seconds)
    assert found.first_token.ratio == pytest.approx(0.050 / prompts.total.seconds)
    assert found.first_token_alone.predicted.seconds < prompts.total.seconds
    assert found.per_token.predicted.low < found.per_token.predicted.seconds < found.per_token.predicted.high
    assert found.per_token.linear == "modeled"


@pytest.mark.parametrize(
    ("predictor", "given", "says"),
    [
        (Predictor(LLAMA_8B, A100, TimingTable(), "fp8-w8a8"), load(1), "no fp8 matrix instructions"),
        (Predictor(model("llama-3.1-70b"), A100, TimingTable(), "bf16"), load(1), "do not fit"),
        (Predictor(LLAMA_8B, A100, TimingTable(), "bf16"), load(4, prompt=200_000), "beyond the context"),
        (Predictor(LLAMA_8B, A100, TimingTable(), "bf16"), load(100, prompt=8000), "others would wait"),
        (Predictor(LLAMA_8B, H100, TimingTable(), "bf16", gpus=3), load(1), "cannot be divided among 3 GPUs"),
        (Predictor(LLAMA_8B, A100, TimingTable(), "bf16"), load(None), "fixes no batch"),
    ],
)
def test_what_cannot_be_predicted_says_why(predictor: Predictor, given: ServedLoad, says: str) -> None:
    """No instructions, no memory, no context, a batch that queues, heads that do not divide, a rate."""
    found = predictor.predict(given)

    assert found.reason is not None
    assert says in found.reason
    assert found.per_token is None


def test_a_load_without_an_answer_has_no_prediction() -> None:
    """Nothing completed: its lengths are unknown."""
    empty = ServedLoad(
        concurrency=4, duration_ns=None, completed=0, failed=8, prompt_tokens=0, output_tokens=0
    )

    found = Predictor(LLAMA_8B, A100, TimingTable(), "bf16").predict(empty)

    assert found.reason == "no request completed"
