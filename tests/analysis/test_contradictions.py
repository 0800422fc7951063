"""What a device reports against its profile reaches the report."""

from __future__ import annotations

from msgspec.structs import replace

from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.records.directory import Run
from tests.runs import gpu_run


def with_sms(run: Run, count: int) -> Run:
    """The run as if its GPUs had another number of SMs."""
    devices = tuple(replace(device, sm_count=count) for device in run.info.devices)
    run.info = replace(run.info, devices=devices)
    return run


def test_a_contradiction_with_the_profile_is_a_remark_with_both_numbers() -> None:
    """130 SMs where the profile has 132 is said; the same device as listed draws no such remark."""
    said = judge_health(device_results([with_sms(gpu_run(), 130)])).remarks
    assert any("130 SMs" in text and "132" in text for text in said)
    silent = judge_health(device_results([with_sms(gpu_run(), 132)])).remarks
    assert not any("SMs" in text for text in silent)
