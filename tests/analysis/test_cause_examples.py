"""Causes of a change between two small runs of one GPU, where one value decides which is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.analysis.cause import NO_CAUSE
from quantroof.records.directory import Run
from tests.analysis.small_runs import GPU, NS, case, one_gpu, reason_of
from tests.analysis.test_trust import loaded


@pytest.mark.parametrize(
    ("read", "factor", "named"),
    [(0.985, 1.3, False), (0.975, 1.3, True), (0.975, 0.7, False), (1.025, 0.7, True), (1.025, 1.3, False),
     (1.015, 0.7, False)],
)  # fmt: skip
def test_a_ceiling_is_a_cause_beyond_two_percent_in_the_direction_of_the_change(
    read: float, factor: float, *, named: bool
) -> None:
    """Slower with a slower memory, faster with a faster one; 1.5 % or the other way explain nothing."""
    why = reason_of(one_gpu(case()), one_gpu(case(NS * factor), read=3e12 * read))
    verb = "fell" if read < 1 else "rose"

    assert why == (f"the DRAM read ceiling {verb} 2.5 %: the device, not the code" if named else NO_CAUSE)


def test_only_a_ceiling_that_the_cases_follow_is_a_cause() -> None:
    """Memory-bound cases do not follow the matrix units, and compute-bound ones not the memory."""
    memory, later = one_gpu(case()), case(1.3 * NS)
    compute, slow = one_gpu(case(600_000.0, m=4096)), case(780_000.0, m=4096)

    assert reason_of(memory, one_gpu(later, bf16=5e14)) == NO_CAUSE
    assert reason_of(compute, one_gpu(slow, read=2e12)) == NO_CAUSE
    assert reason_of(compute, one_gpu(slow, bf16=6.3e14)).startswith("the bf16 matrix ceiling fell 10.0 %")


@pytest.mark.parametrize(
    ("moved", "factor", "named"),
    [(0.985, 1.3, False), (0.975, 1.3, True), (0.975, 0.7, False), (1.025, 0.7, True), (1.025, 1.3, False)],
)
def test_a_clock_is_a_cause_beyond_two_percent_in_the_direction_of_the_change(
    moved: float, factor: float, *, named: bool
) -> None:
    """Slower at a lower clock, faster at a higher one, and by more than a clock wanders."""
    why = reason_of(one_gpu(case()), one_gpu(case(NS * factor, mhz=2000 * moved * 0.8775)))
    verb = "fell" if moved < 1 else "rose"
    words = f"the SM clock {verb} 2.5 % (1755 to {1755 * moved:.0f} MHz): the device, not the code"

    assert why == (words if named else NO_CAUSE)


def test_the_middle_case_speaks_for_the_clock() -> None:
    """Five cases, of which two stayed and three fell by 5, 10 and 15 %: 5 % it is."""
    base = one_gpu([line for m in range(1, 6) for line in case(m=m, mhz=1000.0)])
    clocks = (850.0, 1000.0, 950.0, 1000.0, 900.0)
    now = one_gpu([line for m, mhz in enumerate(clocks, 1) for line in case(1.3 * NS, m=m, mhz=mhz)])

    assert reason_of(base, now) == "the SM clock fell 5.0 % (1000 to 950 MHz): the device, not the code"


def test_where_half_got_faster_a_lower_clock_explains_nothing() -> None:
    """One case takes twice the time and one half of it: the change has no direction."""
    base = one_gpu([*case(), *case(m=2)])
    now = one_gpu([*case(2 * NS, mhz=1500.0), *case(NS / 2, m=2, mhz=1500.0)])

    assert math.log(2.0) + math.log(0.5) == 0
    assert reason_of(base, now) == NO_CAUSE


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"power_limit_w": 600.0}, "the power limit changed from 700 W to 600 W"),
        ({"power_limit_w": None}, {"power_limit_w": 600.0}, NO_CAUSE),
        ({}, {"power_limit_w": None}, NO_CAUSE),
        ({}, {"driver": "590.1"}, "the driver changed from 580.159.04 to 590.1"),
        ({"vbios": "96.00"}, {"vbios": "97.00"}, "the VBIOS changed from 96.00 to 97.00"),
        ({"vbios": "1"}, {"vbios": "2", "driver": "590.1"}, "the driver changed from 580.159.04 to 590.1"),
        ({}, {}, NO_CAUSE),
    ],
)  # fmt: skip
def test_a_setting_is_a_cause_where_both_sides_know_it(
    before: Mapping[str, Any], after: Mapping[str, Any], why: str
) -> None:
    """Power limit, driver and VBIOS, in this order; what one side does not know has not changed."""
    base, now = (
        one_gpu(case(), device=replace(GPU, **before)),
        one_gpu(case(1.3 * NS), device=replace(GPU, **after)),
    )

    assert reason_of(base, now) == why


def test_libraries_that_compute_come_first() -> None:
    """torch and triton in their own order, others by name, and one that is gone is absent."""
    old = {"aa": "1", "triton": "3.6", "torch": "2.13", "zz": "1", "same": "1"}
    new = {"aa": "2", "triton": "3.7", "torch": "2.14", "same": "1"}
    changes = "torch 2.13 to 2.14, triton 3.6 to 3.7, aa 1 to 2, zz 1 to absent"

    why = reason_of(one_gpu(case(), versions=old), one_gpu(case(1.3 * NS), versions=new))
    assert why == f"the libraries changed: {changes}"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (0, 1, "other processes disturbed 1 of 21 measurements of the now run"),
        (1, 0, "other processes disturbed 1 of 21 measurements of the base run"),
        (2, 1, "other processes disturbed 2 of 21 measurements of the base run"),
        (1, 1, NO_CAUSE),
        (0, 0, NO_CAUSE),
    ],
)
def test_load_beside_one_run_is_a_cause(old: int, new: int, why: str) -> None:
    """Of the side with more disturbed lines; as many on both sides explain nothing."""

    def built(touched: int, factor: float) -> Run:
        quiet = [line for m in range(2, 20) for line in case(m=m, processes=1)]
        return one_gpu([*case(NS * factor), *map(loaded, quiet[:touched]), *quiet[touched:]])

    assert reason_of(built(old, 1.0), built(new, 1.3)) == why


_OTHER_SOURCE = "the source of torch.bf16 changed: the code, not the device"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"torch.bf16": "a"}, {"torch.bf16": "b"}, _OTHER_SOURCE),
        ({"torch.bf16": "a"}, {"torch.bf16": "a"}, NO_CAUSE),
        ({}, {"torch.bf16": "b"}, NO_CAUSE),
        ({"torch.bf16": "a"}, {}, NO_CAUSE),
        ({"torch.fp16": "a"}, {"torch.fp16": "b"}, NO_CAUSE),
    ],
)  # fmt: skip
def test_the_source_of_a_changed_kernel_is_a_cause(
    old: dict[str, str], new: dict[str, str], why: str
) -> None:
    """Where both runs know it and it differs; the source of a kernel that did not change is none."""
    assert reason_of(one_gpu(case(), sources=old), one_gpu(case(1.3 * NS), sources=new)) == why


def test_machine_code_is_a_cause_with_what_differs_in_it() -> None:
    """Registers and a hash, in their order; what stayed is not named, nor what does not belong to it."""
    before = {"code_hash": "a", "registers": 168, "spill_bytes": 0, "tile": 64}
    base, now = (
        one_gpu(case(config=before)),
        one_gpu(case(1.3 * NS, config={**before, "registers": 204, "tile": 32})),
    )

    assert reason_of(base, now) == (
        "the machine code of torch.bf16 changed (registers 168 to 204): the code, not the device"
    )
    assert reason_of(base, one_gpu(case(1.3 * NS, config={**before, "tile": 32}))) == NO_CAUSE
