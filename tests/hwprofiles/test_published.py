"""Ceilings that others published: what they are, and the floor of a healthy read that follows."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from quantroof.analysis.floors import BANDWIDTH_FLOOR, floor_of
from quantroof.analysis.health import CeilingRow
from quantroof.cli.commands.hardware import command
from quantroof.fleet.comparisons import below_datasheet
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.published import best_seen, of_profile, read_floor, shipped


def test_every_figure_has_a_source_and_a_profile_of_the_catalog() -> None:
    """123 figures of 28 GPUs, each of a board that the catalog lists."""
    figures = shipped()

    assert len(figures) == 123
    assert len({figure.profile for figure in figures}) == 28
    assert {figure.profile for figure in figures} <= set(catalog.profiles())
    assert all(figure.source and figure.license and figure.value > 0 for figure in figures)


def test_low_and_high_enclose_the_value() -> None:
    """The figure is one of the collections that the range is made of."""
    for figure in shipped():
        if figure.low is not None and figure.high is not None:
            assert 0.999 * figure.low <= figure.value <= 1.001 * figure.high  # rounded apart


@pytest.mark.parametrize(
    ("name", "lowest", "sheet"), [("h100-sxm5-80gb", 2913, 3350), ("l40s", 748, 864), ("gb300", 6785, 8000)]
)
def test_the_floor_is_below_the_lowest_collection(name: str, lowest: float, sheet: float) -> None:
    """0.95 of the lowest cold read that anybody published, as a share of the datasheet."""
    profile = catalog.profiles()[name]

    assert profile.bandwidth_gbps.value == sheet
    assert read_floor(profile) == pytest.approx(0.95 * lowest / sheet)
    assert floor_of(profile) == read_floor(profile)


def test_a_gpu_that_nobody_measured_keeps_the_common_floor() -> None:
    """A T4 has no published cold read: 85 % of the datasheet."""
    assert read_floor(catalog.profiles()["t4"]) is None
    assert floor_of(catalog.profiles()["t4"]) == floor_of(None) == BANDWIDTH_FLOOR


@pytest.mark.parametrize(("share", "low"), [(0.827, False), (0.825, True)])
def test_a_read_is_judged_by_the_floor_of_its_gpu(share: float, low: bool) -> None:
    """An H100 at 0.827 of the datasheet is one of those that were seen healthy; at 0.825 it is not."""
    floor = floor_of(catalog.profiles()["h100-sxm5-80gb"])
    row = CeilingRow("cuda:0", "bandwidth", "read", share * 3350e9, 3350e9, None, floor)

    assert row.low == low
    assert bool(below_datasheet(share, floor)) == low


def test_the_best_of_each_element_is_shown() -> None:
    """L40S: bf16 306 of 362 TFLOP/s with unfilled operands, memory 751 GB/s."""
    best = best_seen("l40s")

    assert best["bf16"].best == 306
    assert best["DRAM"].best == 751
    assert of_profile("no-such-gpu") == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l40s", "fp8_e4m3: never seen above"),
        ("h200-sxm", "int8: never seen above"),
        ("b300", "fp4: never seen"),
    ],
)
def test_a_peak_that_nobody_came_near_is_named(name: str, text: str) -> None:
    """`hardware show` says so beside the datasheet, and what others reached."""
    ran = CliRunner().invoke(command, ["show", name])

    assert ran.exit_code == 0
    assert "best seen by others" in ran.output
    assert text in ran.output
    assert "bf16: never seen" not in ran.output
