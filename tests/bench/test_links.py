"""Links between devices: the real processes over a CPU's memory and gloo, and what comes of failures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.advisor.links import link_of, measured_link
from quantroof.analysis.roofs import ceiling_rate, measured_roofs
from quantroof.bench import run as bench_run
from quantroof.bench.links import run
from quantroof.bench.links.all_reduce import bus_bytes
from quantroof.bench.links.peer import neighbors
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.lines import Ceiling, Measurement, Timing
from quantroof.records.run import RunOptions
from tests.bench.conftest import SUITE
from tests.hwprofiles.boards import h200

ROOT = str(Path(__file__).parent.parent.parent)


class Silent:
    """Shows nothing."""

    def line(self, line: Ceiling | Measurement) -> None:
        """Written."""


LOCAL = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": ROOT}


def test_bus_bandwidth_is_two_of_n_minus_one_over_n() -> None:
    """Two ranks: the payload itself crosses each link; eight: 1.75 times the payload."""
    assert (bus_bytes(800, 2), bus_bytes(800, 8)) == (800, 1400)


def test_a_ring_has_each_gpu_send_and_receive_once() -> None:
    """Two GPUs: both directions; four: not all twelve pairs."""
    assert neighbors(2) == [(0, 1), (1, 0)]
    assert neighbors(4) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_two_processes_reduce_and_one_tells() -> None:
    """The path of two GPUs, over gloo: both ranks meet, the sum is checked, one ceiling names both ends."""
    (line,) = run.all_reduce(["cpu:0", "cpu:1"], LOCAL)

    assert (line.status, line.name, line.kernel) == ("ok", "all_reduce/cpu:0+cpu:1", "torch.distributed/gloo")
    assert line.bytes_moved == 16 << 20
    assert (ceiling_rate(line) or 0) > 1e7


def test_copies_between_neighbors_are_checked_and_timed() -> None:
    """Both directions, each named by where it goes."""
    lines = list(run.peer_copies(["cpu:0", "cpu:1"], LOCAL))

    assert [(line.device, line.name) for line in lines] == [
        ("cpu:0", "peer_copy/cpu:1"),
        ("cpu:1", "peer_copy/cpu:0"),
    ]
    assert measured_roofs("cpu:0", lines).bandwidth == {}


def test_one_gpu_has_no_link_and_says_so() -> None:
    """Two skipped lines with the reason; a CPU alone has nothing to say."""
    lines = list(run.link_ceilings([h200()]))

    assert [(line.name, line.status) for line in lines] == [
        ("peer_copy", "skipped"),
        ("all_reduce", "skipped"),
    ]
    assert "needs two GPUs" in (lines[0].reason or "")
    assert list(run.link_ceilings([])) == []


def test_a_failure_costs_its_ceiling_only() -> None:
    """GPUs that are not here: NCCL's complaint is the reason, and nothing is raised."""
    nowhere = LOCAL | {"CUDA_VISIBLE_DEVICES": ""}
    (copy,) = run.peer_copies(["cuda:0", "cuda:1"], nowhere)
    (reduced,) = run.all_reduce(["cuda:0", "cuda:1"], nowhere)

    for line in (copy, reduced):
        assert (line.status, line.quantity) == ("failed", "link")
        assert line.reason


def test_ranks_that_hang_are_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A link that is down blocks both ranks for ever."""
    monkeypatch.setattr(run, "_ROOM", "stuck_room")
    (tmp_path / "stuck_room").mkdir()
    (tmp_path / "stuck_room" / "all_reduce.py").write_text("import time\ntime.sleep(600)\n")
    (line,) = run.all_reduce(["cuda:0", "cuda:1"], {"PYTHONPATH": str(tmp_path)}, limit_s=1.0)

    assert (line.status, line.reason) == ("failed", "no answer within 1 s: killed")


def test_every_gpu_of_the_run_is_shown_in_its_order() -> None:
    """By UUID, which no other variable reorders; without one the environment stays as it is."""
    first, second = replace(h200(), uuid="GPU-1"), replace(h200(), index=1, uuid="GPU-2")

    assert run._environment([second, first]) == {"CUDA_VISIBLE_DEVICES": "GPU-2,GPU-1"}
    assert run._environment([first, replace(second, uuid=None)]) == {}


def test_a_run_measures_its_links_after_its_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: Device
) -> None:
    """Once, in the run file like every ceiling; a run without ceilings, or resumed with them, does not."""
    asked: list[tuple[Device, ...]] = []

    def fake(devices: tuple[Device, ...]) -> Iterator[Ceiling]:
        asked.append(devices)
        yield run._untimed("cuda:0", "peer_copy", "torch.copy_", "skipped", "one GPU")

    monkeypatch.setattr(bench_run, "link_ceilings", fake)
    (tmp_path / "tiny.toml").write_text(SUITE)
    run_options = RunOptions(suite=str(tmp_path / "tiny.toml"))
    job = bench_run.new_job(run_options, (cpu,), ("test",))
    light = dataclasses.replace(job, plans=())
    with RunWriter.create(tmp_path / "run", light.info) as writer:
        bench_run.execute(light, writer, Silent())
    (line,) = read_run(tmp_path / "run").ceilings

    assert (line.quantity, line.reason) == ("link", "one GPU")
    assert asked == [(cpu,)]
    assert not bench_run.new_job(replace(run_options, ceilings=False), (cpu,), ("test",)).links
    assert not bench_run.resumed_job(read_run(tmp_path / "run"), (cpu,)).links


def test_the_advisor_prefers_a_measured_link() -> None:
    """The bus bandwidth of an all-reduce of this very GPU; a failed one leaves the profile's figure."""
    timing = {"samples_ns": (1e6,), "calls_per_sample": 1, "cache": "cold", "method": "cuda-events"}
    timed = Timing(**timing, stopped_by="max_samples", copies=1, rotated_bytes=0)  # type: ignore[arg-type]
    line = Ceiling(
        device="cuda:0",
        quantity="link",
        name="all_reduce/cuda:0+cuda:1",
        kernel="nccl",
        status="ok",
        bytes_moved=400_000_000,
        timing=timed,
    )
    second = replace(h200(), index=1)

    assert (measured_link([line], second) or link_of("h200")) != link_of("h200")
    assert measured_link([line], second).bytes_per_s == pytest.approx(400e9)  # type: ignore[union-attr]
    assert measured_link([line], replace(h200(), index=3)) is None
    assert measured_link([replace(line, status="failed", timing=None, reason="down")], second) is None
