"""Health: the two floors, with a device on each side of both."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.verdicts import gravest
from quantroof.hwprofiles import catalog
from tests.builders import H100, ceilings, gpu_device, info, measurement, run, state


@pytest.mark.parametrize(("share", "verdict"), [(0.824, "degraded"), (0.828, "ok")])
def test_a_read_far_below_what_others_published_is_unhealthy(share: float, verdict: str) -> None:
    """A lone H100 is judged by others: 0.95 of their lowest read, 2913 GB/s, is 82.6 % of the datasheet."""
    device = gpu_device()
    bandwidth = H100.bandwidth_bytes_per_s * share
    measured = run(info([device]), ceilings(device, bandwidth * 1.0012, {}))

    assert judge_health(device_results([measured])).verdict.state == verdict
    assert run_verdict(measured).state == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.84, "degraded"), (0.86, "ok")])
def test_a_read_far_below_the_datasheet_is_unhealthy_where_nobody_published_one(
    share: float, verdict: str
) -> None:
    """A lone T4, whose reads nobody published, is judged by 85 % of its datasheet."""
    t4 = catalog.profiles()["t4"]
    device = replace(gpu_device(name="Tesla T4"), profile_id=t4.id)
    header = replace(info([device]), profiles={device.id: t4})
    measured = run(header, ceilings(device, t4.bandwidth_bytes_per_s * share * 1.0012, {}))

    assert judge_health(device_results([measured])).verdict.state == verdict


def test_the_gravest_of_several_states_counts() -> None:
    """A failure outweighs a device that is slow or well; of no state nothing is known."""
    assert gravest(["ok", "failed", "degraded"]) == "failed"
    assert gravest(["ok", "degraded"]) == "degraded"
    assert gravest([]) == "unknown"


def test_an_ordinary_clock_event_counts_the_devices_that_reported_it() -> None:
    """Of two GPUs one ran into its power cap in one of two cases."""
    devices = [gpu_device(index=0), gpu_device(index=1)]
    lines = [
        measurement(device, "bf16", m, (4096, 4096), 12_000, state=state(reasons=reasons))
        for device, own in zip(devices, ((0x4, 0x0), (0x0, 0x1)), strict=True)
        for m, reasons in zip((1, 8), own, strict=True)
    ]
    health = judge_health(device_results([run(info(devices), lines)]))

    assert health.remarks == ("power cap (software) in 1 of 4 cases on 1 of 2 devices",)


@pytest.mark.parametrize(("behind", "slow"), [(0.04, set()), (0.06, {"cuda:3"})])
def test_five_percent_below_the_siblings_is_low(behind: float, slow: set[str]) -> None:
    """Of four GPUs one is 4 % behind the others and passes, or 6 % behind and does not."""
    devices = [gpu_device(index=i) for i in range(4)]
    lines = [
        line
        for device in devices
        for line in ceilings(device, 3e12 * (1 - behind if device.index == 3 else 1), {})
    ]
    health = judge_health(device_results([run(info(devices), lines)]))

    assert {row.device for row in health.rows if row.low} == slow


@pytest.mark.parametrize(
    ("share", "other", "state"),
    [
        (0.94, {}, "degraded"),
        (0.96, {}, "ok"),
        (0.94, {"uuid": "GPU-another"}, "ok"),
        (0.94, {"sim": True}, "ok"),
    ],
)
def test_a_read_that_fell_since_the_run_before_is_unhealthy(
    share: float, other: dict[str, object], state: str
) -> None:
    """More than 5 % on the same GPU; another GPU, and a simulated run, say nothing of it."""
    rate = H100.bandwidth_bytes_per_s * 0.94
    device = gpu_device()
    past = replace(device, uuid=str(other["uuid"])) if "uuid" in other else device
    earlier = run(replace(info([past]), simulated="sim" in other), ceilings(past, rate, {}))
    now = run(info([device]), ceilings(device, rate * share, {}))
    health = judge_health(device_results([now]), device_results([earlier]))

    assert health.verdict.state == state
    if state == "degraded":
        assert health.findings == ("cuda:0: read -5.9 % since the run before (3.14 TB/s -> 2.96 TB/s)",)
