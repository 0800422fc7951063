"""Options: ranked by what was asked, each fall with its reason, each caveat where it applies."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.advisor.advice import Advice, AdviceOptions, Option
from quantroof.advisor.choices import DEFAULT
from quantroof.advisor.cost import stated_price
from quantroof.advisor.decision import advise
from quantroof.advisor.explain import explain
from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.kernel_costs import cost
from quantroof.advisor.linear_time import Assumptions
from quantroof.advisor.machine import Machine
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError
from tests.advisor.machines import A100, H100, gpu

T4 = gpu("t4", 16, 320, (7, 5), fp32=8.1, fp16=65, int8=130)
B200 = gpu("b200", 180, 8000, (10, 0), fp32=80, fp16=2250, bf16=2250, fp8_e4m3=4500, int8=4500)


def _ask(
    machine: Machine = A100, name: str = "llama-3.1-70b", table: TimingTable | None = None, **wishes: object
) -> Advice:
    asked = AdviceOptions(**{"context": 4096, "formats": DEFAULT, **wishes})  # type: ignore[arg-type]
    return advise(model(name), machine, table or TimingTable(), asked, stated_price(machine.id, 2.0))


def _option(advice: Advice, name: str, gpus: int) -> Option:
    return next(o for o in advice.options if (o.format, o.gpus) == (name, gpus))


def test_the_lessons_question() -> None:
    """70B, A100, 50 ms, 10 M tokens a day: four bits on one GPU; 16 on two and 8 on one do not fit."""
    advice = _ask(latency_s=0.050, tokens_per_day=10e6)

    best = advice.choice
    assert best is not None
    assert (best.format, best.gpus, best.replicas) == ("int4-w4a16", 1, 1)
    assert "not fit" in _option(advice, "bf16", 2).reasons[0]
    assert "not fit" in _option(advice, "int8-w8a16", 1).reasons[0]
    assert best.usd_per_month == pytest.approx(2.0 * 730)


def test_more_traffic_needs_replicas_and_then_the_ranking_changes() -> None:
    """At 500 M tokens a day one A100 is not enough, and the fewest GPUs in all come first."""
    advice = _ask(latency_s=0.050, tokens_per_day=500e6)

    totals = [o.total_gpus for o in advice.options if o.verdict == "meets"]
    assert totals == sorted(totals, key=lambda total: total or 0)
    assert totals[0] is not None
    assert totals[0] > 1


def test_among_equal_counts_the_widest_weights_come_first() -> None:
    """Where one GPU carries the load in every format, bf16 is first and 4 bits are last."""
    advice = _ask(H100, "llama-3.1-8b", tokens_per_day=1e6, gpu_counts=(1,))

    names = [option.format for option in advice.options if option.total_gpus == 1]
    assert names[0] == "bf16"
    assert set(names[-2:]) == {"int4-w4a16", "nf4-w4a16"}


def test_options_within_one_anothers_error_are_equal() -> None:
    """Asked for a latency alone, the smallest deployment that the best one's band reaches comes first."""
    advice = _ask(latency_s=0.050)
    fitting = [o for o in advice.options if o.tokens_per_s is not None and o.decode is not None]
    effort = {id(o): o.gpus / o.tokens_per_s for o in fitting if o.tokens_per_s is not None}
    best = min(fitting, key=lambda o: effort[id(o)])
    first = fitting[0]
    assert first.decode is not None
    assert best.decode is not None
    low = effort[id(first)] * first.decode.total.low / first.decode.total.seconds
    high = effort[id(best)] * best.decode.total.high / best.decode.total.seconds

    assert low <= high
    assert first.gpus < best.gpus
    assert effort[id(first)] > effort[id(best)]


def test_among_equals_the_checkpoints_own_format_comes_first() -> None:
    """A quantized copy by its name is served as it is; a 16-bit one in 16 bit where nothing else decides."""
    own = advise(model("Qwen/Qwen3-32B-FP8"), H100, TimingTable(), AdviceOptions(context=4096), None)
    wide = advise(model("llama-3.1-8b"), B200, TimingTable(), AdviceOptions(context=512, max_batch=1), None)

    assert {option.format for option in own.options} == {"fp8-block-w8a8"}
    assert wide.options[wide.frontier[0]].format == "bf16"


def test_without_targets_nothing_is_recommended() -> None:
    """The answer is the set over GPU counts that pays, each count once or with one wider format beside."""
    advice = _ask(H100, formats=(), kv_choices=("fp16", "fp8"))
    counts = [advice.options[index].gpus for index in advice.frontier]

    assert (advice.best, advice.choice, advice.refusal) == (None, None, None)
    assert counts == sorted(counts)
    assert len(set(counts)) > 1
    assert all(counts.count(n) <= 2 for n in counts)
    assert advice.shown is advice.options[advice.frontier[0]]


def test_the_fp8_cache_is_tried_by_itself() -> None:
    """Where the GPU multiplies fp8, every format is also offered with an fp8 cache, elsewhere it is not."""

    def caches(machine: Machine) -> set[str]:
        advice = _ask(machine, formats=("bf16",), gpu_counts=(4,), kv_choices=("fp16", "fp8"))
        return {option.kv for option in advice.options}

    assert (caches(H100), caches(A100)) == ({"fp16", "fp8"}, {"fp16"})


def test_impossible_latency_names_the_quickest() -> None:
    """A target nobody meets is answered with what would be possible."""
    advice = _ask(latency_s=1e-6)

    assert advice.choice is None
    assert advice.refusal is not None
    assert "the fastest is int8-w8a8 on 8 GPUs" in advice.refusal
    assert all(o.verdict == "misses" and o.reasons for o in advice.options)


def test_model_that_no_option_holds_is_refused_with_the_shortage() -> None:
    """A model that is too large for every GPU count says by how much."""
    advice = _ask(T4, "llama-3.1-405b", gpu_counts=(1, 2))

    assert advice.refusal is not None
    assert "no format and GPU count holds llama-3.1-405b" in advice.refusal
    assert "GB needed per GPU, 14.4 usable" in advice.refusal


def test_context_that_does_not_fit_names_the_longest_that_does() -> None:
    """Weights that fit beside a cache that does not: the answer says how long a sequence could be."""
    advice = _ask(A100, formats=("int4-w4a16",), context=120_000, gpu_counts=(1,))

    assert advice.refusal is not None
    assert "no option holds one sequence of 120000 tokens" in advice.refusal
    assert "int4-w4a16 on 1 GPU would hold 93776" in advice.refusal


def test_every_shipped_model_is_answered_with_the_default_gpu_counts() -> None:
    """No model has a layer that the default GPU counts cannot cut: gpt-oss' 2880 columns in 8 are padded."""
    for name in catalog():
        advice = _ask(H100, name, gpu_counts=(1, 2, 4, 8))
        assert advice.frontier or advice.refusal is not None, name


def test_context_beyond_the_model_is_refused() -> None:
    """A model has a longest context."""
    with pytest.raises(UsageError, match="200000 tokens is beyond the 131072 of llama"):
        _ask(context=200_000)


def test_first_token_target_is_judged() -> None:
    """A prompt that takes too long makes an option fall."""
    advice = _ask(H100, first_token_s=0.001, formats=("fp8-w8a8",), gpu_counts=(4,))

    assert "the first token takes" in advice.options[0].reasons[0]


@pytest.mark.parametrize(
    ("machine", "name", "expected"),
    [
        (A100, "int4-w4a16", "int4 weights are multiplied in bf16"),
        (H100, "fp8-w8a16", "this GPU has fp8 instructions"),
        (H100, "nf4-w4a16", "8.9 times at batch 2 (vllm#22780)"),
        (T4, "int4-w4a16", "served in fp16"),
        (H100, "fp8-w8a8", "its cost in quality is not shown here"),
    ],
)
def test_caveats_of_a_gpu(machine: Machine, name: str, expected: str) -> None:
    """What matters for this GPU and format is said."""
    option = _ask(machine, "llama-3.1-8b", formats=(name,), gpu_counts=(1,), context=128).options[0]

    assert any(expected in caveat for caveat in option.caveats)


def test_cache_that_dominates_is_said() -> None:
    """At 50 long sequences the cache outweighs the weights."""
    option = _ask(A100, formats=("int4-w4a16",), gpu_counts=(8,), context=32768).options[0]

    assert any("the KV cache dominates at batch" in caveat for caveat in option.caveats)


def test_fp8_without_instructions_falls_once_and_says_what_remains() -> None:
    """On an A100 fp8 products do not exist: one line, not one a GPU count, pointing at weight-only fp8."""
    refused = [o for o in _ask().options if o.format == "fp8-w8a8"]

    assert len(refused) == 1
    assert "fp8 would save bytes only, see fp8-w8a16" in refused[0].reasons[0]


def test_tensor_parallelism_needs_a_known_link() -> None:
    """Without a link figure two GPUs are not guessed."""
    advice = _ask(msgspec.structs.replace(A100, link=None), formats=("int8-w8a16",), gpu_counts=(2,))

    assert "no link between GPUs is known" in advice.options[0].reasons[0]


def test_curves_rise_as_far_as_memory_reaches() -> None:
    """Each format has a curve on the fewest GPUs that hold it; its last batch still memory."""
    advice = _ask()

    assert {c.format for c in advice.curves} == set(DEFAULT) - {"fp8-w8a8"}
    for curve in advice.curves:
        seconds = [p.seconds for p in curve.points]
        assert seconds == sorted(seconds)
        assert curve.points[-1].batch <= _option(advice, curve.format, curve.gpus).memory.sequences


def test_measured_facts_replace_formulas() -> None:
    """With points of bf16 and int4 the format table shows the node's own crossing and speed-up."""

    def points(times: dict[int, float]) -> list[KernelTime]:
        return [KernelTime(m, s, s * 0.99, s * 1.01, "k") for m, s in times.items()]

    shape = (8192, 8192)
    table = TimingTable(
        {
            "bf16": {shape: points({1: 4e-5, 16: 4e-5, 256: 2e-4})},
            "int4-w4a16": {shape: points({1: 2e-5, 16: 4e-5, 256: 4e-4})},
        }
    )

    row = next(r for r in _ask(H100, table=table).formats if r.format == "int4-w4a16")

    assert row.speed_up is not None
    assert row.speed_up.total == pytest.approx(2.0)
    assert row.speed_up.work * row.speed_up.rate == pytest.approx(2.0)
    assert row.crossing is not None
    assert row.crossing.batch == pytest.approx(16)


def test_explanation_adds_up() -> None:
    """The lines of --explain hold the figures of the option, and its layers sum to the step."""
    advice = _ask(H100, latency_s=0.050, tokens_per_day=10e6, assumptions=Assumptions(launch_s=1e-6))
    best = advice.choice
    assert best is not None
    assert best.decode is not None

    lines = {line.what: line for line in explain(advice, best)}

    assert lines["parameters"].result == "70,553,706,496"
    assert lines["sequences that fit"].result == str(best.memory.sequences)
    assert lines["dollars per month"].result == f"{best.usd_per_month:.0f}"
    assert lines["decode step"].result.startswith(f"{best.decode.total.seconds * 1e3:.2f} ms")
    assert sum(p.estimate.seconds for p in best.decode.parts) == pytest.approx(best.decode.total.seconds)
    assert any(part.name == "launches" for part in best.decode.parts)


def test_launches_can_bind() -> None:
    """A small layer whose roof is shorter than a launch is launch bound, and the explanation says so."""

    def ask(launch_s: float) -> Advice:
        assumed = Assumptions(launch_s=launch_s)
        return _ask(
            H100, "llama-3.2-1b", formats=("bf16",), gpu_counts=(1,), max_batch=1, assumptions=assumed
        )

    def line(advice: Advice) -> str:
        return next(x.formula for x in explain(advice, advice.options[0]) if x.what.startswith("o ["))

    assert "launch bound;" in line(ask(5e-6))
    assert "memory bound;" in line(ask(0.0))


def test_explained_attention_reads_the_tokens_that_are_there() -> None:
    """Memory is held in whole pages, but a step reads 4100 tokens, not the 4112 of the pages."""
    advice = _ask(context=4100, formats=("int4-w4a16",), gpu_counts=(1,))
    assert advice.shown is not None
    assert advice.shown.decode is not None
    line = next(line for line in explain(advice, advice.shown) if line.what == "attention")

    moved = float(line.formula.partition(" = ")[2].partition(" GB")[0]) * 1e9
    row = cost("decode-attention", "fp16", advice.machine.id, advice.machine.capability)
    assert row is not None
    assert row.memory is not None
    took = 80 * row.fixed_us * 1e-6 + moved / (advice.machine.bandwidth.value * row.memory)
    assert "cache of 4100 tokens" in line.formula
    assert took == pytest.approx(advice.shown.decode.part("attention").seconds, rel=2e-4)
