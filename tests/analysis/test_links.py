"""Judging links: slow hosts, GPUs, pairs and collectives, each with a case on both sides of its limit."""

from __future__ import annotations

import pytest

from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.links import judge_links, link_table
from quantroof.bench.links.bus import bus_bytes
from quantroof.hwprofiles.catalog import profile
from quantroof.hwprofiles.simulated import simulated
from quantroof.hwprofiles.types import Device, PcieLink
from quantroof.records.lines import Ceiling, Timing
from tests.builders import ceilings, info, run

GPUS = [simulated(profile("h100-sxm5-80gb"), index) for index in range(4)]
IDS = [gpu.id for gpu in GPUS]


def link(device: str, name: str, gbps: float, size: int | None = None) -> Ceiling:
    """A timed link: one second at a rate."""
    timing = Timing(
        samples_ns=(1e9,), calls_per_sample=1, cache="cold", method="simulated",
        stopped_by="max_samples", copies=1, rotated_bytes=0,
    )  # fmt: skip
    return Ceiling(
        device=device, quantity="link", name=name, kernel="k", status="simulated",
        bytes_moved=round(gbps * 1e9), shape=None if size is None else (size,), timing=timing,
    )  # fmt: skip


def pairs(slow: dict[tuple[int, int], float], gpus: int = 4) -> list[Ceiling]:
    """Every pair at 400 GB/s but those named."""
    return [
        link(IDS[a], f"peer_copy/{IDS[b]}", slow.get((a, b), 400.0))
        for a in range(gpus) for b in range(gpus) if a != b
    ]  # fmt: skip


def all_reduce(gbps: float) -> list[Ceiling]:
    """One all-reduce over all GPUs at a bus bandwidth."""
    return [link(IDS[0], "all_reduce/" + "+".join(IDS), gbps, 1 << 30)]


def codes(lines: list[Ceiling], devices: list[Device] = GPUS) -> dict[str, list[str]]:
    """The codes of the findings of each device."""
    return {device: [f.code for f in found] for device, found in judge_links(devices, lines).items()}


def test_links_alike_have_no_finding() -> None:
    """Every pair at one rate and an all-reduce near the figure."""
    assert codes([*pairs({}), *all_reduce(380)]) == {}


@pytest.mark.parametrize(("share", "slow"), [(0.94, True), (0.96, False)])
def test_a_gpu_is_slow_below_95_percent_of_the_others(share: float, slow: bool) -> None:
    """The GPU whose copies are all slow is named, and not the peers that share those copies with it."""
    sick = {(a, b): 400 * share for a in range(4) for b in range(4) if 2 in (a, b)}

    assert codes(pairs(sick)) == ({IDS[2]: ["link_slow"]} if slow else {})


@pytest.mark.parametrize(("rate", "slow"), [(370.0, True), (385.0, False)])
def test_a_single_slow_pair_names_both_ends(rate: float, slow: bool) -> None:
    """One copy below 95 % of pairs that are otherwise alike: its source carries the finding."""
    lines = pairs({(1, 3): rate})

    assert codes(lines) == ({IDS[1]: ["link_pair"]} if slow else {})
    if slow:
        assert IDS[3] in judge_links(GPUS, lines)[IDS[1]][0].text


def test_pairs_with_a_longer_way_are_no_fault() -> None:
    """Two groups of GPUs behind two switches: half of the copies are slower, by design."""
    across = {(a, b): 200.0 for a in range(4) for b in range(4) if (a < 2) != (b < 2)}

    assert codes(pairs(across)) == {}


@pytest.mark.parametrize(("gbps", "slow"), [(200.0, True), (205.0, False)])
def test_a_collective_must_reach_45_percent_of_nvlink(gbps: float, slow: bool) -> None:
    """Below 202.5 of 450 GB/s every GPU that takes part is named, because none is known to be at fault."""
    assert codes([*pairs({}), *all_reduce(gbps)]) == (
        {key: ["link_collective"] for key in IDS} if slow else {}
    )


def test_a_gpu_that_its_copies_name_explains_a_slow_collective() -> None:
    """The others are not called degraded for their neighbor."""
    sick = {(a, b): 190.0 for a in range(4) for b in range(4) if 2 in (a, b)}

    assert codes([*pairs(sick), *all_reduce(190)]) == {IDS[2]: ["link_slow"]}


def test_two_gpus_are_judged_by_the_figure_alone() -> None:
    """A pair has no other pair to compare with: half of NVLink is below no floor, a third is."""
    two = GPUS[:2]

    assert codes(pairs({}, 2), two) == {}
    assert codes(pairs({(0, 1): 150.0, (1, 0): 150.0}, 2), two) == {i: ["link_slow"] for i in IDS[:2]}


@pytest.mark.parametrize(("gbps", "slow"), [(44.0, True), (44.2, False)])
def test_a_host_copy_must_reach_70_percent_of_pcie(gbps: float, slow: bool) -> None:
    """44.1 of the 63.0 GB/s that 16 lanes of generation 5 carry."""
    device = Device(
        kind="cuda", index=0, name="x", pcie=PcieLink(max_generation=5, max_width=16)
    )  # fmt: skip

    assert codes([link("cuda:0", "host_to_device", gbps)], [device]) == (
        {"cuda:0": ["link_host"]} if slow else {}
    )


def test_pcie_between_gpus_has_no_floor() -> None:
    """What a shared bus reaches depends on switches and sockets: a slow all-reduce over it does not count."""
    boards = [simulated(profile("l40s"), index) for index in range(2)]
    name = "all_reduce/" + "+".join(board.id for board in boards)

    assert codes([link(boards[0].id, name, 2.0, 1 << 30)], boards) == {}


def test_a_failed_link_fails_every_gpu_that_took_part() -> None:
    """The reason is in the finding, and in the table among what was not timed."""
    name = "all_gather/" + "+".join(IDS)
    line = Ceiling(device=IDS[0], quantity="link", name=name, kernel="k", status="failed", reason="no answer")
    found = judge_links(GPUS, [line])

    assert [found[device][0].text for device in IDS] == ["all-gather: no answer"] * 4
    assert link_table(GPUS, [line]).untimed == ("all-gather over 4 GPUs: no answer",)


def test_the_table_holds_the_bus_bandwidth_and_the_time() -> None:
    """A gigabyte reduced over four GPUs in a second: 1.5 times as much crosses each link."""
    carried = bus_bytes("all_reduce", 1 << 30, 4)
    (one,) = link_table(GPUS, all_reduce(carried / 1e9)).collectives

    assert one.bus == {1 << 30: pytest.approx(1.5 * (1 << 30))}
    assert one.seconds == {1 << 30: 1.0}


@pytest.mark.parametrize(("share", "slow"), [(0.94, {IDS[2]}), (0.96, set())])
def test_health_counts_slow_links_against_their_gpu(share: float, slow: set[str]) -> None:
    """Memory alike on four GPUs: the GPU whose copies are below 95 % of the others' is degraded alone."""
    copies = pairs({(a, b): 400 * share for a in range(4) for b in range(4) if 2 in (a, b)})
    memory = [line for gpu in GPUS for line in ceilings(gpu, 3e12, {}, simulated=True)]
    health = judge_health(device_results([run(info(GPUS, simulated=True), [*memory, *copies])]))

    assert {device for device, verdict in health.devices.items() if verdict.state == "degraded"} == slow
