"""Winners, ties and speed-ups over exact intervals."""

from __future__ import annotations

import pytest

from quantroof.analysis.choice import LayerChoice, layer_choices
from quantroof.analysis.device_results import device_results
from quantroof.analysis.speed import baseline, speed_ups
from quantroof.records.lines import Measurement
from tests.analysis.lines import exact
from tests.analysis.test_trust import loaded
from tests.builders import gpu_device, info, run

GPU = gpu_device()


def _choices(lines: list[Measurement]) -> list[LayerChoice]:
    return layer_choices(device_results([run(info([GPU]), lines)])[0], ["bf16", "fp16"])


@pytest.mark.parametrize(("slower_ns", "ties"), [(8_490.0, {"int8-w8a16"}), (8_510.0, set())])
def test_a_format_ties_where_its_interval_meets_the_winners(slower_ns: float, ties: set[str]) -> None:
    """8000 ns +- 3 % reaches 8240; 8490 - 3 % lies below it and ties, 8510 - 3 % lies above."""
    (choice,) = _choices(
        [exact(GPU, "fp8-w8a8", 8_000, spread=0.03), exact(GPU, "int8-w8a16", slower_ns, spread=0.03)]
    )

    assert choice.batches[0].winner.fastest == "fp8-w8a8"
    assert choice.batches[0].winner.ties == ties


def test_speed_ups_are_over_bf16_or_over_fp16_where_it_is_alone() -> None:
    """bf16 is the baseline whenever it was timed, whatever fp16 took; without either there is none."""
    both = [exact(GPU, "bf16", 12_000), exact(GPU, "fp16", 11_000)]
    quarter = exact(GPU, "int4-w4a16", 3_000)

    assert baseline(_choices([*both, quarter])) == "bf16"
    assert baseline(_choices([both[1], quarter])) == "fp16"
    assert baseline(_choices([quarter])) is None
    ((_, speeds),) = speed_ups(_choices([*both, quarter]))
    assert speeds["int4-w4a16"].median == pytest.approx(4.0)


def test_an_impossible_or_disturbed_time_has_no_speed_up() -> None:
    """A thousandth of the time that memory allows, and a run beside other processes: no factor for either."""
    both = [exact(GPU, "bf16", 12_000), exact(GPU, "fp16", 11_000)]
    ((_, speeds),) = speed_ups(_choices([*both, exact(GPU, "int4-w4a16", 3.0)]))

    assert set(speeds) == {"bf16", "fp16"}
    assert speed_ups(_choices([exact(GPU, "bf16", 12.0), both[1]])) == []
    assert speed_ups(_choices(list(map(loaded, both)))) == []


def test_the_noise_of_several_layers_adds_in_squares() -> None:
    """Two layers of 40 us +- 1 sum to 80 +- 1.41, not +- 2: the speed-up's interval says so."""
    layers = ((4096, 4096), (8192, 4096))
    lines = [exact(GPU, "bf16", 80_000, layer=layer) for layer in layers]
    lines += [exact(GPU, "fp8-w8a8", 40_000, spread=0.025, layer=layer) for layer in layers]
    ((_, speeds),) = speed_ups(_choices(lines))

    assert speeds["fp8-w8a8"].median == pytest.approx(2.0)
    assert speeds["fp8-w8a8"].low == pytest.approx(160_000 / (80_000 + 1_000 * 2**0.5))
    assert speeds["fp8-w8a8"].high == pytest.approx(160_000 / (80_000 - 1_000 * 2**0.5))
