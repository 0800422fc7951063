"""Memory as drivers report it: counts of sequences that were worked out by hand, board by board."""

from __future__ import annotations

import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.machine import from_profile
from quantroof.advisor.memory import Reserve, memory_fit
from quantroof.advisor.model_lookup import model
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.simulated import simulated

FP16 = kv_format("fp16")


@pytest.mark.parametrize(
    ("name", "format_name", "board", "gpus", "sequences"),
    [
        ("llama-3.1-70b", "bf16", "a100-sxm4-80gb", 2, 7),
        ("llama-3.1-70b", "fp8-w8a8", "h100-sxm5-80gb", 1, 1),
        ("qwen3-30b-a3b", "bf16", "h100-sxm5-80gb", 1, 35),
        ("llama-3.1-8b", "bf16", "rtx-4090", 1, 10),
        ("deepseek-v3", "fp8-w8a8", "h200-sxm", 8, 168),
        ("llama-3.1-405b", "fp8-w8a8", "h100-sxm5-80gb", 8, 90),
        ("gpt-oss-120b", "int4-w4a16", "h100-sxm5-80gb", 1, 74),
    ],
)
def test_sequences_of_4096_tokens_beside_the_weights(
    name: str, format_name: str, board: str, gpus: int, sequences: int
) -> None:
    """Nominal gigabytes would lose 7 % of these boards: 70B in 16 bit would not run on two A100 at all."""
    memory = from_profile(catalog.profile(board)).memory_bytes

    fit = memory_fit(model(name), choice(format_name), FP16, 4096, memory, gpus, Reserve())

    assert fit.sequences == sequences


def test_every_data_center_board_states_what_its_driver_reports() -> None:
    """Elsewhere a board without a public figure falls back to its vendor's gigabytes, the lower reading."""
    for profile in catalog.profiles().values():
        assert profile.has_memory(round(profile.memory_bytes)), profile.id
        assert simulated(profile).memory_bytes == round(profile.memory_bytes)
        if profile.memory_type.startswith("HBM") and profile.id != "mi250x":
            assert profile.memory_mib is not None, profile.id
