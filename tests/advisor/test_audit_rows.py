"""Rows of an audit by hand that no test of one part holds: values of the catalog, proposals and links."""

from __future__ import annotations

import pytest

from quantroof.advisor.choices import choice
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.memory import weight_bytes
from quantroof.advisor.model_lookup import model
from quantroof.advisor.proposals import proposed
from quantroof.advisor.sources import machine_and_times
from quantroof.hwprofiles import catalog


@pytest.mark.parametrize(
    ("board", "l2_mb", "memory_mib"),
    [
        ("b300", 126, 275040),
        ("gb300", 126, 284208),  # 298.0 GB, and not 279
        ("h200-nvl", 60, 143771),
        ("gh200-96gb", 60, 97871),
        ("gh200-144gb", 60, 145920),
    ],
)
def test_caches_and_memories_that_were_missing(board: str, l2_mb: float, memory_mib: float) -> None:
    """Without a cache size the roof guard blames a bus width; memory is what the driver reports."""
    profile = catalog.profile(board)

    assert profile.l2_mb == l2_mb
    assert profile.memory_mib == memory_mib
    assert profile.memory_bytes == memory_mib * (1 << 20)


@pytest.mark.parametrize(
    ("board", "format_name", "offered"),
    [
        ("h100-sxm5-80gb", "nf4-w4a16", False),  # 2 to 9 times slower than its bytes, unless a run timed it
        ("h100-sxm5-80gb", "nvfp4-w4a4", False),
        ("b200", "nvfp4-w4a4", True),
        ("rtx-5090", "nvfp4-w4a4", True),
    ],
)
def test_formats_are_offered_where_they_pay(board: str, format_name: str, offered: bool) -> None:
    """NVFP4 on Blackwell; NF4 nowhere without a measurement."""
    names = proposed(model("llama-3.1-8b"), machine_and_times(board, None)[0])

    assert (format_name in names) == offered


def test_nf4_of_a_mixture_of_experts_is_a_quarter_of_its_size() -> None:
    """Qwen3-30B-A3B in NF4: 18.1 GB with its experts; 59.8 GB were counted without them."""
    assert weight_bytes(model("qwen3-30b-a3b"), choice("nf4-w4a16")) / 1e9 == pytest.approx(18.1, rel=0.02)


def test_groups_are_those_of_the_checkpoint() -> None:
    """gpt-oss-120b on 8 GPUs: groups of 64 divide 2880, and a shard of 360 columns is padded to 384."""
    down = next(layer for layer in linear_layers(model("gpt-oss-120b")) if layer.name == "expert down")
    own = down.kept(choice("int4-w4a16"))

    assert own.weight.group == 64
    assert down.shard(8, own.weight.group) == (2880, 384)


@pytest.mark.parametrize(
    ("board", "gbps"),
    [
        ("h20-96gb", 450),
        ("h20-141gb", 450),
        ("h200-nvl", 450),
        ("mi300x", 448),
        ("gb200", 900),
        ("rtx-pro-6000-server", 64),
    ],
)
def test_links_that_were_missing(board: str, gbps: float) -> None:
    """One direction of NVLink, Infinity Fabric or PCIe; without one no two GPUs can be advised."""
    link = machine_and_times(board, None)[0].link

    assert link is not None
    assert link.bytes_per_s == pytest.approx(gbps * 1e9)
