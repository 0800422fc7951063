"""What links can do: the vendors' figures by profile, and PCIe by generation and width."""

from __future__ import annotations

import pytest

from quantroof.hwprofiles.links import link_figure, pcie_bytes_per_s
from quantroof.hwprofiles.types import PcieLink


def test_the_longest_prefix_names_the_link() -> None:
    """An H100 SXM has NVLink 4 with half of the 900 GB/s that its vendor prints for both directions."""
    link = link_figure("h100-sxm5-80gb")

    assert link is not None
    assert (link.kind, link.bytes_per_s) == ("NVLink 4", 450e9)
    assert link_figure("no-such-board") is None


@pytest.mark.parametrize(
    ("generation", "width", "gbps"), [(3, 16, 15.75), (5, 16, 63.0), (5, 8, 31.5), (6, 16, 121.0)]
)
def test_pcie_is_lanes_times_the_line_code(generation: int, width: int, gbps: float) -> None:
    """16 lanes of generation 5 carry 63.0 GB/s in one direction before packets, as PCI-SIG's table says."""
    link = PcieLink(max_generation=generation, max_width=width)

    assert pcie_bytes_per_s(link) == pytest.approx(gbps * 1e9, rel=1e-3)


def test_a_link_that_reports_nothing_has_no_rate() -> None:
    """Neither an absent link nor an unknown generation is a zero."""
    assert pcie_bytes_per_s(None) is None
    assert pcie_bytes_per_s(PcieLink(max_generation=9, max_width=16)) is None
    assert pcie_bytes_per_s(PcieLink(max_generation=5)) is None
