"""Who wins: ties, doubtful and impossible times."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.analysis.answers import answers
from quantroof.analysis.choice import layer_choices
from quantroof.analysis.comparison import compare
from quantroof.analysis.device_results import device_results
from quantroof.analysis.roofs import measured_roofs
from quantroof.analysis.statistics import Interval
from quantroof.analysis.winner import Candidate, decide
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement
from quantroof.reports.cards import cards
from tests.analysis.lines import exact
from tests.analysis.test_trust import loaded
from tests.builders import gpu_device, info, run
from tests.runs import cpu_run, gpu_run, repeated


def _at(low: float, high: float, *, doubtful: bool = False) -> Candidate:
    return Candidate(Interval((low + high) / 2, low, high, 20), doubtful)


@pytest.mark.parametrize(
    ("candidates", "alone", "leaders"),
    [
        ({}, None, ()),
        ({"a": _at(9, 11)}, "a", ("a",)),
        ({"a": _at(9, 11), "b": _at(12, 14)}, "a", ("a",)),
        ({"a": _at(9, 11), "b": _at(11, 14)}, None, ("a", "b")),
        ({"a": _at(1, 2, doubtful=True), "b": _at(12, 14), "c": _at(20, 21)}, None, ("a", "b")),
        ({"a": _at(1, 2, doubtful=True)}, None, ()),
    ],
)
def test_winners_are_decided(
    candidates: dict[str, Candidate], alone: str | None, leaders: tuple[str, ...]
) -> None:
    """Overlap is a tie; a doubtful time leads only beside the fastest sound one."""
    result = decide(candidates)

    assert (result.alone, result.leaders) == (alone, leaders)


@pytest.mark.parametrize(("disturbed", "leaders"), [("none", ("bf16",)), ("bf16", ("bf16", "int8-w8a16")),
                                                  ("int8-w8a16", ("bf16", "int8-w8a16"))])  # fmt: skip
def test_a_disturbed_time_neither_wins_nor_loses_alone(disturbed: str, leaders: tuple[str, ...]) -> None:
    """1 of 20 lines beside other processes leaves the run usable; what they touched is a tie, either way."""
    device = gpu_device()
    lines = [exact(device, "bf16", 20_000), exact(device, "int8-w8a16", 40_000)]
    lines += [exact(device, "bf16", 20_000.0 + m, m=m) for m in range(100, 118)]
    touched = [loaded(x) if x.kernel.endswith(disturbed) and x.parsed_case.m == 8 else x for x in lines]
    (results,) = device_results([run(info([device]), touched)])
    (choice,) = layer_choices(results, ["bf16", "int8-w8a16"])

    assert results.trust.usable
    assert choice.batches[0].winner.leaders == leaders


@pytest.mark.parametrize(("touched", "verdict"), [(False, "slower"), (True, "not comparable")])
def test_a_disturbed_time_is_not_slower(touched: bool, verdict: str) -> None:
    """Twice the time beside others does not make the code slower, however well its processes agree."""
    base = repeated(gpu_run(), 3)
    first = next(m.key for m in base.measurements if m.timing is not None)

    def slow(line: Measurement) -> Measurement:
        if line.key != first or line.timing is None:
            return line
        samples = tuple(2 * sample for sample in line.timing.samples_ns)
        line = replace(line, timing=replace(line.timing, samples_ns=samples))
        return loaded(line) if touched else line

    now = run(base.info, [*base.ceilings, *map(slow, base.measurements)])
    entries = compare(device_results([base]), device_results([now])).entries
    entry = next(e for e in entries if (e.device, e.case, e.kernel) == first)

    assert entry.verdict == verdict
    assert not touched or entry.causes == ("other processes or a quota disturbed it",)


def _faster(line: Measurement, factor: float) -> Measurement:
    if line.timing is None or not line.kernel.endswith("int4-w4a16"):
        return line
    samples = tuple(sample / factor for sample in line.timing.samples_ns)
    return replace(line, timing=replace(line.timing, samples_ns=samples))


def cheating(built: Run, factor: float = 1000.0) -> Run:
    """The run with the times of all int4 kernels divided."""
    return run(built.info, [*built.ceilings, *(_faster(m, factor) for m in built.measurements)])


@pytest.mark.parametrize("built", [cpu_run(), gpu_run()])
def test_an_impossible_time_wins_nothing_and_raises_nothing(built: Run) -> None:
    """A thousandth of the time: flagged, left out of the winners, and no ceiling follows it, on a CPU too."""
    device = built.info.devices[0].id
    before = measured_roofs(device, built.ceilings)
    (results,) = device_results([cheating(built)])
    report = answers([cheating(built)])

    assert all("impossible" in {f.code for f in p.flags} for p in results.timed if p.scheme == "int4-w4a16")
    assert results.measured.matrix["bf16"] <= 1.2 * before.matrix["bf16"]
    assert not any(
        "int4" in name for layer in report.choices[0] for b in layer.batches for name in b.winner.leaders
    )
    assert "int4" not in cards(report)[1].verdict


@pytest.mark.parametrize(("factor", "beyond"), [(1.15, False), (1.25, True)])
def test_a_fifth_above_every_bound_is_beyond_it(factor: float, beyond: bool) -> None:
    """15 % above the only bounds of a CPU raises its ceiling, 25 % is impossible and raises nothing."""
    built = cpu_run()
    ceiling = measured_roofs("cpu:0", built.ceilings).matrix["bf16"]
    line = max(
        (m for m in built.measurements if m.kernel == "torch.bf16"), key=lambda m: m.flops / m.bytes_moved
    )
    assert line.timing is not None
    ns = line.flops / (ceiling * factor) * 1e9
    fast = replace(line, timing=replace(line.timing, samples_ns=(ns,) * 9))
    (results,) = device_results([run(built.info, [*built.ceilings, fast])])
    codes = {flag.code for flag in results.points[0].flags}

    assert ("impossible" in codes, "raised_ceiling" in codes) == (beyond, not beyond)


def test_an_impossible_time_is_not_faster() -> None:
    """Compared with honest ones it is not comparable."""
    base = repeated(gpu_run())
    changes = compare(device_results([base]), device_results([cheating(base)]))

    assert (changes.count("faster"), changes.count("not comparable")) == (0, 30)
