"""Quantities of a GPU beside its siblings, its sweeps, and a node's report from several kinds of runs."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec
import pytest

from quantroof.fleet import analysis
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.beside import add_beside
from quantroof.fleet.collection import Collection, collect_rows
from quantroof.fleet.gather import gather
from quantroof.fleet.node import node_of
from quantroof.fleet.policy import Policy
from quantroof.fleet.quantities import quantity_of
from quantroof.fleet.rows import rows
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits
from quantroof.reports.html.fleet_page import fleet_html
from quantroof.reports.text.fleet_lines import fleet_lines
from tests.fleet.runs import node_run, stored


@pytest.mark.parametrize(
    ("work", "quantity"),
    [
        ("bandwidth/read/4294967296 stream.read", "read"),
        ("matrix/fp8_e4m3/1099511627776 torch.fp8", "fp8_e4m3 matrix"),
        ("instruction/ffma/1024 cuda", "ffma instruction"),
        ("gemv/int4.g128-bf16-bf16/m1-n28672-k4096 torch.int4pack", "int4 memory"),
        ("gemm/fp8_e4m3.channel-fp8_e4m3.token.from_bf16-bf16/m4 torch", "fp8_e4m3 memory"),
        ("attention/bf16-bf16/b1 torch", "attention bf16 memory"),
    ],
)
def test_a_work_belongs_to_one_quantity(work: str, quantity: str) -> None:
    """Ceilings by their name, products by weights and roof, other operations by their kind as well."""
    assert quantity_of(work, "memory") == quantity


def slow_compute(device: Device, node: str) -> tuple[float, float]:
    """GPU 1 of node-0 is 12 % slow in compute."""
    return 1.0, 0.88 if (node, device.index) == ("node-0", 1) else 1.0


def judged(tmp_path: Path, *, mixed: bool = False, past: bool = False) -> Analysis:
    """A node of eight, in sustained mode too where `mixed`, with an earlier sweep where `past`."""
    runs = [node_run("node-0", slow_compute)]
    if mixed:
        hot = node_run("node-0", run_id="hot")
        options = msgspec.structs.replace(hot.info.options, mode="sustained")
        hot.info = msgspec.structs.replace(hot.info, options=options)
        runs.append(hot)
    if past:
        runs.append(node_run("node-0", slow_compute, started="2026-11-19T09:00:00+00:00", seed=1))
    return analyze(gather(stored(tmp_path, runs)), Policy())


def test_quantities_are_beside_the_median_of_the_siblings(tmp_path: Path) -> None:
    """The median of eight is 0 in each; the slow GPU is slow where compute bounds."""
    gpus = judged(tmp_path).gpus
    slow = next(gpu for gpu in gpus if gpu.unit.device.index == 1)

    for name in slow.quantities:
        assert median(gpu.quantities[name] or 0.0 for gpu in gpus) == pytest.approx(0, abs=1e-12)
    assert slow.quantities["bf16 matrix"] == pytest.approx(0.128, abs=0.03)
    assert slow.quantities["int4 compute"] == pytest.approx(0.128, abs=0.03)
    assert slow.quantities["read"] == pytest.approx(0.0, abs=0.02)


def test_few_siblings_have_no_quantities(tmp_path: Path) -> None:
    """Three GPUs are not compared, four are."""
    three = analyze(gather(stored(tmp_path / "3", [node_run("node-0", gpus=3)])), Policy())
    four = analyze(gather(stored(tmp_path / "4", [node_run("node-0", gpus=4)])), Policy())

    assert all(gpu.quantities == {} for gpu in three.gpus)
    assert all(len(gpu.quantities) > 10 for gpu in four.gpus)


@pytest.mark.parametrize(("most", "traced"), [(8, 8), (7, 1)])
def test_the_runs_of_all_are_kept_in_a_small_fleet(
    most: int, traced: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more GPUs than TRACED, the bad one alone; its runs are the same either way."""
    monkeypatch.setattr(analysis, "TRACED", most)
    gpus = judged(tmp_path, past=True).gpus
    with_runs = [gpu for gpu in gpus if gpu.sweeps]

    assert len(with_runs) == traced
    assert with_runs[0].bad
    assert [sweep.started_at[:10] for sweep in with_runs[0].sweeps] == ["2026-11-19", "2026-11-20"]
    assert with_runs[0].sweeps[-1].level["compute"] == pytest.approx(with_runs[0].level["compute"])


def test_a_node_of_two_modes_has_one_report(tmp_path: Path) -> None:
    """Slow in one of its modes: the GPU is degraded, the reason names the mode, and links were not timed.
    Eight GPUs are eight, and not sixteen."""
    found = judged(tmp_path, mixed=True)
    gpus = found.gpus
    node = node_of("node-0", gpus)
    worst = node.gpus[0]

    assert len(node.gpus) == 8
    assert next(iter(fleet_lines(found, [], top=3))) == "8 GPUs on 1 node: 7 ok, 1 degraded"
    page = fleet_html(found, [])
    for words in ("8 GPUs on 1 node", "1 of 8", "node-0: 1 of 8 GPUs"):
        assert words in page
    assert (node.verdict.state, worst.device.index, worst.state) == ("degraded", 1, "degraded")
    assert worst.reasons[0].text.startswith("burst: ")
    assert set(worst.judged) == {"burst", "sustained"}
    assert node.not_tested == ("links between GPUs", "repeated exact products", "NICs", "storage")


@pytest.mark.parametrize(
    ("link", "bits", "missing"),
    [
        ("host_to_device", False, ("links between GPUs", "repeated exact products")),
        ("peer_copy/cuda:1", False, ("repeated exact products",)),
        (None, True, ("links between GPUs",)),
    ],
)
def test_a_node_says_what_its_runs_did_not_test(
    link: str | None, bits: bool, missing: tuple[str, ...]
) -> None:
    """A copy to the host is not a link between GPUs; one between two of them is."""
    run = node_run("node-0", gpus=4)
    device = run.info.devices[0].id
    if link is not None:
        timed = msgspec.structs.replace(run.ceilings[0], quantity="link", name=link)
        run.ceilings.append(timed)
    if bits:
        run.bits.append(Bits(device=device, product="int8", status="ok"))
    collection = Collection()
    collect_rows(rows(run), collection)
    add_beside(run, collection.units)

    collect_rows(rows(node_run("node-1", gpus=1)), collection)
    found = analyze(collection, Policy())
    nodes = dict(found.nodes())

    assert node_of("node-0", nodes["node-0"]).not_tested == (*missing, "NICs", "storage")
    assert node_of("node-1", nodes["node-1"]).not_tested == ("repeated exact products", "NICs", "storage")
    last = list(fleet_lines(found, [], top=3))[-1]
    everything = dict.fromkeys([*missing, "repeated exact products", "NICs", "storage"])
    assert last == f"without a result here: {', '.join(everything)}"
