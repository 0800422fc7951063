"""What a compute capability allows: one case on each side of every bound."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.caveats import INT8_REFUSED, cannot_run
from quantroof.advisor.choices import choice
from quantroof.advisor.decision import advise
from quantroof.advisor.engines import launch_of
from quantroof.advisor.machine import Machine
from quantroof.advisor.model_lookup import model
from quantroof.advisor.timings import TimingTable
from tests.advisor.machines import gpu

AMPERE = gpu("a10", 24, 600, (8, 6), fp16=125, bf16=125, int8=250)
ADA = gpu("l40s", 48, 864, (8, 9), fp16=362, bf16=362, int8=733, fp8_e4m3=733)
HOPPER = gpu("h100", 80, 3350, (9, 0), fp16=989, bf16=989, int8=1979, fp8_e4m3=1979)
BLACKWELL = gpu("b200", 180, 8000, (10, 0), fp16=2250, bf16=2250, int8=4500, fp8_e4m3=4500)


def _caveats_and_warnings(machine: Machine, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    asked = AdviceOptions(context=128, formats=(name,), gpu_counts=(1,))
    advice = advise(model("llama-3.1-8b"), machine, TimingTable(), asked, None)
    return advice.options[0].caveats, launch_of("vllm", advice, advice.options[0]).warnings


@pytest.mark.parametrize(("machine", "fp8"), [(AMPERE, False), (ADA, True), (HOPPER, True)])
def test_fp8_instructions_begin_with_ada(machine: Machine, fp8: bool) -> None:
    """Capability 8.6 only stores fp8; 8.9 and 9.0 multiply it, and weight-only fp8 wastes that."""
    caveats, warnings = _caveats_and_warnings(machine, "fp8-w8a16")

    assert machine.multiplies_fp8 is fp8
    assert ("this GPU has fp8 instructions: fp8-w8a8 uses them" in caveats) is fp8
    assert any("computes in fp8 as well" in warning for warning in warnings) is fp8
    assert any("has no fp8 instructions" in warning for warning in warnings) is not fp8
    assert (cannot_run(choice("fp8-w8a8"), machine) is None) is fp8


def test_an_unknown_rate_of_ada_is_not_called_a_missing_instruction() -> None:
    """An L40S whose fp8 rate nobody knows still has the instructions; an A10 has not."""
    unrated = gpu("l40s", 48, 864, (8, 9), fp16=362, bf16=362)

    assert "no fp8_e4m3 matrix rate is known" in (cannot_run(choice("fp8-w8a8"), unrated) or "")
    assert "no fp8 matrix instructions before 8.9" in (cannot_run(choice("fp8-w8a8"), AMPERE) or "")


@pytest.mark.parametrize(("machine", "refused"), [(HOPPER, False), (BLACKWELL, True)])
def test_vllm_refuses_int8_from_blackwell_on(machine: Machine, refused: bool) -> None:
    """Capability 9.0 serves INT8 W8A8, 10.0 does not: the option is out, and no command is made."""
    asked = AdviceOptions(context=128, formats=("int8-w8a8",), gpu_counts=(1,))
    advice = advise(model("llama-3.1-8b"), machine, TimingTable(), asked, None)

    assert (advice.options[0].reasons == (INT8_REFUSED,)) is refused
    assert (INT8_REFUSED in (launch_of("vllm", advice, advice.options[0]).refusal or "")) is refused
