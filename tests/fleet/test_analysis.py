"""Fleet analysis over run directories and parts: who is slow, why, and what bad input costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from quantroof.analysis.verdicts import BY_ITSELF
from quantroof.cli.main import main
from quantroof.errors import UsageError
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.gather import gather
from quantroof.fleet.groups import read_labels
from quantroof.fleet.parts import merge_parts, write_part
from quantroof.fleet.policy import Policy
from quantroof.fleet.rows import rows
from quantroof.hwprofiles.types import Device, PcieLink
from quantroof.records.directory import Run, read_run
from tests.builders import state
from tests.fleet.runs import even, node_run, stored

NODES = 6
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def planted(device: Device, node: str) -> tuple[float, float]:
    """One GPU 10 % slow in compute, one 6 % slow in memory."""
    if (node, device.index) == ("node-3", 5):
        return 1.0, 0.90
    return (0.94, 1.0) if (node, device.index) == ("node-1", 2) else (1.0, 1.0)


def judged(*names: str, retest: tuple[str, ...] = ()) -> Analysis:
    """The analysis of what is named."""
    return analyze(gather(names), Policy(), None, gather(retest) if retest else None, NOW)


def codes(found: Analysis) -> dict[str, set[str]]:
    """Finding codes of every GPU that has some."""
    return {g.unit.label: {f.code for f in g.findings} for g in found.gpus if g.findings}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six nodes of eight GPUs, two of them slow."""
    folder = tmp_path_factory.mktemp("fleet")
    stored(folder, [node_run(f"node-{n}", planted) for n in range(NODES)])
    return folder


def test_the_two_slow_gpus_are_found_and_no_other(fleet: Path) -> None:
    """Each by the class it is slow in; its node comes first."""
    found = judged(str(fleet / "*"))

    assert codes(found) == {
        "node-3 cuda:5": {"compute", "compute_floor"},
        "node-1 cuda:2": {"memory", "memory_floor"},
    }
    assert [node for node, _ in found.nodes()][:2] == ["node-3", "node-1"]
    assert found.gpus[0].level["compute"] == pytest.approx(0.105, abs=0.03)
    assert abs(found.gpus[0].level["memory"] or 1.0) < 0.02


def test_parts_give_the_same_answer_as_runs(fleet: Path, tmp_path: Path) -> None:
    """One part per run, and all parts in one file, are judged like the run directories; twice is once."""
    parts = []
    for directory in sorted(fleet.iterdir()):
        parts.append(tmp_path / f"{directory.name}.parquet")
        write_part(rows(read_run(directory)), parts[-1])
    merged = tmp_path / "merged" / "all.parquet"
    merged.parent.mkdir()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(parts[0].read_bytes())
    count = merge_parts([*parts, parts[1], copy], merged)
    from_runs = judged(str(fleet))
    expected = [(g.unit.label, g.state, g.level) for g in from_runs.gpus]

    assert count == sum(len(list(rows(read_run(d)))) for d in fleet.iterdir())
    for found in (judged(*map(str, parts)), judged(str(merged), str(copy))):
        assert [(g.unit.label, g.state) for g in found.gpus] == [(a, b) for a, b, _ in expected]
        assert found.gpus[0].level == pytest.approx(expected[0][2])


def test_a_second_measurement_clears_a_passing_slowness(tmp_path: Path) -> None:
    """A GPU that is as fast as its siblings when measured again is healthy, with a note."""
    first = stored(tmp_path / "a", [node_run(f"node-{n}", planted) for n in range(NODES)])

    def mended(device: Device, node: str) -> tuple[float, float]:
        return (1.0, 1.0) if node == "node-3" else planted(device, node)

    again = stored(
        tmp_path / "b", [node_run(f"node-{n}", mended, seed=9, run_id=f"again-{n}") for n in (1, 3)]
    )
    found = judged(*first, retest=tuple(again))

    assert codes(found) == {"node-1 cuda:2": {"memory", "memory_floor"}, "node-3 cuda:5": {"cleared"}}
    assert [gpu.state for gpu in found.gpus].count("ok") == NODES * 8 - 1
    assert "measured again" in found.gpus[0].findings[0].text


def test_a_gpu_is_held_against_its_own_past(tmp_path: Path) -> None:
    """4 % slower than itself a month ago is a defect that siblings and the floor do not show."""

    def tired(device: Device, node: str) -> tuple[float, float]:
        return (1.0, 0.955) if (node, device.index) == ("node-2", 0) else (1.0, 1.0)

    names = stored(
        tmp_path,
        [node_run(f"node-{n}", started="2026-10-20T09:00:00+00:00", run_id=f"old-{n}") for n in range(NODES)]
        + [node_run(f"node-{n}", tired, seed=1) for n in range(NODES)],
    )
    found = judged(*names)

    assert len(found.gpus) == NODES * 8
    assert "compute_past" in codes(found)["node-2 cuda:0"]
    assert set(codes(found)) == {"node-2 cuda:0"}


def test_what_a_gpu_says_of_itself(tmp_path: Path) -> None:
    """Half a PCIe link, memory errors and thermal slowdown are findings; a cap that all share is a remark."""

    def narrow(device: Device) -> Device:
        width = 8 if device.index == 3 else 16
        link = PcieLink(generation=5, width=width, max_generation=5, max_width=16)
        return msgspec.structs.replace(device, pcie=link, power_limit_w=600.0)

    runs = [node_run("node-0", change=narrow)]
    runs.append(
        node_run("node-1", change=narrow, gpus=1, seen=msgspec.structs.replace(state(), ecc_errors=2))
    )
    runs.append(node_run("node-2", change=narrow, gpus=1, seen=state(reasons=0x40)))
    found = judged(*stored(tmp_path, runs))

    assert codes(found) == {
        "node-0 cuda:3": {"pcie_width"},
        "node-1 cuda:0": {"ecc_errors"},
        "node-2 cuda:0": {"throttling"},
    }
    assert any("power limit" in remark for remark in found.populations[0].remarks)


def test_a_whole_fleet_below_the_datasheet(tmp_path: Path) -> None:
    """Siblings agree that all is well; the datasheet does not."""
    found = judged(*stored(tmp_path, [node_run(f"node-{n}", lambda *_: (0.8, 1.0)) for n in range(2)]))

    assert {c for some in codes(found).values() for c in some} == {"datasheet"}
    assert len(codes(found)) == 16


def test_vbios_versions_are_groups_and_notes(tmp_path: Path) -> None:
    """Nodes with a slower VBIOS are a group that differs; that they have it is a note and no finding."""

    def slow(_device: Device, node: str) -> tuple[float, float]:
        return (1.0, 0.97) if int(node.rpartition("-")[2]) >= 8 else (1.0, 1.0)

    def flashed(version: str | None, n: int) -> Run:
        node = f"node-{n}"
        return node_run(node, slow, gpus=4, change=lambda d: msgspec.structs.replace(d, vbios=version))

    versions = [*["96.00.A5"] * 8, *["96.00.B1"] * 4, None]
    found = judged(*stored(tmp_path, [flashed(version, n) for n, version in enumerate(versions)]))
    differing = {(row.attribute, row.value) for row in found.groups if row.differs}
    notes = {f.text for g in found.gpus for f in g.findings if f.code == "vbios_unlike"}

    assert differing == {("vbios", "96.00.A5"), ("vbios", "96.00.B1")}
    assert notes == {"VBIOS is 96.00.B1, on most siblings 96.00.A5"}
    assert {gpu.state for gpu in found.gpus} == {"ok"}


def test_parts_of_before_vbios_still_read(fleet: Path, tmp_path: Path) -> None:
    """A part whose devices know no VBIOS, as the first parts were, gives GPUs whose VBIOS is absent."""
    node = min(fleet.iterdir())
    old = [msgspec.structs.replace(row, device=_without_vbios(row.device)) for row in rows(read_run(node))]
    write_part(old, tmp_path / "old.parquet")
    found = judged(str(tmp_path / "old.parquet"))

    assert len(found.gpus) == 8
    assert {gpu.unit.device.vbios for gpu in found.gpus} == {None}


def _without_vbios(device: str) -> str:
    """A device's JSON as an older version wrote it."""
    known = json.loads(device)
    del known["vbios"], known["planted"]
    return json.dumps(known)


def test_groups_of_nodes_are_compared(tmp_path: Path) -> None:
    """A rack whose nodes are all 2 % slow is found, though no GPU of it is."""

    def rack(_device: Device, node: str) -> tuple[float, float]:
        return (1.0, 0.97) if int(node.rpartition("-")[2]) >= 8 else (1.0, 1.0)

    names = stored(tmp_path / "runs", [node_run(f"node-{n}", rack, gpus=4) for n in range(16)])
    labels = tmp_path / "nodes.csv"
    labels.write_text("node,rack\n" + "".join(f"node-{n},{'AB'[n // 8]}\n" for n in range(16)))
    found = analyze(gather(names), Policy(), read_labels(labels), None, NOW)
    rows_b = [row for row in found.groups if row.value == "B"]

    assert {row.resource for row in rows_b if row.differs} == {"compute"}
    assert next(row for row in rows_b if row.resource == "compute").difference == pytest.approx(
        0.03, abs=0.01
    )


def test_bad_input_costs_a_line_each_and_the_rest_is_analyzed(fleet: Path, tmp_path: Path) -> None:
    """Mixed suites, a newer schema, a wrong clock, a UUID on two nodes, half a file, no bucket, no run."""
    other = stored(tmp_path / "other", [node_run("node-90", suite="quick", gpus=4)])
    clock = stored(tmp_path / "clock", [node_run("node-91", started="1970-01-01T00:00:10+00:00", gpus=2)])
    twin = node_run("node-92", gpus=1, change=lambda d: msgspec.structs.replace(d, uuid="GPU-00000000-0"))
    newer = tmp_path / "newer.jsonl"
    newer.write_text('{"kind":"run","schema":"quantroof-run/99"}\n')
    half = tmp_path / "half.parquet"
    write_part(rows(read_run(Path(other[0]))), half)
    half.write_bytes(half.read_bytes()[:-100])
    alien = tmp_path / "alien.parquet"
    alien.write_text("hello")
    broken = [str(newer), str(half), str(alien), str(tmp_path / "nothing"), "nosuchstore://bucket/runs"]
    found = judged(str(fleet), *other, *clock, *stored(tmp_path / "twin", [twin]), *broken)
    lines = "\n".join(found.problems)

    for words in (
        "2 kinds of runs, each judged by itself",
        "newer.jsonl: written in schema 'quantroof-run/99'",
        "node-91: its clock says 1970-01-01",
        "GPU-00000000-0 is reported by 2 nodes (node-0, node-92)",
        "half.parquet: cut off",
        "alien.parquet: not a Parquet file",
        "nothing: no run",
        "nosuchstore://bucket/runs: cannot be read",
    ):
        assert words in lines
    assert all("\n" not in problem for problem in found.problems)
    assert len(found.gpus) == NODES * 8 + 4 + 2 + 1
    assert {"node-3 cuda:5", "node-1 cuda:2"} <= set(codes(found))


def test_a_url_is_read_like_a_folder(fleet: Path) -> None:
    """fsspec's own file system stands for a bucket."""
    pytest.importorskip("fsspec")

    assert len(judged(f"file://{fleet}").gpus) == NODES * 8


def test_nothing_to_analyse_is_one_error(tmp_path: Path) -> None:
    """Where no input is usable the first reason is the error."""
    with pytest.raises(UsageError, match=r"nothing to analyze: .*no run directory"):
        judged(str(tmp_path / "*"))


def test_simulated_and_real_runs_never_meet(tmp_path: Path) -> None:
    """Each kind is a population of its own."""
    names = stored(tmp_path, [node_run("node-0", even), node_run("node-1", even, simulated=False)])

    assert {s.population.simulated: s.gpus for s in judged(*names).populations} == {True: 8, False: 8}


def test_the_command_prints_and_exits_by_its_findings(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text and JSON name the same GPU; exit code 1 is a finding."""
    with pytest.raises(SystemExit) as ended:
        main(["fleet", str(fleet / "*"), "--expect", "node-0,node-77"])
    text = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["fleet", "analyze", str(fleet / "*"), "--json"])
    document = json.loads(capsys.readouterr().out)

    assert ended.value.code == 1
    assert "node-3 cuda:5" in text
    assert "SIMULATED" in text
    assert "no run received from node-77" in text
    assert document["kind"] == "fleet"
    assert document["nodes"][0]["node"] == "node-3"
    assert document["nodes"][0]["gpus"][0]["against_siblings"]["compute"] == pytest.approx(-0.10, abs=0.03)


def test_a_lone_gpu_is_ok_by_its_datasheet(tmp_path: Path) -> None:
    """Its read reaches the datasheet and nothing it reports speaks against it; a run of nothing says so."""
    names = stored(tmp_path, [node_run("node-0", gpus=1)])
    empty = node_run("node-1", gpus=1, run_id="empty")
    empty.ceilings.clear()
    empty.measurements.clear()
    found = judged(*names, *stored(tmp_path, [empty]))
    with pytest.raises(SystemExit) as ended:
        main(["fleet", *names])

    assert ended.value.code == 0
    assert [(gpu.state, gpu.level["memory"]) for gpu in found.gpus] == [("ok", None)]
    assert found.gpus[0].findings[0].text == BY_ITSELF
    assert any("neither measurements nor ceilings" in problem for problem in found.problems)
