"""Links between devices: the real processes over a CPU's memory and gloo, and what comes of failures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.advisor.links import link_of, measured_link
from quantroof.analysis.links import HOST, link_table
from quantroof.analysis.roofs import measured_roofs
from quantroof.bench import run as bench_run
from quantroof.bench.links import run
from quantroof.bench.links.bus import (
    BRIEF,
    COLLECTIVES,
    FULL,
    SIZES,
    Collective,
    LinkPlan,
    bus_bytes,
    whole_size,
)
from quantroof.bench.links.copies import neighbors
from quantroof.bench.links.run import Copies
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.select import select
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


LOCAL = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("collective", "ranks", "carried"),
    [
        ("all_reduce", 2, 800), ("all_reduce", 8, 1400),
        ("all_gather", 2, 400), ("all_gather", 8, 700),
        ("all_to_all", 2, 400), ("all_to_all", 8, 700),
    ],
)  # fmt: skip
def test_bus_bytes_are_those_of_nccl_tests(collective: Collective, ranks: int, carried: int) -> None:
    """Of 800 bytes each link carries 2 (n - 1) / n in an all-reduce, and (n - 1) / n in the other two."""
    assert bus_bytes(collective, 800, ranks) == carried


def test_sizes_span_a_kilobyte_to_four_gigabytes_and_suit_any_number_of_ranks() -> None:
    """Every rank has at least one value, and the same number of them."""
    assert (SIZES[0], SIZES[-1]) == (1 << 10, 4 << 30)
    assert [whole_size(1 << 10, ranks) for ranks in (2, 3, 8)] == [1024, 1020, 1024]
    assert whole_size(4, 8) == 32


def test_a_ring_has_each_gpu_send_and_receive_once() -> None:
    """Two GPUs: both directions; four: not all twelve pairs."""
    assert neighbors(2) == [(0, 1), (1, 0)]
    assert neighbors(4) == [(0, 1), (1, 2), (2, 3), (3, 0)]


@pytest.mark.parametrize(
    "ranks", [2, pytest.param(4, marks=pytest.mark.long), pytest.param(8, marks=pytest.mark.slow)]
)
def test_processes_over_gloo_make_the_table_of_collectives(ranks: int) -> None:
    """Real groups: every result is checked, rank 0 reports each collective at each size with all its ends."""
    ids = [f"cpu:{rank}" for rank in range(ranks)]
    lines = list(run.collectives(ids, LOCAL, LinkPlan(sizes=(1 << 10, 1 << 16))))
    table = link_table([], lines)

    assert [(line.status, line.kernel) for line in lines] == [("ok", "torch.distributed/gloo")] * 6
    assert [one.name for one in table.collectives] == ["all_reduce", "all_gather", "all_to_all"]
    for one, collective in zip(table.collectives, COLLECTIVES, strict=True):
        assert (one.devices, sorted(one.bus)) == (tuple(ids), [1 << 10, 1 << 16])
        carried = bus_bytes(collective, 1 << 16, ranks)
        assert one.bus[1 << 16] * one.seconds[1 << 16] == pytest.approx(carried, rel=0.5)


@pytest.mark.parametrize(
    ("what", "ends"),
    [
        ("pairs", [("cpu:0", "peer_copy/cpu:1"), ("cpu:1", "peer_copy/cpu:0")]),
        pytest.param("host", [(f"cpu:{n}", way) for n in (0, 1) for way in HOST], marks=pytest.mark.long),
    ],
)
def test_copies_are_checked_and_timed(what: Copies, ends: list[tuple[str, str]]) -> None:
    """Both directions, each named by where it goes; none is a roof of the memory."""
    lines = list(run.copies(what, ["cpu:0", "cpu:1"], LOCAL))

    assert [(line.device, line.name) for line in lines] == ends
    assert measured_roofs("cpu:0", lines).bandwidth == {}


def test_one_gpu_has_no_link_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two skipped lines with the reason; a CPU alone has nothing to say."""
    monkeypatch.setattr(
        run, "copies", lambda *_: iter([run._untimed("cuda:0", "host_copy", "x", "failed", "-")])
    )
    lines = list(run.link_ceilings([h200()]))

    assert [(line.name, line.status) for line in lines[1:]] == [
        ("peer_copy", "skipped"),
        ("all_reduce", "skipped"),
    ]
    assert "needs two GPUs" in (lines[1].reason or "")
    assert list(run.link_ceilings([])) == []


def test_a_failure_costs_its_ceiling_only() -> None:
    """GPUs that are not here: NCCL's complaint is the reason, and nothing is raised."""
    nowhere = LOCAL | {"CUDA_VISIBLE_DEVICES": ""}
    (copy,) = run.copies("pairs", ["cuda:0", "cuda:1"], nowhere)
    (reduced,) = run.collectives(["cuda:0", "cuda:1"], nowhere, BRIEF)

    for line in (copy, reduced):
        assert (line.status, line.quantity) == ("failed", "link")
        assert line.reason


SPEAKS = """
import sys, time
name, moved = "all_reduce/cuda:0+cuda:1", 8
if sys.argv[1] == "0":
    print('{"kind":"ceiling","device":"cuda:0","quantity":"link","name":"' + name + '","kernel":"k",'
          '"status":"skipped","reason":"first"}', flush=True)
    print('{"kind":"ceil', end="", flush=True)
"""


@pytest.mark.parametrize(
    ("then", "limit_s", "reason"),
    [
        ("time.sleep(600)", 1.0, "no answer within 1 s: killed"),
        (
            "time.sleep(600) if sys.argv[1] == '0' else sys.exit('Error: NVLink is down')",
            60.0,
            "Error: NVLink is down",
        ),
    ],
)
def test_ranks_that_hang_are_killed_and_keep_what_they_said(
    then: str, limit_s: float, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A link that is down blocks every rank for ever, and a rank that dies blocks its peers: neither is
    waited for, whole lines are kept, and the reason is recorded."""
    monkeypatch.setattr(run, "_ROOM", "stuck_room")
    (tmp_path / "stuck_room").mkdir()
    (tmp_path / "stuck_room" / "collectives.py").write_text(SPEAKS + then)
    began = time.monotonic()
    first, line = run.collectives(["cuda:0", "cuda:1"], {"PYTHONPATH": str(tmp_path)}, BRIEF, limit_s)

    assert time.monotonic() - began < 20
    assert first.reason == "first"
    assert (line.status, line.reason, line.name) == ("failed", reason, "all_reduce/cuda:0+cuda:1")


def test_simulated_gpus_have_simulated_links() -> None:
    """Eight: 16 host copies, 56 pairs, 3 collectives of 12 sizes, each labeled; a fault halves its pairs."""
    devices = select(detect(), ["sim:h100-sxm5-80gb*8+link@3"])
    lines = list(run.link_ceilings(devices, FULL))
    table = link_table(devices, lines)
    sick, well = (table.pairs[devices[0].id, devices[place].id] for place in (3, 4))

    assert {(line.status, line.quantity) for line in lines} == {("simulated", "link")}
    assert (len(table.host), len(table.pairs), [len(one.bus) for one in table.collectives]) == (
        16,
        56,
        [12] * 3,
    )
    assert sick == pytest.approx(well / 2, rel=0.1)


@pytest.mark.parametrize(
    ("why", "status"),
    [
        ("RuntimeError: Distributed package doesn't have NCCL built in", "skipped"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "skipped"),
        ("torch.distributed.DistBackendError: NCCL error: unhandled system error", "failed"),
    ],
)
def test_a_library_or_memory_that_is_missing_is_not_a_broken_link(
    why: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is kept, and no GPU is called failed for it."""
    monkeypatch.setattr(run, "together", lambda *_: ([], why))
    (line,) = run.collectives(["cuda:0", "cuda:1"], LOCAL, BRIEF)

    assert (line.status, line.reason) == (status, why)


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

    def fake(devices: tuple[Device, ...], _plan: LinkPlan) -> Iterator[Ceiling]:
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
