"""Advice within its own error: bands, formats without a kernel, and runs that may not be used."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, AdviceOptions, Option
from quantroof.advisor.choices import DEFAULT
from quantroof.advisor.decision import advise
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import Step
from quantroof.advisor.timings import TimingTable
from quantroof.advisor.usual import usual_advice
from tests.advisor.machines import H100
from tests.analysis.test_trust import BUSY, busy_run
from tests.runs import cpu_run


def _ask(**wishes: object) -> Advice:
    asked = AdviceOptions(**{"context": 4096, "formats": DEFAULT, **wishes})  # type: ignore[arg-type]
    return advise(model("llama-3.1-8b"), H100, TimingTable(), asked, None)


def _reached(option: Option, step: Step) -> float:
    return step.total.high if option.verdict == "meets" else step.total.seconds


def _bf16(latency_s: float | None = None) -> Option:
    asked = AdviceOptions(context=4096, formats=("bf16",), gpu_counts=(1,), max_batch=1, latency_s=latency_s)
    return advise(model("llama-3.1-8b"), H100, TimingTable(), asked, None).options[0]


def test_an_option_meets_a_target_only_with_its_whole_band() -> None:
    """A target between the estimate and the end of its band is likely met, one below is missed."""
    decode = _bf16().decode
    assert decode is not None
    total = decode.total
    asked = {
        "meets": total.high * 1.001,
        "likely": (total.seconds + total.high) / 2,
        "misses": total.seconds * 0.99,
    }

    assert {word: _bf16(target).verdict for word, target in asked.items()} == {word: word for word in asked}


def test_a_format_without_a_kernel_here_is_not_offered() -> None:
    """A format that no kernel of the run's device makes is rejected with that reason, and has no curve."""
    asked = AdviceOptions(context=4096, formats=("bf16", "nf4-w4a16"), gpu_counts=(1,))
    table = TimingTable(without_kernel=frozenset({"nf4-w4a16"}))
    advice = advise(model("llama-3.1-8b"), H100, table, asked, None)
    verdicts = {option.format: (option.verdict, option.reasons) for option in advice.options}

    assert verdicts["nf4-w4a16"] == ("misses", (f"no kernel makes nf4-w4a16 on {H100.name}",))
    assert verdicts["bf16"] == ("meets", ())
    assert {curve.format for curve in advice.curves} == {"bf16"}


def test_measured_options_come_before_modeled_ones() -> None:
    """A CPU run without nf4 and fp8-w8a16: their ideal times stand behind every measured format."""
    names = [option.format for option in usual_advice(cpu_run()).options if option.verdict == "meets"]

    assert set(names[:4]) == {"bf16", "int8-w8a8", "int8-w8a16", "int4-w4a16"}
    assert set(names[4:]) == {"fp8-w8a16", "nf4-w4a16"}


def test_a_disturbed_run_recommends_nothing() -> None:
    """No option is chosen, those that fit are unknown, and the reason is the trust's own sentence."""
    advice = usual_advice(busy_run())

    assert (advice.choice, advice.refusal, advice.unusable) == (None, BUSY, BUSY)
    assert {option.verdict for option in advice.options} == {"unknown", "misses"}


def test_largest_batch_is_the_largest_within_the_latency() -> None:
    """One more sequence would miss the target, or not fit."""
    advice = _ask(latency_s=0.012, gpu_counts=(1,))
    found = [o for o in advice.options if o.batch is not None]

    assert found
    for option in found:
        assert option.decode is not None
        assert option.batch is not None
        assert _reached(option, option.decode) <= 0.012
        if option.batch < min(option.memory.sequences, 1024):
            tighter = _ask(formats=(option.format,), gpu_counts=(1,), max_batch=option.batch + 1)
            more = tighter.options[0].decode
            assert more is not None
            assert _reached(option, more) > 0.012
