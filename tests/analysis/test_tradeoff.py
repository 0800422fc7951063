"""Which format another leaves behind."""

from __future__ import annotations

import pytest

from quantroof.analysis.choice import layer_choices
from quantroof.analysis.device_results import device_results
from quantroof.analysis.tradeoff import Cost, View, tradeoffs
from tests.analysis.lines import exact
from tests.builders import gpu_device, info, run


def _behind(fast_ns: float, spread: float, slow_cost: Cost) -> str | None:
    """Who leaves int8-w8a16 (9 us) behind, where fp8-w8a8 takes `fast_ns` and costs 0.02."""
    device = gpu_device()
    times = {"bf16": 12_000.0, "int8-w8a16": 9_000.0, "fp8-w8a8": fast_ns}
    lines = [exact(device, name, ns, spread=spread) for name, ns in times.items()]
    choices = layer_choices(device_results([run(info([device]), lines)])[0], times)
    costs = {"fp8-w8a8": [Cost("fp8-w8a8", 0.02, 0.01, 0.03, "")], "int8-w8a16": [slow_cost]}
    ((_, rows),) = tradeoffs(choices, View("loss", "a study", "nats", False, costs))
    return next(row.behind for row in rows if row.scheme == "int8-w8a16")


@pytest.mark.parametrize(("spread", "behind"), [(0.05, None), (0.0005, "fp8-w8a8")])
def test_a_format_is_left_behind_only_beyond_the_noise(spread: float, behind: str | None) -> None:
    """1 % faster at the same cost: with 5 % of noise nobody is behind, with 0.05 % the slower is."""
    same = Cost("int8-w8a16", 0.02, 0.01, 0.03, "")

    assert _behind(8_910.0, spread, same) == behind


@pytest.mark.parametrize(("low", "behind"), [(0.029, None), (0.031, "fp8-w8a8")])
def test_a_dearer_format_is_left_behind_only_beyond_its_interval(low: float, behind: str | None) -> None:
    """Of two equally fast formats the dearer is behind when its interval lies above the other's 0.03."""
    dearer = Cost("int8-w8a16", 0.04, low, 0.05, "")

    assert _behind(9_000.0, 0.0, dearer) == behind
