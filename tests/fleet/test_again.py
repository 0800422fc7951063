"""A second measurement repeats what a finding is about, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.analysis.links import link_table
from quantroof.bench.links import run as links_run
from quantroof.bench.links.bus import FULL, LinkPlan
from quantroof.bench.run import Job, new_job
from quantroof.errors import UsageError
from quantroof.finding import Finding
from quantroof.fleet.again import jobs_again, links_again, slow_codes
from quantroof.fleet.analysis import Analysis, GpuResult, analyze
from quantroof.fleet.beside import completed, units_beside
from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.records.directory import Run, read_run
from quantroof.records.run import RunOptions
from tests.builders import gpu_device
from tests.fleet.runs import node_run, stored
from tests.fleet.test_burn_in import NODE, burn_in


def jobs() -> list[Job]:
    """The jobs of a burn-in of two GPUs: the first times the links, too."""
    devices = (gpu_device(0), gpu_device(1))
    planned = [
        new_job(RunOptions(suite="node", mode=mode, ceilings=False), devices, ("quantroof",))
        for mode in ("burst", "sustained")
    ]
    return [replace(planned[0], links=FULL), planned[1]]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({"burst": {"compute"}}, [("burst", True, None)]),
        ({"sustained": {"throttling"}}, [("sustained", True, None)]),
        ({"burst": {"memory"}, "sustained": {"cases"}}, [("burst", True, None), ("sustained", True, None)]),
        ({"burst": {"link_slow"}}, [("burst", False, (True, 0))]),
        ({"burst": {"link_pair", "link_host"}}, [("burst", False, (True, 0))]),
        ({"burst": {"link_host"}}, [("burst", False, (False, 0))]),
        ({"burst": {"link_collective"}}, [("burst", False, (False, 3))]),
        ({"burst": {"link_slow", "compute"}}, [("burst", True, (True, 0))]),
        ({}, []),
    ],
)  # fmt: skip
def test_what_is_measured_again(codes: dict[str, set[str]], expected: list[Any]) -> None:
    """By what is slow: mode, whether cases are timed, and (all pairs, number of collectives) of the links."""
    again = [
        (
            job.info.options.mode,
            bool(job.plans and job.info.plan),
            None if job.links is None else (job.links.pairs, len(job.links.collectives)),
        )
        for job in jobs_again(jobs(), codes)
    ]

    assert again == expected


def test_links_again_take_less_time() -> None:
    """Host copies alone, then pairs, then everything."""
    plans = [links_again({code}) or FULL for code in ("link_host", "link_pair")]
    seconds = [plan.estimate_s(8) for plan in (*plans, FULL)]

    assert links_again({"compute"}) is None
    assert seconds == sorted(set(seconds))


def test_failures_and_other_runs_are_not_measured_again() -> None:
    """Codes by mode of what is degraded in our runs; a failed GPU, a note, and an older run are left out."""
    population = Population("H100", "node", "burst", "cold", simulated=True)
    levels: dict[str, float | None] = {"memory": 0.0, "compute": 0.0}

    def result(run_id: str, *findings: Finding) -> GpuResult:
        unit = Unit(run_id, "", "n", gpu_device(0), population)
        return GpuResult(unit, population, levels, {}, {}, {}, 0, findings)

    slow = Finding("degraded", "compute", "slow")
    gpus = [
        result("ours", slow, Finding("note", "memory_low", "low")),
        result("ours", Finding("failed", "ecc_errors", "errors")),
        result("older", Finding("degraded", "memory", "slow")),
    ]

    assert slow_codes([Analysis(gpus, [], [], [], Policy())], {"ours"}) == {"burst": {"compute"}}


def timed(run: Run) -> tuple[int, bool, int]:
    """Cases, whether copies between GPUs were timed, and collectives of a run."""
    table = link_table(run.info.devices, run.ceilings)
    return len(run.measurements), bool(table.pairs), len(table.collectives)


@pytest.mark.long
def test_a_burn_in_repeats_links_or_cases(tmp_path: Path) -> None:
    """A slow link: copies again, no case. A GPU slow in compute: cases again, no link."""
    _, link = burn_in(tmp_path / "link", f"{NODE}+link@3")
    _, slow = burn_in(tmp_path / "compute", f"{NODE}+compute@3")
    linked, computed = ([read_run(Path(run)) for run in found["runs"]] for found in (link, slow))

    assert [timed(run)[1:] for run in linked] == [(True, 3), (False, 0), (True, 0)]
    assert timed(linked[2])[0] == 0
    assert link["gpus"][0]["reasons"][0]["code"] == "link_slow"
    assert link["reason"].endswith("measured again")
    assert [timed(run)[1:] for run in computed] == [(True, 3), (False, 0), (False, 0), (False, 0)]
    assert min(timed(run)[0] for run in computed) > 0
    assert "measured again" in slow["reason"]
    judged = analyze(gather([str(tmp_path / "compute"), str(tmp_path / "link")]), Policy()).gpus
    assert all(gpu.unit.peers_measured for gpu in judged if gpu.population.mode == "burst")


def test_a_run_of_links_alone_is_not_a_problem_of_a_fleet(tmp_path: Path) -> None:
    """Beside other runs it is passed over in silence; alone, the error says who judges it."""
    links = node_run("node-1", gpus=4)
    links.measurements.clear()
    links.ceilings[:] = [
        line for line in links.ceilings if line.quantity == "bandwidth" and line.device == "cuda:0"
    ][:1]  # fmt: skip
    links.ceilings[0] = msgspec.structs.replace(links.ceilings[0], quantity="link", name="peer_copy/cuda:1")
    whole, alone = stored(tmp_path, [node_run("node-0", gpus=4), links])
    found = gather([whole, alone])

    assert found.problems == []
    assert len(found.units) == 4
    with pytest.raises(UsageError, match="links and exact products alone"):
        gather([alone])


def test_a_real_plan_without_collectives_starts_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies only: the collectives of the other plan are not even tried."""
    started: list[str] = []

    def together(commands: list[Any], *_: Any) -> tuple[list[Any], None]:
        started.extend(command[0][0] for command in commands)
        return [], None

    monkeypatch.setattr(links_run, "together", together)
    list(links_run.link_ceilings((gpu_device(0), gpu_device(1)), LinkPlan(collectives=())))
    copies = list(started)
    list(links_run.link_ceilings((gpu_device(0), gpu_device(1)), FULL))

    assert all(name.endswith("copies") for name in copies)
    assert any(name.endswith("collectives") for name in started[len(copies) :])


@pytest.mark.parametrize(("options", "again"), [(RunOptions(seed=7), False), (RunOptions(again=True), True)])
def test_only_a_burn_in_makes_a_second_measurement(options: RunOptions, again: bool) -> None:
    """A run with a seed of the user's own is a measurement like any other."""
    built = node_run("node-0", gpus=2)
    built.info = msgspec.structs.replace(built.info, options=options)

    assert {unit.again for unit in units_beside(built)} == {again}


NOW = datetime(2026, 11, 21, tzinfo=UTC)


def unit(started: str, *findings: Finding, again: bool = False, links: bool = False) -> Unit:
    """One GPU in one run."""
    population = Population("H100", "node", "burst", "cold", simulated=True)
    return Unit(
        started, f"2026-11-{started}:00+00:00", "n", gpu_device(0), population, beside=findings,
        links_measured=links, peers_measured=links, bits_measured=links, again=again,
    )  # fmt: skip


SLOW, BROKEN = Finding("degraded", "link_slow", "slow"), Finding("failed", "link_failed", "no answer")
WRONG, HOST = Finding("failed", "bits", "1 wrong"), Finding("degraded", "link_host", "slow")


@pytest.mark.parametrize(
    ("first", "second", "codes"),
    [
        (unit("20T09:00", BROKEN, WRONG, links=True), unit("20T09:09", again=True), ["link_failed", "bits"]),
        (unit("20T09:00", SLOW, links=True), unit("20T09:09", again=True), ["link_slow"]),
        (unit("20T09:00", SLOW, links=True), unit("20T09:09", SLOW, again=True, links=True), ["link_slow"]),
        (unit("20T09:00", SLOW, links=True), unit("20T09:09", again=True, links=True), ["link_cleared"]),
        (
            unit("20T09:00", links=True),
            unit("20T09:09", HOST, BROKEN, again=True, links=True),
            ["link_failed"],
        ),
        (unit("19T09:10", BROKEN, links=True), unit("20T09:09", again=True), ["link_failed"]),
        (unit("19T09:09", BROKEN, links=True), unit("20T09:09", again=True), []),
        (unit("20T09:00", BROKEN, links=True), unit("20T09:09"), []),
        (unit("20T09:00", BROKEN, links=True, again=True), unit("20T09:09", again=True), []),
    ],
)  # fmt: skip
def test_a_second_measurement_keeps_what_it_did_not_repeat(
    first: Unit, second: Unit, codes: list[str]
) -> None:
    """Links and exact products of the first one of the same day stand; what was repeated is confirmed or
    cleared, and only a failure counts at first sight."""
    kept, whole = completed([first, second], {1: [0]}, NOW)

    assert kept is first
    assert [finding.code for finding in whole.beside] == codes
    assert whole.peers_measured == (second.peers_measured or bool(codes))
