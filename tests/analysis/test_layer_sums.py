"""All layers together: sums that agree with the winner of the card, and nothing where a layer is missing."""

from __future__ import annotations

import pytest

from quantroof.analysis.choice import layer_choices
from quantroof.analysis.device_results import device_results
from quantroof.analysis.layer_sums import competing, layer_sums
from tests.builders import LAYERS
from tests.runs import cpu_run, gpu_run


def test_a_sum_is_the_time_of_all_layers_and_their_roofs() -> None:
    """Times, operations, bytes and roofs of the three layers add up, and the winner is the fastest sum."""
    results = device_results([cpu_run()])[0]
    batches = layer_sums(layer_choices(results, ["bf16"]))
    points = [p for p in results.timed if (p.scheme, p.case.m) == ("bf16", 16)]
    own = next(batch for batch in batches if batch.m == 16).sums["bf16"]

    assert [batch.m for batch in batches] == [1, 16, 128]
    assert len(points) == len(LAYERS)
    assert own.time.median == pytest.approx(sum(p.time.median for p in points if p.time))
    assert own.flops == sum(p.measurement.flops for p in points)
    assert own.roof_ns == pytest.approx(sum(p.roofs.roof_ns for p in points if p.roofs.roof_ns))
    assert own.speed_up is not None
    assert own.speed_up.median == 1.0
    for batch in batches:
        assert batch.winner.fastest == competing(batch)[0].scheme


def test_a_static_format_is_summed_and_does_not_compete() -> None:
    """Its activations arrive quantized, so it is drawn and cannot win."""
    batch = layer_sums(layer_choices(device_results([gpu_run()])[0], []))[0]

    assert "fp8-w8a8-static" in batch.sums
    assert all("static" not in one.scheme for one in competing(batch))
