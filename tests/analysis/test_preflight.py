"""What load, memory and foreign processes do to a run, told before it starts: each limit with both sides."""

from __future__ import annotations

import pytest

from quantroof.analysis.preflight import preflight, useless
from quantroof.hwprofiles.host_load import HostLoad, host_load
from tests.builders import cpu_device, gpu_device

CPU, GPU = cpu_device(), gpu_device()


@pytest.mark.parametrize(
    ("busy", "level"), [(0.14, None), (0.16, "note"), (0.49, "note"), (0.51, "warning"), (2.0, "warning")]
)
def test_half_a_core_makes_a_cpu_useless(busy: float, level: str | None) -> None:
    """Beyond 0.15 cores some lines will be disturbed, beyond 0.5 all of them."""
    findings = preflight([CPU], HostLoad(cores=2, busy_cores=busy, load_average=7.5), {})

    assert [finding.level for finding in findings] == ([] if level is None else [level])
    assert (useless(findings) is not None) is (level == "warning")
    assert all("2 cores, load 7.5" in finding.text for finding in findings)


def test_a_ci_machine_is_marked_and_not_refused() -> None:
    """What is tolerated is a note with the same words."""
    load = HostLoad(cores=2, busy_cores=1.5)
    (refused,), (marked,) = preflight([CPU], load, {}), preflight([CPU], load, {}, tolerated=True)

    assert (refused.level, marked.level, marked.text) == ("warning", "note", refused.text)
    assert useless([marked]) is None


def test_a_gpu_cares_for_its_own_processes() -> None:
    """Load on the host does not spoil a GPU; two processes on it do."""
    load = HostLoad(cores=64, busy_cores=8.0)

    assert preflight([GPU], load, {"cuda:0": 0}) == []
    assert "2 other processes are on cuda:0" in (useless(preflight([GPU], load, {"cuda:0": 2})) or "")


@pytest.mark.parametrize(("stall", "codes"), [(0.09, []), (0.11, ["memory_pressure"])])
def test_memory_pressure_is_told(stall: float, codes: list[str]) -> None:
    """A tenth of the time is the limit of stalls."""
    load = HostLoad(cores=2, busy_cores=0.0, memory_stall=stall)

    assert [finding.code for finding in preflight([CPU], load, {})] == codes


def test_a_quota_is_a_note() -> None:
    """1.5 of 2 cores: worth a line, and no refusal."""
    (finding,) = preflight([CPU], HostLoad(cores=2, busy_cores=0.0, quota_cores=1.5), {})

    assert (finding.level, finding.code) == ("note", "cpu_quota")


def test_this_host_can_be_read() -> None:
    """A moment is enough for a figure between idle and all cores."""
    load = host_load(0.05)

    assert 0 <= load.busy_cores <= load.cores * 1.5
    assert load.memory_free_share is None or 0 < load.memory_free_share <= 1
