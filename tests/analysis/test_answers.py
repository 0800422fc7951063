"""The three answers: health against floors, the format that wins, and cards that say what to run."""

from __future__ import annotations

import msgspec

from quantroof.analysis.answers import answers
from quantroof.analysis.choice import crossover, layer_choices, whole_batches
from quantroof.analysis.device_results import device_results
from quantroof.hwprofiles.clock_events import faults, words
from quantroof.kernels.schemes import catalog_order
from quantroof.records.run import Host
from quantroof.reports.cards import cards
from tests.builders import ceilings, gpu_device, info, measurement, run
from tests.runs import (
    GPU_BANDWIDTH,
    GPU_RATES,
    cpu_run,
    empty_run,
    failures_run,
    gpu_run,
    node_run,
    repeated,
    slower,
)


def test_slow_gpu_of_a_node_is_named_first() -> None:
    """One GPU of eight at 92 % of its siblings makes the node unhealthy, with its figures first."""
    health = answers([node_run(slow=5)]).health

    assert health.verdict.state == "degraded"
    assert health.findings[0].startswith("cuda:5: ")
    assert "9 of 9 ceilings below its siblings' median (read -7.9 %, fp8_e4m3 -8.1 %)" in health.findings[0]
    assert len(health.findings) == 1
    assert {row.device for row in health.rows if row.low} == {"cuda:5"}


def test_two_runs_of_one_gpu_are_not_siblings() -> None:
    """A GPU is not a sibling of itself; another of the same name is."""
    first, again = gpu_run(run_id="a"), gpu_run(run_id="b")
    device = gpu_device(index=1)
    other = run(info([device], run_id="c"), ceilings(device, GPU_BANDWIDTH, GPU_RATES))

    assert {row.siblings for row in answers([first, again]).health.rows} == {None}
    assert all(row.siblings for row in answers([first, other]).health.rows)


def test_cpus_of_two_nodes_are_siblings() -> None:
    """A CPU has no UUID: the same model on another node is a sibling, two runs of one node are one device."""
    here, again, there = (cpu_run() for _ in range(3))
    there.info = msgspec.structs.replace(there.info, host=Host(name="node-18"))

    assert {row.siblings for row in answers([here, again]).health.rows} == {None}
    assert all(row.siblings for row in answers([here, there]).health.rows)


def test_equal_gpus_are_healthy() -> None:
    """Without an outlier and with reads at 93 % of the datasheet there are no findings."""
    health = answers([node_run(slow=None)]).health

    assert (health.verdict.state, health.findings) == ("ok", ())


def test_hardware_slowdown_is_unhealthy_and_a_power_cap_is_a_remark() -> None:
    """Bits 0x48 are faults; 0x4 is what a GPU at its limit does."""
    assert answers([failures_run()]).health.verdict.state == "degraded"
    assert answers([gpu_run()]).health.remarks == ("power cap (software) in 120 of 300 cases",)
    assert faults(0x48) == ("hardware slowdown", "thermal slowdown (hardware)")
    assert words(0x4 | 0x1000) == ("power cap (software)", "unknown reason 0x1000")


def test_cpu_alone_is_not_judged_and_says_what_would_judge_it() -> None:
    """Without a datasheet and a sibling there is no verdict, rather than a good one."""
    card = cards(answers([cpu_run()]))[0]

    assert (card.verdict, card.tone) == ("unknown", "unsure")
    assert card.advice is not None
    assert "quantroof report RUN RUN" in card.advice


def test_cards_hold_at_most_three_facts_and_advise_where_they_have_none() -> None:
    """Every card of every kind of run keeps to three facts; one without an answer says what to run."""
    for built in (cpu_run(), gpu_run(), node_run(), failures_run(), empty_run()):
        for card in cards(answers([built])):
            assert len(card.facts) <= 3
            assert card.tone != "none" or (card.advice and "quantroof " in card.advice)


def test_crossover_names_only_measured_batches() -> None:
    """Two spans, three spans, a single batch between, one winner, and none."""
    a, b, c = ("a",), ("b",), ("c",)

    assert crossover([(1, a), (48, a), (64, b)]) == "a wins to M = 48, b from 64"
    assert crossover([(1, a), (8, b), (16, b), (64, c)]) == "a wins to M = 1, b from 8 to 16, c from 64"
    assert crossover([(1, a), (8, b), (64, c)]) == "a wins to M = 1, b at 8, c from 64"
    assert crossover([(1, a), (8, a)]) == "a wins from M = 1 to 8"
    assert crossover([(1, ())]) == "nothing was timed"


def test_a_tie_is_not_a_crossover() -> None:
    """Where b and c tie at M = 8 and c wins from 64, c leads from 8 on, though b was a little faster at 8."""
    assert crossover([(1, ("a",)), (8, ("b", "c")), (64, ("c",))]) == "a wins to M = 1, c from 8"


def test_formats_that_tie_throughout_are_both_named() -> None:
    """Neither was shown to be faster at any batch."""
    assert crossover([(1, ("a",)), (8, ("b", "c")), (64, ("b", "c"))]) == "a wins to M = 1, b = c from 8"
    assert crossover([(1, ("a", "b")), (8, ("a", "b"))]) == "a = b tie from M = 1 to 8"
    assert crossover([(1, ("a", "b")), (8, ("c",))]) == "a = b tie to M = 1, c from 8"


def test_winner_is_the_quickest_kernel_and_ties_overlap_it() -> None:
    """Of two kernels of a format the quicker counts; a format whose interval overlaps the winner ties."""
    device, layer = gpu_device(), (4096, 4096)
    lines = [
        measurement(device, "bf16", 8, layer, 13_000, provider="triton"),
        measurement(device, "bf16", 8, layer, 12_000),
        measurement(device, "int8-w8a16", 8, layer, 8_000),
        measurement(device, "fp8-w8a8", 8, layer, 8_010, spread=0.02),
        measurement(device, "fp8-w8a8-static", 8, layer, 5_000),
    ]
    results = device_results([run(info([device]), lines)])[0]
    batch = layer_choices(results, catalog_order({p.scheme for p in results.points}))[0].batches[0]

    assert batch.best["bf16"].measurement.kernel == "torch.bf16"
    assert set(batch.winner.leaders) == {"int8-w8a16", "fp8-w8a8"}


def test_static_formats_are_shown_but_cannot_win() -> None:
    """The cost of quantizing their activations is not in their time."""
    choice = answers([gpu_run()]).choices[0][0]

    assert "fp8-w8a8-static" in choice.batches[0].best
    assert not any("static" in name for batch in choice.batches for name in batch.winner.leaders)


def test_overall_counts_only_formats_that_have_every_layer() -> None:
    """The sum over layers leaves out a format that lacks one."""
    device = gpu_device()
    lines = [measurement(device, "bf16", 1, layer, 10_000) for layer in ((4096, 4096), (8192, 4096))]
    lines.append(measurement(device, "int4-w4a16", 1, (4096, 4096), 4_000))
    results = device_results([run(info([device]), lines)])[0]
    totals = whole_batches(layer_choices(results, ["bf16", "int4-w4a16"]))

    assert [(m, sorted(times)) for m, times in totals] == [(1, ["bf16"])]


def test_change_card_counts_slower_first() -> None:
    """The worst case leads, with its change."""
    base = repeated(gpu_run())
    card = cards(answers([slower(base, 1.12, scheme="bf16", provider="torch")], base))[2]

    assert (card.verdict, card.tone) == ("15 slower", "bad")
    assert "12.0 % slower" in card.facts[0]
    assert card.facts[1].startswith("largest: bf16, M 4096, 14336x4096, torch.bf16")
    assert card.facts[1].endswith("+12.0 %")
